use super::*;
use crate::model::{PeerPolicy, Shown};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn purge_at(store: &mut Store, now: Timestamp) {
    while store.purge(now).unwrap() == Purged::More {}
}

#[test]
fn texts_go_ninety_days_after_they_are_final_and_never_before() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            tx.put_text(&Text { state: State::SmsSent, ..text(1) })?;
            tx.put_text(&text(2))
        })
        .unwrap();
    purge_at(&mut store, NOW.plus(SENT));
    assert!(store.transaction(|tx| tx.text(id(1))).unwrap().is_some());
    purge_at(&mut store, NOW.plus(SENT).plus(HOUR));
    assert!(store.transaction(|tx| tx.text(id(1))).unwrap().is_none());
    assert!(store.transaction(|tx| tx.text(id(2))).unwrap().is_some(), "an unsettled one stays");
}

#[test]
fn an_ordinal_outlives_its_text_for_fourteen_days() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let wording = WordingKey([1; 32]);
    store
        .transaction(|tx| {
            tx.put_text(&text(0))?;
            assert!(tx.delete_text(id(0))?);
            Ok(())
        })
        .unwrap();
    let soon = NOW.plus(ORDINALS);
    purge_at(&mut store, soon);
    assert_eq!(store.transaction(|tx| tx.ordinal(wording, soon.minus(ORDINALS))).unwrap(), 1);
    let later = soon.plus(HOUR);
    assert_eq!(store.transaction(|tx| tx.ordinal(wording, later.minus(ORDINALS))).unwrap(), 0);
    purge_at(&mut store, later);
    let left: i64 = store.db.query_row("SELECT count(*) FROM ordinals", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn what_was_shown_is_known_for_seven_days_its_id_and_repeated_sms_for_ninety() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let shown = Shown { id: id(1), bearer: Bearer::Im, at: NOW };
    store
        .transaction(|tx| {
            tx.put_arrived(&arrived(1))?;
            tx.put_shown(WordingKey([1; 32]), 0, &shown)?;
            tx.put_revoked(id(2), NOW)?;
            tx.put_sms_seen([1; 32], NOW)?;
            tx.delete_arrived(id(1))?;
            Ok(())
        })
        .unwrap();
    let known = |store: &mut Store, at: Timestamp| {
        purge_at(store, at);
        store
            .transaction(|tx| {
                let twin = tx.shown(WordingKey([1; 32]), 0)?.is_some();
                Ok((twin, tx.im_shown(id(1))?, tx.is_revoked(id(2))?, tx.sms_seen([1; 32], Timestamp(0))?))
            })
            .unwrap()
    };
    assert_eq!(known(&mut store, NOW.plus(SHOWN)), (true, true, true, true));
    assert_eq!(known(&mut store, NOW.plus(SHOWN).plus(HOUR)), (false, true, true, true));
    // Repeated, it is known for as long again.
    let again = NOW.plus(SHOWN);
    store.transaction(|tx| tx.put_im_shown(id(1), again).and(tx.put_im_shown(id(2), NOW))).unwrap();
    assert_eq!(known(&mut store, NOW.plus(SMS_SEEN)), (false, true, true, true));
    assert_eq!(known(&mut store, NOW.plus(IM_SEEN).plus(HOUR)), (false, true, false, false));
    assert_eq!(known(&mut store, again.plus(IM_SEEN).plus(HOUR)), (false, false, false, false));
}

#[test]
fn a_text_that_no_app_took_stays_for_ever() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            tx.put_arrived(&arrived(1))?;
            tx.put_arrived(&arrived(2))?;
            tx.acknowledge(id(2))
        })
        .unwrap();
    purge_at(&mut store, NOW.plus(Duration::from_secs(10 * 365 * 24 * 3600)));
    assert_eq!(store.transaction(|tx| tx.list_arrived(None, 10)).unwrap().len(), 1);
    assert_eq!(store.transaction(|tx| tx.arrived(id(1))).unwrap(), Some(arrived(1)));
}

