use super::*;
use crate::model::{
    Cause, Consent, Diverted, FallbackPolicy, ImAttempt, LeaseId, PeerPolicy, PresencePolicy, Question, Settings,
    Shown, SmsAttempt, Switched,
};
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
            let find = |to: u64, reference, since| {
                let to = Address(number(to).as_e164().into());
                tx.text_by_sms_reference(&to, reference, Timestamp(since)).map(|text| text.map(|text| text.id))
            };
            assert_eq!(find(1, 8, 0)?, Some(id(2)));
            assert_eq!(find(1, 7, 0)?, Some(id(1)));
            assert_eq!(find(1, 7, 150)?, None);
            assert_eq!(find(2, 8, 0)?, Some(id(3)));
            assert_eq!(find(2, 7, 0)?, None);
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
        diverted: Some(Diverted { object: "/SMS/3".into(), owner: owner.into(), waits: true }),
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
fn an_ims_number_is_never_anothers() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            (0..3).try_for_each(|n| tx.put_arrived(&Arrived { bearer: Bearer::Im, ..arrived(n) }))?;
            tx.put_arrived(&Arrived { bearer: Bearer::Sms, ..arrived(3) })?;
            let numbers = || {
                let page = tx.inbox(0, (10, 1000))?;
                assert!(!page.more);
                Ok::<_, StoreError>(page.texts.iter().map(|(number, text)| (*number, text.id)).collect())
            };
            let before: Vec<_> = numbers()?;
            assert_eq!(before.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [id(0), id(1), id(2)], "IMs alone");
            (0..4).try_for_each(|n| tx.delete_arrived(id(n)).map(drop))?;
            tx.put_arrived(&Arrived { bearer: Bearer::Im, ..arrived(4) })?;
            let after: Vec<_> = numbers()?;
            assert!(after.len() == 1 && before.iter().all(|(number, _)| *number < after[0].0), "{before:?} {after:?}");
            Ok(())
        })
        .unwrap();
}

#[test]
fn instant_messages_come_in_pages_bounded_by_number_and_size() {
    let home = Home::new();
    home.open()
        .unwrap()
        .transaction(|tx| {
            let body = |n: u64| Body("x".repeat(if n == 4 { 5000 } else { 100 }).into());
            (0..7).try_for_each(|n| tx.put_arrived(&Arrived { bearer: Bearer::Im, body: body(n), ..arrived(n) }))?;
            let mut pages = Vec::new();
            let mut after = 0;
            loop {
                let page = tx.inbox(after, (3, 1000))?;
                after = page.texts.last().unwrap().0;
                pages.push(page.texts.into_iter().map(|(_, text)| text.id).collect::<Vec<_>>());
                if !page.more {
                    break;
                }
            }
            assert_eq!(pages, [vec![id(0), id(1), id(2)], vec![id(3), id(4)], vec![id(5), id(6)]]);
            assert_eq!(tx.inbox(after, (3, 1000))?, Inbox::default());
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
fn an_incoming_text_waits_until_it_is_acknowledged() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.transaction(|tx| (1..=2).try_for_each(|n| tx.put_arrived(&arrived(n)))).unwrap();
    drop(store);
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            let waiting = |tx: &Tx<'_>| -> Result<Vec<_>, StoreError> {
                let start = Place { at: Timestamp(0), id: TextId([0; 16]) };
                Ok(tx.arrived_after(start, None, true, 10)?.into_iter().map(|place| place.id).collect())
            };
            assert_eq!(waiting(tx)?, [id(1), id(2)]);
            assert!(tx.acknowledge(id(1))?);
            assert!(!tx.acknowledge(id(9))?);
            assert_eq!(waiting(tx)?, [id(2)]);
            assert_eq!(tx.arrived(id(1))?, Some(Arrived { acknowledged: true, ..arrived(1) }));
            assert!(tx.delete_arrived(id(1))?);
            assert_eq!(tx.arrived(id(1))?, None);
            assert!(tx.im_shown(id(1))?, "that it was shown outlives it");
            Ok(())
        })
        .unwrap();
}

#[test]
fn nobody_overwrites_an_incoming_text() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.transaction(|tx| tx.put_arrived(&arrived(1))).unwrap();
    let forged = Arrived { body: Body("something else".into()), ..arrived(1) };
    assert!(matches!(store.transaction(|tx| tx.put_arrived(&forged)), Err(StoreError::Duplicate)));
    assert_eq!(store.transaction(|tx| tx.arrived(id(1))).unwrap(), Some(arrived(1)));
}

#[test]
fn the_first_word_about_an_im_stays() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            assert!(!tx.im_seen(id(1))?);
            tx.put_im_shown(id(1), NOW)?;
            tx.put_revoked(id(1), NOW)?;
            assert!(tx.im_shown(id(1))? && !tx.is_revoked(id(1))?);
            tx.put_revoked(id(2), NOW)?;
            tx.put_im_shown(id(2), NOW)?;
            assert!(tx.is_revoked(id(2))? && !tx.im_shown(id(2))?);
            // An SMS's id is our own: it says nothing about an IM.
            tx.put_arrived(&Arrived { bearer: Bearer::Sms, ..arrived(3) })?;
            assert!(!tx.im_seen(id(3))?);
            Ok(())
        })
        .unwrap();
}

