//! `Messaging.List`: a page of the texts that a filter lets through, oldest first. Read from the indexes alone:
//! nothing is opened.

use crate::bus::{Direction, Filter};
use crate::model::{Address, TextId, Timestamp};
use crate::store::{Place, StoreError, Tx};

/// The page, or `None` where "after" names no text. `peer` is the filter's, as records name it.
pub(super) fn list(tx: &Tx<'_>, filter: &Filter, peer: Option<&Address>) -> Result<Option<Vec<TextId>>, StoreError> {
    // Just before the first that is not earlier: no id is below this one.
    let since = Place { at: filter.since.unwrap_or(Timestamp(i64::MIN)), id: TextId([0; 16]) };
    let start = match filter.after {
        None => since,
        Some(after) => match tx.place(after)? {
            Some(place) => place.max(since),
            None => return Ok(None),
        },
    };
    let mut page = Vec::new();
    if filter.direction != Some(Direction::Outgoing) {
        page.extend(tx.arrived_after(start, peer, filter.unacknowledged, filter.limit)?);
    }
    if filter.direction != Some(Direction::Incoming) && !filter.unacknowledged {
        page.extend(tx.texts_after(start, peer, filter.limit)?);
    }
    page.sort_unstable();
    page.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    Ok(Some(page.into_iter().map(|place| place.id).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arrived, Bearer, Body, Encoding, LineId, PhoneNumber, Reason, State, Text, WordingKey};
    use crate::store::{Store, StoreKey};

    fn id(n: i64) -> TextId {
        TextId::new(Timestamp(n), [0; 10])
    }

    fn out(n: i64, to: &str) -> Text {
        Text {
            id: id(n),
            line: LineId("line".into()),
            to: Address(to.into()),
            peer: PhoneNumber::from_e164(to).ok(),
            body: Body("out".into()),
            at: Timestamp(n),
            state: State::SmsSent,
            reason: Reason::SwitchOff,
            only: None,
            wording: WordingKey([1; 32]),
            ordinal: u16::try_from(n).unwrap(),
            im: None,
            sms: None,
            retries: 0,
            encoding: Encoding::Gsm7,
            token: None,
            report: false,
            cancelled: false,
            diverted: None,
        }
    }

    fn came(n: i64, from: &str) -> Arrived {
        Arrived {
            id: id(n),
            line: LineId("line".into()),
            from: Address(from.into()),
            body: Body("in".into()),
            bearer: Bearer::Sms,
            sent: Timestamp(n),
            at: Timestamp(n),
            acknowledged: n % 100 != 0,
        }
    }

    const OFTEN: &str = "+4915112345601";
    const RARE: &str = "+4915112345602";

    /// 2,600 texts: odd ones out, even ones in, every 500th of either with the rare peer.
    fn filled() -> (tempfile::TempDir, Store) {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::open(&root.path().join("state"), root.path(), &StoreKey::new([1; 32])).unwrap();
        let peer = |n: i64| if n % 500 < 2 { RARE } else { OFTEN };
        store
            .transaction(|tx| {
                (1..=2600).try_for_each(|n| match n % 2 {
                    0 => tx.put_arrived(&came(n, peer(n))),
                    _ => tx.put_text(&out(n, peer(n))),
                })
            })
            .unwrap();
        (root, store)
    }

    fn page(store: &mut Store, filter: &Filter) -> Option<Vec<TextId>> {
        store.transaction(|tx| list(tx, filter, filter.peer.as_ref())).unwrap()
    }

    #[test]
    fn pages_follow_each_other_oldest_first_and_leave_nothing_out() {
        let (_root, mut store) = filled();
        let mut filter = Filter::default();
        let mut sizes = Vec::new();
        let mut all = Vec::new();
        loop {
            let page = page(&mut store, &filter).unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some(*last);
            sizes.push(page.len());
            all.extend(page);
        }
        assert_eq!(sizes, [1000, 1000, 600]);
        assert!(all == (1..=2600).map(id).collect::<Vec<_>>());
    }

    #[test]
    fn filters_narrow_what_is_paged_through() {
        let (_root, mut store) = filled();
        let peer = Some(Address(RARE.into()));
        let rare = Filter { peer: peer.clone(), ..Filter::default() };
        let expected: Vec<_> = (1..=2600).filter(|n| n % 500 < 2).map(id).collect();
        assert_eq!(page(&mut store, &rare).unwrap(), expected);
        let first = Filter { limit: 3, ..rare.clone() };
        assert_eq!(page(&mut store, &first).unwrap(), expected[..3]);
        let rest = Filter { after: Some(expected[2]), ..rare.clone() };
        assert_eq!(page(&mut store, &rest).unwrap(), expected[3..]);
        let incoming = Filter { direction: Some(Direction::Incoming), since: Some(Timestamp(1000)), ..rare.clone() };
        assert_eq!(page(&mut store, &incoming).unwrap(), [1000, 1500, 2000, 2500].map(id));
        let outgoing = Filter { direction: Some(Direction::Outgoing), since: Some(Timestamp(2001)), ..rare };
        assert_eq!(page(&mut store, &outgoing).unwrap(), [2001, 2501].map(id));
        let waiting = Filter { unacknowledged: true, since: Some(Timestamp(2300)), ..Filter::default() };
        assert_eq!(page(&mut store, &waiting).unwrap(), [2300, 2400, 2500, 2600].map(id));
        let theirs = Filter { peer, ..waiting };
        assert_eq!(page(&mut store, &theirs).unwrap(), [id(2500)]);
    }

    #[test]
    fn a_place_that_is_gone_is_told_and_not_taken_for_the_beginning() {
        let (_root, mut store) = filled();
        store.transaction(|tx| tx.delete_text(id(1001))).unwrap();
        assert_eq!(page(&mut store, &Filter { after: Some(id(1001)), ..Filter::default() }), None);
        assert!(page(&mut store, &Filter { after: Some(id(1002)), ..Filter::default() }).is_some());
    }
}
