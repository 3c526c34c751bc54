//! TP-User-Data: alphabets, headers, and the parts of a long text (3GPP TS 23.040 §9.2.3.24, TS 23.038 §4).

use crate::gsm;

/// TP-UD with what is needed to read it. The octets are kept as they came, header included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserData {
    /// TP-DCS.
    pub dcs: u8,
    /// TP-UDHI.
    pub header: bool,
    /// TP-UDL: septets in the 7-bit alphabet, else octets.
    pub count: u8,
    /// TP-UD.
    pub octets: Vec<u8>,
}

/// Which characters TP-UD is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// GSM 7-bit default alphabet.
    Gsm7,
    /// Bytes without a meaning as text.
    Data,
    /// UTF-16, big-endian.
    Ucs2,
}

/// Where a part belongs in a long text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Concat {
    /// Common to all parts.
    pub reference: u16,
    /// How many parts there are.
    pub total: u8,
    /// Which one this is, from 1.
    pub part: u8,
}

impl UserData {
    /// A text as one part, or as many as it needs with a header that carries `reference`.
    /// The message class, if any, goes into TP-DCS (class 0 is shown at once and kept nowhere).
    pub fn parts_of(text: &str, class: Option<u8>, reference: u8) -> Vec<Self> {
        let class_bits = class.map_or(0, |c| 0x10 | c & 0x03);
        match gsm::encode(text) {
            Some(septets) => Self::split(&septets, 160, 153, |s, cut| s[cut - 1] == 0x1B)
                .into_iter()
                .zip_headers(reference)
                .map(|(head, septets)| Self::of_septets(class_bits, head, &septets))
                .collect(),
            None => {
                let units: Vec<u16> = text.encode_utf16().collect();
                Self::split(&units, 70, 67, |u, cut| (0xD800..0xDC00).contains(&u[cut - 1]))
                    .into_iter()
                    .zip_headers(reference)
                    .map(|(head, units)| {
                        let mut octets = head.clone();
                        octets.extend(units.iter().flat_map(|u| u.to_be_bytes()));
                        Self { dcs: 0x08 | class_bits, header: !head.is_empty(), count: octets.len() as u8, octets }
                    })
                    .collect()
            }
        }
    }

    /// Bytes for an application port (§9.2.3.24.4); 2948 is WAP push.
    pub fn to_port(port: u16, payload: &[u8]) -> Self {
        let [high, low] = port.to_be_bytes();
        let mut octets = vec![0x06, 0x05, 0x04, high, low, 0x23, 0xF0];
        octets.extend(payload);
        Self { dcs: 0x04, header: true, count: octets.len() as u8, octets }
    }

    /// Bytes without a header, which no phone can show as text.
    pub fn of_bytes(payload: &[u8]) -> Self {
        Self { dcs: 0x04, header: false, count: payload.len() as u8, octets: payload.to_vec() }
    }

    fn of_septets(dcs: u8, head: Vec<u8>, septets: &[u8]) -> Self {
        let skip = (head.len() * 8).div_ceil(7);
        let mut octets = gsm::pack(septets, skip);
        octets.resize(octets.len().max(head.len()), 0);
        for (slot, octet) in octets.iter_mut().zip(&head) {
            *slot = *octet;
        }
        Self { dcs, header: !head.is_empty(), count: (skip + septets.len()) as u8, octets }
    }

    fn split<T: Copy>(all: &[T], single: usize, part: usize, halves: impl Fn(&[T], usize) -> bool) -> Vec<Vec<T>> {
        if all.len() <= single {
            return vec![all.to_vec()];
        }
        let mut rest = all;
        let mut out = Vec::new();
        while !rest.is_empty() {
            let mut cut = part.min(rest.len());
            if cut < rest.len() && halves(rest, cut) {
                cut -= 1;
            }
            out.push(rest[..cut].to_vec());
            rest = &rest[cut..];
        }
        out
    }

    /// TS 23.038 §4, for the coding groups in use.
    pub fn alphabet(&self) -> Alphabet {
        match self.dcs >> 4 {
            0x0..=0x7 => match self.dcs >> 2 & 0x03 {
                1 => Alphabet::Data,
                2 => Alphabet::Ucs2,
                _ => Alphabet::Gsm7,
            },
            0xE => Alphabet::Ucs2,
            0xF if self.dcs & 0x04 != 0 => Alphabet::Data,
            _ => Alphabet::Gsm7,
        }
    }

    /// How many octets TP-UDL promises.
    pub fn expected_octets(&self) -> usize {
        match self.alphabet() {
            Alphabet::Gsm7 => (usize::from(self.count) * 7).div_ceil(8),
            _ => usize::from(self.count),
        }
    }

    fn header_octets(&self) -> usize {
        if self.header { 1 + usize::from(self.octets.first().copied().unwrap_or(0)) } else { 0 }
    }

