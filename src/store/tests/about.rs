//! What is kept besides texts: peers, sessions, settings, secrets, the ledger.

use super::*;
use crate::model::{Consent, FallbackPolicy, PeerPolicy, PresencePolicy, Settings, Switched};

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
            assert_eq!((tx.settings()?, tx.blob(Blob::Identity)?), (None, None));
            tx.put_settings(&settings)?;
            tx.put_switch(&switch)?;
            tx.put_blob(Blob::Identity, b"secret")?;
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
            assert_eq!(tx.blob(Blob::Identity)?.unwrap().as_slice(), b"secret");
            tx.drop_blob(Blob::Identity)?;
            assert_eq!(tx.blob(Blob::Identity)?, None);
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
