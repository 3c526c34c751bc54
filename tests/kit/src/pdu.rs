//! The few TPDUs that an SMSC and a modem exchange (3GPP TS 23.040 §9.2.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::user_data::UserData;

/// An address field (§9.1.2.5): type octet and what it spells (digits, or a name when alphanumeric).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Type of number and numbering plan: 0x91 international, 0x81 unknown, 0xD0 alphanumeric.
    pub kind: u8,
    /// Digits without `+`, or the name.
    pub spelled: String,
}

impl Address {
    /// `+49…` is international, other digits are of unknown type, anything else is a name of up to 11 septets.
    pub fn new(written: &str) -> Self {
        if let Some(digits) = written.strip_prefix('+') {
            return Self { kind: 0x91, spelled: digits.to_owned() };
        }
        let dialled = written.chars().all(|c| c.is_ascii_digit() || "*#".contains(c));
        Self { kind: if dialled { 0x81 } else { 0xD0 }, spelled: written.to_owned() }
    }

    /// As people write it, with `+` when international.
    pub fn written(&self) -> String {
        if self.kind & 0x70 == 0x10 { format!("+{}", self.spelled) } else { self.spelled.clone() }
    }

    fn encode(&self) -> Vec<u8> {
        if self.kind & 0x70 == 0x50 {
            let septets = crate::gsm::encode(&self.spelled).unwrap_or_default();
            let packed = crate::gsm::pack(&septets, 0);
            let mut out = vec![(septets.len() * 7).div_ceil(4) as u8, self.kind];
            out.extend(packed);
            return out;
        }
        let mut out = vec![self.spelled.len() as u8, self.kind];
        out.extend(semi_octets(&self.spelled));
        out
    }

    fn decode(read: &mut Reader<'_>) -> Result<Self> {
        let digits = usize::from(read.octet()?);
        let kind = read.octet()?;
        let octets = read.take(digits.div_ceil(2))?;
        if kind & 0x70 == 0x50 {
            let spelled = crate::gsm::decode(&crate::gsm::unpack(octets, 0, digits * 4 / 7));
            return Ok(Self { kind, spelled });
        }
        let spelled: String = octets
            .iter()
            .flat_map(|o| [o & 0x0F, o >> 4])
            .take(digits)
            .map(|d| b"0123456789*#abc".get(usize::from(d)).copied().map_or('?', char::from))
            .collect();
        Ok(Self { kind, spelled })
    }
}

fn semi_octets(digits: &str) -> Vec<u8> {
    let nibble = |c: u8| match c {
        b'*' => 10,
        b'#' => 11,
        _ => c.wrapping_sub(b'0') & 0x0F,
    };
    digits.as_bytes().chunks(2).map(|pair| nibble(pair[0]) | pair.get(1).map_or(0xF0, |c| nibble(*c) << 4)).collect()
}

/// What a phone hands to the SMSC.
#[derive(Debug, Clone)]
pub struct Submit {
    /// TP-DA.
    pub to: Address,
    /// TP-MR as written in the PDU (a modem replaces it by its own).
    pub reference: u8,
    /// TP-SRR: whether a status report is asked for.
    pub report: bool,
    /// TP-PID.
    pub pid: u8,
    /// TP-VP, where present.
    pub validity: Option<Duration>,
    /// TP-DCS, TP-UDHI, TP-UDL and TP-UD.
    pub data: UserData,
}

impl Submit {
    /// Reads what `AT+CMGS` hands over: SMSC address, then the TPDU.
    pub fn decode(octets: &[u8]) -> Result<Self> {
        let mut read = Reader(octets);
        let sca = usize::from(read.octet()?);
        read.take(sca)?;
        let first = read.octet()?;
        ensure!(first & 0x03 == 0x01, "not an SMS-SUBMIT: first octet {first:#04x}");
        let reference = read.octet()?;
        let to = Address::decode(&mut read)?;
        let pid = read.octet()?;
        let dcs = read.octet()?;
        let validity = match first >> 3 & 0x03 {
            0 => None,
            2 => Some(relative_validity(read.octet()?)),
            _ => {
                read.take(7)?;
                None
            }
        };
        let count = read.octet()?;
        let data = UserData { dcs, header: first & 0x40 != 0, count, octets: read.0.to_vec() };
        ensure!(
            data.octets.len() == data.expected_octets(),
            "TP-UD has {} octets where TP-UDL {count} means {}",
            data.octets.len(),
            data.expected_octets()
        );
        Ok(Self { to, reference, report: first & 0x20 != 0, pid, validity, data })
    }

    /// Octets of the TPDU alone, which is what `AT+CMGS=n` counts.
    pub fn tpdu_length(octets: &[u8]) -> usize {
        octets.len() - 1 - usize::from(octets.first().copied().unwrap_or(0))
    }
}

/// TP-VP in relative format (§9.2.3.12.1).
fn relative_validity(octet: u8) -> Duration {
    let n = u64::from(octet);
    let minutes = match octet {
        0..=143 => (n + 1) * 5,
        144..=167 => 12 * 60 + (n - 143) * 30,
        168..=196 => (n - 166) * 24 * 60,
        _ => (n - 192) * 7 * 24 * 60,
    };
    Duration::from_secs(minutes * 60)
}