#[test]
fn twins_and_repeated_sms_are_remembered() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let shown = Shown { id: id(1), bearer: Bearer::Sms, at: NOW };
    store
        .transaction(|tx| {
            tx.put_shown(WordingKey([1; 32]), 3, &shown)?;
            assert_eq!(tx.shown(WordingKey([1; 32]), 3)?, Some(shown));
            assert_eq!(tx.shown(WordingKey([1; 32]), 2)?, None);
            assert_eq!(tx.shown(WordingKey([2; 32]), 3)?, None);

            tx.put_sms_seen([5; 32], Timestamp(100))?;
            assert!(tx.sms_seen([5; 32], Timestamp(100))?);
            assert!(!tx.sms_seen([5; 32], Timestamp(101))?);
            tx.touch_sms_seen([5; 32], Timestamp(200))?;
            tx.touch_sms_seen([6; 32], Timestamp(200))?;
            assert!(tx.sms_seen([5; 32], Timestamp(101))?);
            assert!(!tx.sms_seen([6; 32], Timestamp(0))?);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_peer_is_found_by_its_number() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let record = PeerRecord {
        policy: PeerPolicy::ImOnly,
        blocked: true,
        pseudonyms: vec!["aexample".into()],
        pinned_identity: Some([1; 64]),
        new_identity: Some([2; 64]),
        certificate_issued: Some(Timestamp(5)),
        bundle_dated: Some(Timestamp(6)),
        trust: crate::model::Trust::Verified,
        certificate_expires: Some(Timestamp(9)),
        proof_known: Some(Timestamp(8)),
        wrote_to: true,
        touched: NOW,
    };
    store
        .transaction(|tx| {
            tx.put_peer(&number(1), &PeerRecord::default())?;
            tx.put_peer(&number(1), &record)?;
            tx.put_peer(&number(2), &PeerRecord::default())?;
            assert_eq!(tx.peer(&number(1))?, Some(record));
            assert_eq!(tx.peer(&number(3))?, None);
            assert_eq!(tx.peers()?.len(), 2);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_newest_four_sessions_are_kept_in_order() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            let kept = |n| tx.sessions(&number(n)).map(|all| all.iter().map(|s| s.to_vec()).collect::<Vec<_>>());
            tx.put_sessions(&number(1), &[b"a", b"b", b"c", b"d", b"e"])?;
            assert_eq!(kept(1)?, [b"a", b"b", b"c", b"d"]);
            tx.put_sessions(&number(1), &[b"f", b"a"])?;
            assert_eq!(kept(1)?, [b"f", b"a"]);
            assert!(kept(2)?.is_empty());
            tx.put_sessions::<Vec<u8>>(&number(1), &[])?;
            assert!(kept(1)?.is_empty());
            Ok(())
        })
        .unwrap();
}

#[test]
fn settings_switch_and_secrets_are_kept() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let settings = Settings {
        fallback_after: 30,
        fallback_policy: FallbackPolicy::Never,
        allow_roaming: true,
        allow_metered: false,
        presence_policy: PresencePolicy::Mutual,
        read_receipts: true,
    };
    let consent = Some(Consent { text: "terms-3".into(), locale: "de_DE".into() });
    let switch = Switch { on: true, switched: Some(Switched { at: NOW, uid: 1000, unit: "settings".into(), consent }) };
    store
        .transaction(|tx| {
            assert_eq!((tx.settings()?, tx.blob("identity")?), (None, None));
            tx.put_settings(&settings)?;
            tx.put_switch(&switch)?;
            tx.put_blob("identity", b"secret")?;
            tx.put_envelope(id(1), b"sealed")?;
            Ok(())
        })
        .unwrap();
    drop(store);
    home.open()
        .unwrap()
        .transaction(|tx| {
            assert_eq!(tx.settings()?, Some(settings));
            assert_eq!(tx.switch()?, switch);
            assert_eq!(tx.blob("identity")?.unwrap().as_slice(), b"secret");
            tx.drop_blob("identity")?;
            assert_eq!(tx.blob("identity")?, None);
            assert_eq!(tx.envelope(id(1))?, Some(b"sealed".to_vec()));
            tx.drop_envelope(id(1))?;
            assert_eq!(tx.envelope(id(1))?, None);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_ledger_tells_what_left_and_its_totals() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let entry =
        |at, kind: &str, size| LedgerEntry { at: Timestamp(at), kind: kind.into(), pseudonym: "aexample".into(), size };
    let total = |kind: &str, frames, bytes| LedgerTotal { kind: kind.into(), frames, bytes };
    store
        .transaction(|tx| {
            tx.ledger_append(&[entry(1, "text", 100), entry(2, "probe", 50)])?;
            tx.ledger_append(&[entry(3, "text", u32::MAX), entry(3, "text", 1)])?;
            assert_eq!(tx.ledger_since(Timestamp(2), 2)?, [entry(2, "probe", 50), entry(3, "text", u32::MAX)]);
            assert_eq!(tx.ledger_totals()?, [total("probe", 1, 50), total("text", 3, 4_294_967_396)]);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_damaged_row_is_set_aside_and_stands_in_no_others_way() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            for n in 0..3 {
                tx.put_text(&Text { token: Some(format!("token-{n}").into()), ..text(n) })?;
                tx.put_arrived(&arrived(n + 10))?;
            }
            tx.run("UPDATE texts SET record = x'00' WHERE id = ?1", [id(1).0])?;
            tx.run("UPDATE arrived SET record = x'00' WHERE id = ?1", [id(11).0])
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