    /// The text of this part, trailing whitespace and all; none for data.
    pub fn text(&self) -> Option<String> {
        let head = self.header_octets();
        match self.alphabet() {
            Alphabet::Gsm7 => {
                let skip = (head * 8).div_ceil(7);
                Some(gsm::decode(&gsm::unpack(&self.octets, skip, usize::from(self.count))))
            }
            Alphabet::Ucs2 => {
                let units: Vec<u16> = self
                    .octets
                    .get(head..)
                    .unwrap_or_default()
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect();
                Some(String::from_utf16_lossy(&units))
            }
            Alphabet::Data => None,
        }
    }

    /// The concatenation element of the header, 8-bit or 16-bit reference.
    pub fn concat(&self) -> Option<Concat> {
        let mut elements = self.octets.get(1..self.header_octets())?;
        while let [id, length, rest @ ..] = elements {
            let (value, rest) = rest.split_at_checked(usize::from(*length))?;
            match (*id, value) {
                (0x00, [reference, total, part]) => {
                    return Some(Concat { reference: u16::from(*reference), total: *total, part: *part });
                }
                (0x08, [high, low, total, part]) => {
                    return Some(Concat { reference: u16::from_be_bytes([*high, *low]), total: *total, part: *part });
                }
                _ => elements = rest,
            }
        }
        None
    }

    /// The same part as a network forwards it that trims what looks like nothing. Only the last
    /// part of a text ends where the text does.
    pub fn without_trailing_whitespace(&self) -> Self {
        let last = self.concat().is_none_or(|c| c.part == c.total);
        let Some(text) = self.text().filter(|_| last) else { return self.clone() };
        let kept = text.trim_end_matches([' ', '\n', '\r']);
        let head = self.octets[..self.header_octets()].to_vec();
        match self.alphabet() {
            Alphabet::Gsm7 => Self::of_septets(self.dcs, head, &gsm::encode(kept).unwrap_or_default()),
            _ => {
                let mut octets = head;
                octets.extend(kept.encode_utf16().flat_map(u16::to_be_bytes));
                Self { count: octets.len() as u8, octets, ..self.clone() }
            }
        }
    }
}

/// Pairs each part with its concatenation header, which is empty for an only part.
trait ZipHeaders<T> {
    fn zip_headers(self, reference: u8) -> std::vec::IntoIter<(Vec<u8>, Vec<T>)>;
}

impl<T, I: ExactSizeIterator<Item = Vec<T>>> ZipHeaders<T> for I {
    fn zip_headers(self, reference: u8) -> std::vec::IntoIter<(Vec<u8>, Vec<T>)> {
        let total = self.len();
        self.enumerate()
            .map(|(i, part)| {
                let head =
                    if total == 1 { Vec::new() } else { vec![0x05, 0x00, 0x03, reference, total as u8, i as u8 + 1] };
                (head, part)
            })
            .collect::<Vec<_>>()
            .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(parts: &[UserData]) -> String {
        parts.iter().map(|p| p.text().unwrap()).collect()
    }

    #[test]
    fn long_texts_come_back_whole_in_both_alphabets() {
        let plain = "Straße [1] €5 ".repeat(40);
        let emoji = format!("x{}", "👍🏽 na endlich\n".repeat(20));
        for text in [plain, emoji, "a".repeat(160), "a".repeat(161), String::new(), "end  \n \n".into()] {
            let parts = UserData::parts_of(&text, None, 7);
            assert_eq!(joined(&parts), text);
            for (i, part) in parts.iter().enumerate() {
                assert_eq!(part.octets.len(), part.expected_octets());
                assert!(part.octets.len() <= 140);
                if parts.len() > 1 {
                    let concat = part.concat().unwrap();
                    assert_eq!((concat.reference, usize::from(concat.part)), (7, i + 1));
                }
            }
        }
    }

    #[test]
    fn a_surrogate_pair_is_never_torn() {
        let text = format!("{}{}", "x".repeat(66), "👍".repeat(40));
        for part in UserData::parts_of(&text, None, 1) {
            assert!(!part.text().unwrap().contains('\u{fffd}'));
        }
    }

    #[test]
    fn a_trimming_network_trims_the_last_part_alone() {
        let text = format!("{} \n \n", "wort ".repeat(60));
        let parts: Vec<_> =
            UserData::parts_of(&text, None, 1).iter().map(UserData::without_trailing_whitespace).collect();
        assert_eq!(joined(&parts), text.trim_end());
    }

    #[test]
    fn data_has_no_text() {
        assert_eq!(UserData::to_port(2948, b"\x01\x06").text(), None);
        assert_eq!(UserData::to_port(2948, b"\x01\x06").concat(), None);
    }
}