/// What the SMSC hands to a phone.
#[derive(Debug, Clone)]
pub struct Deliver {
    /// TP-OA.
    pub from: Address,
    /// TP-PID.
    pub pid: u8,
    /// TP-SCTS: when the SMSC took it.
    pub stamp: SystemTime,
    /// TP-DCS, TP-UDHI, TP-UDL and TP-UD.
    pub data: UserData,
}

impl Deliver {
    /// SMSC address and TPDU, as `+CMGR` prints it.
    pub fn encode(&self, smsc: &str) -> Pdu {
        let mut tpdu = vec![0x04 | if self.data.header { 0x40 } else { 0 }];
        tpdu.extend(self.from.encode());
        tpdu.extend([self.pid, self.data.dcs]);
        tpdu.extend(stamp(self.stamp));
        tpdu.push(self.data.count);
        tpdu.extend(&self.data.octets);
        Pdu::new(smsc, tpdu)
    }
}

/// SMS-STATUS-REPORT (§9.2.2.3).
#[derive(Debug, Clone)]
pub struct StatusReport {
    /// TP-MR of the submit that it answers.
    pub reference: u8,
    /// TP-RA: to whom the text went.
    pub recipient: Address,
    /// TP-SCTS of that text.
    pub stamp: SystemTime,
    /// TP-DT: when it was delivered or given up.
    pub done: SystemTime,
    /// TP-ST (§9.2.3.15): 0x00 received, 0x46 validity period expired.
    pub status: u8,
}

impl StatusReport {
    /// SMSC address and TPDU, as `+CDS` prints it.
    pub fn encode(&self, smsc: &str) -> Pdu {
        let mut tpdu = vec![0x06, self.reference];
        tpdu.extend(self.recipient.encode());
        tpdu.extend(stamp(self.stamp));
        tpdu.extend(stamp(self.done));
        tpdu.push(self.status);
        Pdu::new(smsc, tpdu)
    }
}

/// A PDU as a modem prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Hexadecimal, upper case, SMSC address included.
    pub hex: String,
    /// Octets of the TPDU alone.
    pub length: usize,
}

impl Pdu {
    fn new(smsc: &str, tpdu: Vec<u8>) -> Self {
        let digits = smsc.trim_start_matches('+');
        let mut octets = vec![1 + digits.len().div_ceil(2) as u8, 0x91];
        octets.extend(semi_octets(digits));
        let length = tpdu.len();
        octets.extend(tpdu);
        Self { hex: to_hex(&octets), length }
    }
}

/// Upper-case hexadecimal.
pub fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02X}")).collect()
}

/// The octets that hexadecimal digits spell.
pub fn from_hex(text: &str) -> Result<Vec<u8>> {
    ensure!(text.len().is_multiple_of(2) && text.is_ascii(), "not whole octets of hexadecimal");
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).context("not hexadecimal")).collect()
}

/// A service centre time stamp in UTC (§9.2.3.11).
fn stamp(at: SystemTime) -> [u8; 7] {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let swapped = |n: u64| (((n % 10) << 4) | (n / 10 % 10)) as u8;
    let clock = seconds % 86_400;
    [
        swapped(year % 100),
        swapped(month),
        swapped(day),
        swapped(clock / 3600),
        swapped(clock / 60 % 60),
        swapped(clock % 60),
        0,
    ]
}

/// Year, month and day of the given day since 1970-01-01.
pub(crate) fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        if self.0.len() < n {
            bail!("the PDU ends early");
        }
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        Ok(taken)
    }

    fn octet(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_from_the_books_decodes() {
        // "hellohello" to +46708251358, validity 4 days (relative 0xAA).
        let octets = from_hex("0011000B916407281553F80000AA0AE8329BFD4697D9EC37").unwrap();
        let submit = Submit::decode(&octets).unwrap();
        assert_eq!(submit.to.written(), "+46708251358");
        assert_eq!(submit.data.text().unwrap(), "hellohello");
        assert_eq!(submit.validity, Some(Duration::from_secs(4 * 86_400)));
        assert!(!submit.report);
        assert_eq!(Submit::tpdu_length(&octets), 23);
    }

    #[test]
    fn a_deliver_is_spelled_octet_by_octet() {
        let deliver = Deliver {
            from: Address::new("+46708251358"),
            pid: 0,
            stamp: UNIX_EPOCH + Duration::from_secs(1_709_210_096), // 2024-02-29 12:34:56
            data: UserData::parts_of("hellohello", None, 1).remove(0),
        };
        let pdu = deliver.encode("+491710760000");
        assert_eq!(pdu.hex, "0791947101670000040B916407281553F8000042209221436500\u{30}AE8329BFD4697D9EC37");
        assert_eq!(pdu.length, pdu.hex.len() / 2 - 8);
    }

    #[test]
    fn names_and_short_codes_survive_as_addresses() {
        for written in ["Bank Berlin", "116117", "+4915112345601"] {
            let octets = Address::new(written).encode();
            assert_eq!(Address::decode(&mut Reader(&octets)).unwrap().written(), written);
        }
    }

    #[test]
    fn every_cut_of_a_pdu_is_an_error_and_no_panic() {
        let octets = from_hex("0011000B916407281553F80000AA0AE8329BFD4697D9EC37").unwrap();
        for n in 0..octets.len() {
            assert!(Submit::decode(&octets[..n]).is_err());
        }
    }
}
