//! Time stamps as modem services spell the SMSC's (TS 23.040 §9.2.3.11).

use crate::model::{Civil, Timestamp};

/// Reads `YYYY-MM-DDThh:mm:ss` with an offset `Z`, `+hh`, `+hhmm` or `+hh:mm`; without one, UTC.
pub(crate) fn read(stamp: &str) -> Option<Timestamp> {
    let (date, rest) = stamp.split_once(['T', ' '])?;
    let at = rest.find(['+', '-', 'Z']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at_checked(at)?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let plausible = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !plausible {
        return None;
    }
    let seconds = Civil { year, month, day, hour, minute, second }.seconds() - offset_seconds(offset)?;
    seconds.checked_mul(1000).map(Timestamp)
}

fn number(digits: &str) -> Option<i64> {
    (!digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

fn offset_seconds(offset: &str) -> Option<i64> {
    let (sign, digits) = match (offset, offset.strip_prefix('-'), offset.strip_prefix('+')) {
        ("" | "Z", ..) => return Some(0),
        (_, Some(west), _) => (-1, west),
        (_, _, Some(east)) => (1, east),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(both) => both,
        None => digits.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { number(minutes)? };
    (minutes < 60).then_some(())?;
    Some(sign * (number(hours)?.min(24) * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_in_every_spelling() {
        let at = Some(Timestamp(1_767_225_600_000));
        for stamp in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T01:00:00+01",
            "2026-01-01T01:00:00+01:00",
            "2026-01-01T05:45:00+0545",
            "2025-12-31T18:30:00-0530",
            "2025-12-31T16:00:00-08",
        ] {
            assert_eq!(read(stamp), at, "{stamp}");
        }
    }

    #[test]
    fn nonsense_is_no_time() {
        for stamp in [
            "",
            "T",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:00:00+1é",
            "x-y-zTa:b:c",
            "2026-01-01T00:00:00+99999:9",
        ] {
            assert_eq!(read(stamp), None, "{stamp}");
        }
    }
}
