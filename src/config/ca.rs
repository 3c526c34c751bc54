//! When the pinned CA ends. The core links no TLS, and needs no more of X.509 (RFC 5280 §4.1) than that.

use crate::model::Timestamp;
use crate::modem::stamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Until when the last of the certificates is valid: with one CA and its successor pinned, the successor's end.
/// `None` if none can be read.
#[must_use]
pub fn trusted_until(pem: &str) -> Option<Timestamp> {
    let certificates = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    certificates.filter_map(|text| not_after(&der(text.split("-----END").next()?)?)).max()
}

fn der(base64: &str) -> Option<Vec<u8>> {
    STANDARD.decode(base64.split_whitespace().collect::<String>()).ok()
}

fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, mut certificate) = take(&mut { certificate })?;
    let (_, mut fields) = take(&mut certificate)?;
    // The version, [0], is left out by version 1; then serial number, signature, issuer.
    if take(&mut fields)?.0 == 0xa0 {
        take(&mut fields)?;
    }
    take(&mut fields)?;
    take(&mut fields)?;
    let (_, mut validity) = take(&mut fields)?;
    take(&mut validity)?;
    let (kind, time) = take(&mut validity)?;
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    match kind {
        // UTCTime: two digits of the year, from 1950 to 2049.
        0x17 if time.get(..2)? < "50" => written(&format!("20{time}")),
        0x17 => written(&format!("19{time}")),
        // GeneralizedTime.
        0x18 => written(time),
        _ => None,
    }
}

/// Of `YYYYMMDDhhmmss`.
fn written(time: &str) -> Option<Timestamp> {
    let part = |range: std::ops::Range<usize>| time.get(range);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
    stamp::read(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// The next element: its tag and content.
fn take<'d>(rest: &mut &'d [u8]) -> Option<(u8, &'d [u8])> {
    let (&tag, after) = rest.split_first()?;
    let (&length, after) = after.split_first()?;
    let (length, after) = match length {
        0..=0x7f => (usize::from(length), after),
        0x81..=0x84 => {
            let (length, after) = after.split_at_checked(usize::from(length & 0x7f))?;
            (length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), after)
        }
        _ => return None,
    };
    let (content, after) = after.split_at_checked(length)?;
    *rest = after;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By OpenSSL; ends 2036-11-22 03:20:56 UTC, as UTCTime.
    const SOON: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBbTCCAROgAwIBAgIUPenzeELu0TOeT/Q0WUk1cL48MiowCgYIKoZIzj0EAwIw\n\
DDEKMAgGA1UEAwwBeDAeFw0yNjExMjUwMzIwNTZaFw0zNjExMjIwMzIwNTZaMAwx\n\
CjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARXBhjv3MJx0m0b\n\
7OVl2CYqkPokEScHXBauvWgfwZcU4BBdPNs9WRbHzofbV1Bi+01bf/2VmDgHWz7z\n\
rPFTW1WYo1MwUTAdBgNVHQ4EFgQUd1OVP+4PQRGCxspU5J71ldkaLNUwHwYDVR0j\n\
BBgwFoAUd1OVP+4PQRGCxspU5J71ldkaLNUwDwYDVR0TAQH/BAUwAwEB/zAKBggq\n\
hkjOPQQDAgNIADBFAiEAtPYClDg9BPMqVKZ0Mb3IfdCBZMJR1goL9j52dHGn4sQC\n\
IDSyZlfL+87qP3LuPlH+1USg/9UVRV0mLBJxWXennddq\n\
-----END CERTIFICATE-----\n";
    /// The same until 2081-08-28 03:20:56 UTC, as GeneralizedTime.
    const LATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBbjCCARWgAwIBAgIUS2MWt4Zp7Tg2yp48XthEvJnQZA0wCgYIKoZIzj0EAwIw\n\
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjUwMzIwNTZaGA8yMDgxMDgyODAzMjA1Nlow\n\
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJJKkiydj4Oo\n\
EhB9VtlF6+7kChZ9pSZqMI6X4fw3FijjikQrDqkd6aeNfrrxw+RoA0u6fraUQfEb\n\
zU4+adD/QOSjUzBRMB0GA1UdDgQWBBSCMgBPAVVykvpdDRL9T+rHWgiIgzAfBgNV\n\
HSMEGDAWgBSCMgBPAVVykvpdDRL9T+rHWgiIgzAPBgNVHRMBAf8EBTADAQH/MAoG\n\
CCqGSM49BAMCA0cAMEQCIFHlZzqWozxc/D0dNCRGD6+VwqUuvBfftuszGCeyuA91\n\
AiA1UCWUDgZhKCaQyk1eJa27NRUPy7WozQhkRvPv78ATQw==\n\
-----END CERTIFICATE-----\n";

    #[test]
    fn the_end_is_read_as_openssl_wrote_it_and_the_last_one_counts() {
        assert_eq!(trusted_until(SOON), Some(Timestamp(2_110_936_856_000)));
        assert_eq!(trusted_until(LATE), Some(Timestamp(3_523_576_856_000)));
        assert_eq!(trusted_until(&format!("{LATE}{SOON}")), trusted_until(LATE));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        assert_eq!(trusted_until(""), None);
        assert_eq!(trusted_until("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None);
        let whole = der(SOON.split("-----").nth(2).unwrap()).unwrap();
        assert!(not_after(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(not_after(&whole[..end]), None, "cut at {end}");
        }
    }
}
