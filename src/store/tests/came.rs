//! Texts that came, and what is remembered of them.

use super::*;
use crate::model::Shown;

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
            tx.put_sms_shown([7; 32], id(9), Timestamp(100))?;
            tx.touch_sms_seen([7; 32], Timestamp(200))?;
            assert_eq!(
                (tx.sms_text([7; 32])?, tx.sms_text([5; 32])?, tx.sms_text([6; 32])?),
                (Some(id(9)), None, None)
            );
            Ok(())
        })
        .unwrap();
}