#[test]
fn only_strangers_are_forgotten_with_their_sessions() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let stranger = PeerRecord { touched: NOW, ..PeerRecord::default() };
    let peers = [
        stranger.clone(),
        PeerRecord { wrote_to: true, ..stranger.clone() },
        PeerRecord { blocked: true, ..stranger.clone() },
        PeerRecord { policy: PeerPolicy::SmsOnly, ..stranger },
    ];
    store
        .transaction(|tx| {
            (1..).zip(&peers).try_for_each(|(n, peer)| {
                tx.put_peer(&number(n), peer)?;
                tx.put_sessions(&number(n), &[b"pickle"])
            })
        })
        .unwrap();
    let left = |store: &mut Store, at: Timestamp| {
        purge_at(store, at);
        let kept = |tx: &Tx<'_>, n| Ok(tx.peer(&number(n))?.is_some() && !tx.sessions(&number(n))?.is_empty());
        store.transaction(|tx| (1..=4).map(|n| kept(tx, n)).collect::<Result<Vec<_>, StoreError>>()).unwrap()
    };
    assert_eq!(left(&mut store, NOW.plus(STRANGERS)), [true; 4]);
    assert_eq!(left(&mut store, NOW.plus(STRANGERS).plus(HOUR)), [false, true, true, true]);
    let sessions: i64 = store.db.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 3);
}

#[test]
fn an_envelope_goes_when_its_text_is_final_or_gone() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            for n in 1..=3 {
                tx.put_text(&text(n))?;
                tx.put_envelope(id(n), b"e")?;
            }
            tx.put_text(&Text { state: State::ImDelivered, ..text(2) })?;
            tx.delete_text(id(3))
        })
        .unwrap();
    purge_at(&mut store, NOW);
    let kept = store.transaction(|tx| (1..=3).map(|n| tx.envelope(id(n))).collect::<Result<Vec<_>, _>>()).unwrap();
    assert_eq!(kept, [Some(b"e".to_vec()), None, None]);
}

#[test]
fn the_ledger_is_bounded_by_rows_and_by_age_and_its_totals_stay() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let entry = LedgerEntry { at: NOW, kind: "text".into(), pseudonym: "a".into(), size: 5 };
    let rows = |store: &mut Store| store.transaction(|tx| tx.ledger_since(Timestamp(0), 10)).unwrap().len();
    store.transaction(|tx| tx.ledger_append(&[entry.clone(), entry.clone()])).unwrap();
    assert_eq!(rows(&mut store), 2);
    // As if nearly as many as may be kept had followed.
    let next = LEDGER_ROWS + 1;
    store.db.execute("DELETE FROM ledger WHERE seq = 2", []).unwrap();
    store.db.execute("INSERT INTO ledger SELECT ?1, at, kind, size, pseudonym FROM ledger", [LEDGER_ROWS]).unwrap();
    store.db.execute("DELETE FROM ledger WHERE seq = ?1", [LEDGER_ROWS - 1]).unwrap();
    store.db.execute("UPDATE ledger SET pseudonym = (SELECT pseudonym FROM ledger WHERE seq = 1)", []).unwrap();
    store.transaction(|tx| tx.ledger_append(&[entry])).unwrap();
    let oldest: i64 = store.db.query_row("SELECT min(seq) FROM ledger", [], |row| row.get(0)).unwrap();
    let newest: i64 = store.db.query_row("SELECT max(seq) FROM ledger", [], |row| row.get(0)).unwrap();
    assert_eq!((oldest, newest), (LEDGER_ROWS, next));
    purge_at(&mut store, NOW.plus(LEDGER).plus(HOUR));
    assert_eq!(rows(&mut store), 0);
    assert_eq!(store.transaction(|tx| tx.ledger_totals()).unwrap()[0].frames, 3);
}

#[test]
fn a_purge_takes_few_rows_at_a_time_so_that_no_text_waits() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            (0..1200_u16).try_for_each(|n| {
                let mut digest = [0; 32];
                digest[..2].copy_from_slice(&n.to_be_bytes());
                tx.put_sms_seen(digest, NOW)
            })
        })
        .unwrap();
    let later = NOW.plus(SMS_SEEN).plus(HOUR);
    let steps: Vec<_> = (0..3).map(|_| store.purge(later).unwrap()).collect();
    assert_eq!(steps, [Purged::More, Purged::More, Purged::Done]);
}

#[test]
fn a_clock_that_was_never_set_forgets_nothing() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.transaction(|tx| tx.put_sms_seen([1; 32], Timestamp(i64::MIN))).unwrap();
    purge_at(&mut store, Timestamp(1000));
    assert!(store.transaction(|tx| tx.sms_seen([1; 32], Timestamp(i64::MIN))).unwrap());
}
