//! Texts handed over: written, found, listed and taken over.

use super::*;
use crate::model::{Cause, Diverted, ImAttempt, LeaseId, Question, SmsAttempt};
use proptest::prelude::*;

fn states() -> impl Strategy<Value = State> {
    let plain = [
        State::Queued,
        State::ImSending,
        State::ImAccepted,
        State::ImDelivered,
        State::ImRead,
        State::Revoking,
        State::SmsSending,
        State::SmsSent,
        State::SmsDelivered,
        State::Released,
    ];
    prop_oneof![
        prop::sample::select(plain.to_vec()),
        prop::sample::select(Cause::ALL.to_vec()).prop_map(State::Failed),
        prop::sample::select(Cause::ALL.to_vec()).prop_map(State::Uncertain),
        prop::sample::select(Question::ALL.to_vec()).prop_map(State::Held),
    ]
}

prop_compose! {
    fn texts()(
        n in 0..4_u64,
        state in states(),
        reason in prop::sample::select(Reason::ALL.to_vec()),
        only in prop::option::of(prop::sample::select(vec![Bearer::Im, Bearer::Sms])),
        wording: [u8; 32],
        ordinal: u16,
        im in prop::option::of((any::<[u8; 16]>(), any::<i64>(), any::<bool>())),
        sms in prop::option::of((".{0,9}", ".{0,9}", any::<bool>(), prop::collection::vec(any::<u8>(), 0..4))),
        retries: u8,
        ucs2: bool,
        (report, cancelled, peer) in any::<(bool, bool, bool)>(),
    ) -> Text {
        Text {
            state,
            reason,
            only,
            wording: WordingKey(wording),
            ordinal,
            im: im.map(|(lease, at, not_shown)| ImAttempt { lease: LeaseId(lease), at: Timestamp(at), not_shown }),
            sms: sms.map(|(object, owner, issued, references)| SmsAttempt {
                object: object.into(), owner: owner.into(), issued, references,
            }),
            retries,
            encoding: if ucs2 { Encoding::Ucs2 } else { Encoding::Gsm7 },
            report,
            cancelled,
            peer: peer.then(|| number(n)),
            ..text(n)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_latest_record_of_each_text_is_kept_across_reopening(written in prop::collection::vec(texts(), 1..12)) {
        let home = Home::new();
        let mut latest: std::collections::BTreeMap<TextId, Text> = Default::default();
        let mut order = Vec::new();
        let mut store = home.open().unwrap();
        for text in &written {
            store.transaction(|tx| tx.put_text(text)).unwrap();
            if latest.insert(text.id, text.clone()).is_none() {
                order.push(text.id);
            }
        }
        drop(store);
        let mut store = home.open().unwrap();
        let (each, live, listed) = store.transaction(|tx| {
            let each: Vec<_> = latest.keys().map(|id| tx.text(*id).unwrap().unwrap()).collect();
            let listed: Vec<_> = tx.list_texts(None, 100)?.into_iter().map(|(_, text)| text.id).collect();
            Ok((each, tx.live_texts()?, listed))
        }).unwrap();
        prop_assert_eq!(each, latest.values().cloned().collect::<Vec<_>>());
        let expected: Vec<_> = order.iter().map(|id| &latest[id]).filter(|t| !t.state.is_final()).cloned().collect();
        prop_assert_eq!(live, expected);
        order.reverse();
        prop_assert_eq!(listed, order);
    }

    #[test]
    fn the_ordinal_is_the_lowest_that_is_free(used in prop::collection::vec((0..12_u16, any::<bool>()), 0..14)) {
        let home = Home::new();
        let since = NOW;
        let mut taken = std::collections::BTreeSet::new();
        let mut store = home.open().unwrap();
        let free = store.transaction(|tx| {
            for (n, (ordinal, recent)) in used.iter().enumerate() {
                let at = if *recent { since } else { Timestamp(since.0 - 1) };
                tx.put_text(&Text { ordinal: *ordinal, at, ..text(n as u64) })?;
                if *recent { taken.insert(*ordinal); }
            }
            tx.ordinal(WordingKey([1; 32]), since)
        }).unwrap();
        prop_assert_eq!(free, (0..).find(|n| !taken.contains(n)).unwrap());
    }
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let failed = store.transaction(|tx| {
        tx.put_text(&text(1))?;
        tx.put_switch(&Switch { on: true, switched: None })?;
        Err::<(), _>(StoreError::Duplicate)
    });
    assert!(failed.is_err());
    store
        .transaction(|tx| {
            assert_eq!(tx.text(id(1))?, None);
            assert_eq!(tx.switch()?, Switch::default());
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_repeated_token_finds_its_text_and_never_makes_a_second() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let first = Text { token: Some("a".into()), ..text(1) };
    store.transaction(|tx| tx.put_text(&first)).unwrap();
    assert_eq!(store.transaction(|tx| tx.text_by_token("a")).unwrap(), Some(first));
    assert_eq!(store.transaction(|tx| tx.text_by_token("b")).unwrap(), None);
    let second = Text { token: Some("a".into()), ..text(2) };
    assert!(matches!(store.transaction(|tx| tx.put_text(&second)), Err(StoreError::Duplicate)));
}

#[test]
fn a_status_report_finds_the_newest_text_to_that_recipient_with_its_reference() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let sent = |n, to: u64, references: &[u8], at| Text {
        report: n != 4,
        peer: Some(number(to)),
        at: Timestamp(at),
        sms: Some(SmsAttempt {
            object: "/1".into(),
            owner: ":1.1".into(),
            issued: true,
            references: references.into(),
        }),
        ..text(n)
    };
    store
        .transaction(|tx| {
            tx.put_text(&sent(1, 1, &[], 100))?;
            tx.put_text(&sent(1, 1, &[7, 8], 100))?;
            tx.put_text(&sent(2, 1, &[8], 200))?;
            tx.put_text(&sent(3, 2, &[8], 300))?;
            tx.put_text(&sent(4, 2, &[8, 9], 400))?;
            let find = |to: u64, reference, since| {
                let to = Address(number(to).as_e164().into());
                tx.text_by_sms_reference(&to, reference, Timestamp(since)).map(|text| text.map(|text| text.id))
            };
            assert_eq!(find(1, 8, 0)?, Some(id(2)));
            assert_eq!(find(1, 7, 0)?, Some(id(1)));
            assert_eq!(find(1, 7, 150)?, None);
            assert_eq!(find(2, 8, 0)?, Some(id(3)));
            assert_eq!(find(2, 7, 0)?, None);
            assert_eq!(find(2, 9, 0)?, None, "it asked for no report");
            tx.delete_text(id(2))?;
            assert_eq!(find(1, 8, 0)?, Some(id(1)));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_diverted_text_is_found_by_its_owner_and_released_to_its_token_alone() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let diverted = |n, owner: &str| Text {
        diverted: Some(Diverted { object: "/SMS/3".into(), owner: owner.into(), waits: true, report_deleted: false }),
        token: Some(format!("token {n}").into()),
        ..text(n)
    };
    store
        .transaction(|tx| {
            tx.put_text(&diverted(1, ":1.4"))?;
            tx.put_text(&diverted(2, ":1.9"))?;
            tx.put_text(&diverted(3, ":1.4"))?;
            tx.put_text(&text(4))?;
            let of = |owner| tx.diverted_texts(owner, 10).map(|texts| texts.iter().map(|t| t.id).collect::<Vec<_>>());
            assert_eq!((of(":1.4")?, of(":1.9")?, of(":1.5")?), (vec![id(3), id(1)], vec![id(2)], vec![]));
            assert_eq!(tx.diverted_texts(":1.4", 1)?, [diverted(3, ":1.4")]);
            assert!(!tx.was_released("token 1")?);
            tx.release(&diverted(1, ":1.4"), Timestamp(5))?;
            assert_eq!(
                (tx.was_released("token 1")?, tx.text(id(1))?, tx.text_by_token("token 1")?),
                (true, None, None)
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn lists_come_in_pages_newest_first() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            (0..7).try_for_each(|n| tx.put_text(&text(n)))?;
            (0..7).try_for_each(|n| tx.put_arrived(&arrived(n)))?;
            let mut pages = Vec::new();
            let mut before = None;
            loop {
                let page = tx.list_texts(before, 3)?;
                let Some((last, _)) = page.last() else { break };
                before = Some(*last);
                pages.push(page.iter().map(|(_, text)| text.id).collect::<Vec<_>>());
            }
            assert_eq!(pages, [vec![id(6), id(5), id(4)], vec![id(3), id(2), id(1)], vec![id(0)]]);
            let page = tx.list_arrived(None, 2)?;
            assert_eq!(page.iter().map(|(_, text)| text.id).collect::<Vec<_>>(), [id(6), id(5)]);
            assert_eq!(tx.list_arrived(Some(page[1].0), 100)?.len(), 5);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_damaged_row_is_set_aside_and_stands_in_no_others_way() {
    // Other bytes, or something of another type.
    for value in ["x'00'", "'text'", "7"] {
        is_set_aside(value);
    }
}

fn is_set_aside(value: &str) {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            for n in 0..3 {
                tx.put_text(&Text { token: Some(format!("token-{n}").into()), ..text(n) })?;
                tx.put_arrived(&arrived(n + 10))?;
            }
            tx.run(&format!("UPDATE texts SET record = {value} WHERE id = ?1"), [id(1).0])?;
            tx.run(&format!("UPDATE arrived SET record = {value} WHERE id = ?1"), [id(11).0])
        })
        .unwrap();
    let ids = |texts: Vec<Text>| texts.into_iter().map(|text| text.id).collect::<Vec<_>>();
    assert_eq!(ids(store.transaction(|tx| tx.live_texts()).unwrap()), [id(0), id(2)]);
    store
        .transaction(|tx| {
            assert_eq!(ids(tx.live_texts()?), [id(0), id(2)]);
            assert_eq!(tx.text(id(1))?, None);
            assert_eq!(tx.list_texts(None, 10)?.len(), 2);
            assert_eq!(tx.list_arrived(None, 10)?.len(), 2);
            assert_eq!(tx.arrived(id(11))?, None);
            // Its token is free: whoever repeats the text with it is not refused for ever.
            assert_eq!(tx.text_by_token("token-1")?, None);
            tx.put_text(&Text { token: Some("token-1".into()), ..text(4) })?;
            let kept = tx.first("SELECT count(*) FROM texts WHERE live = 2", [], |row| row.get::<_, i64>(0))?;
            assert_eq!(kept, Some(1), "it stays on disk");
            Ok(())
        })
        .unwrap();
    let later = Timestamp(NOW.0 + 91 * 24 * 3600 * 1000);
    assert_eq!(store.purge(later).unwrap(), Purged::Done);
    let left = store.transaction(|tx| tx.first("SELECT count(*) FROM texts", [], |row| row.get::<_, i64>(0))).unwrap();
    assert_eq!(left, Some(3), "as long as a final one; what is under way is never purged");
}

#[test]
fn what_became_of_texts_without_the_store_is_taken_over() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let with_token = |n| Text { token: Some("token".into()), ..text(n) };
    store.transaction(|tx| tx.put_text(&with_token(1))).unwrap();
    let mut meanwhile = Store::volatile().unwrap();
    meanwhile
        .transaction(|tx| {
            tx.put_text(&Text { state: State::SmsSent, ..text(1) })?;
            tx.put_text(&Text { state: State::SmsSent, ..with_token(2) })?;
            tx.put_arrived(&arrived(11))?;
            tx.put_arrived(&Arrived { acknowledged: true, ..arrived(12) })
        })
        .unwrap();
    let shown = [11, 12, 13].map(|n: u8| (vec![n], arrived(n.into())));
    store.take_over(&mut meanwhile, &shown).unwrap();
    store
        .transaction(|tx| {
            assert_eq!(tx.live_texts()?, [], "nothing is sent again");
            assert_eq!(tx.text(id(2))?.map(|text| text.state), Some(State::SmsSent));
            assert_eq!(tx.text_by_token("token")?.map(|text| text.id), Some(id(1)));
            let waits = |n| Ok::<_, StoreError>(tx.arrived(id(n))?.map(|sms| !sms.acknowledged));
            assert_eq!((waits(11)?, waits(12)?, waits(13)?), (Some(true), Some(false), None), "13 was deleted");
            for told_by in [11, 12, 13] {
                assert!(tx.sms_seen(tx.digest("sms", &[told_by]), NOW)?, "none is shown again");
            }
            Ok(())
        })
        .unwrap();
}
