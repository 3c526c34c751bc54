//! What is kept besides texts: peers, sessions, settings, secrets, the ledger.

use super::*;
use crate::model::{Consent, FallbackPolicy, PeerPolicy, PresencePolicy, Settings, Switched, Trust};

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
        trust: Trust::Verified,
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
            assert_eq!(tx.peers()?.known.len(), 2);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_the_user_said_of_a_peer_outlives_damage_to_either_copy_and_is_known_to_be_lost_with_both() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let said = |policy, blocked, trust| PeerRecord { policy, blocked, trust, ..PeerRecord::default() };
    let learned = |record| PeerRecord {
        pinned_identity: Some([1; 64]),
        pseudonyms: vec!["aexample".into()],
        bundle_dated: Some(NOW),
        wrote_to: true,
        ..record
    };
    let peers = [
        said(PeerPolicy::Auto, false, Trust::Pinned),
        said(PeerPolicy::ImOnly, false, Trust::Pinned),
        said(PeerPolicy::SmsOnly, false, Trust::Pinned),
        said(PeerPolicy::Auto, true, Trust::Pinned),
        said(PeerPolicy::Auto, false, Trust::Verified),
        said(PeerPolicy::Auto, false, Trust::Lapsed),
    ];
    let mut after = |damaged: &[&str], value: &str| {
        store
            .transaction(|tx| {
                (1..).zip(&peers).try_for_each(|(n, record)| tx.put_peer(&number(n), &learned(record.clone())))?;
                for column in damaged {
                    tx.run(&format!("UPDATE peers SET {column} = {value} WHERE {column} IS NOT NULL"), [])?;
                }
                let mut all = tx.peers()?;
                all.known.sort_by(|one, other| one.0.cmp(&other.0));
                let keys: Vec<_> = (1..=6).map(|n| tx.number_key(&number(n))).collect();
                Ok((all, keys))
            })
            .unwrap()
    };
    let all = |peers: &[PeerRecord], from: u64| (from..).map(number).zip(peers.to_vec()).collect::<Vec<_>>();
    let (found, _) = after(&[], "");
    let whole: Vec<_> = peers.iter().cloned().map(learned).collect();
    assert_eq!(found, AllPeers { known: all(&whole, 1), unreadable: vec![] });
    // Other bytes, or something of another type.
    for value in ["x'00'", "'text'", "7", "0.5"] {
        let (found, _) = after(&["said"], value);
        assert_eq!(found.known, all(&whole, 1), "the record has it too");
        let (found, _) = after(&["record"], value);
        let words: Vec<_> =
            peers[1..].iter().map(|record| PeerRecord { pinned_identity: Some([1; 64]), ..record.clone() }).collect();
        assert_eq!(found, AllPeers { known: all(&words, 2), unreadable: vec![] }, "of the first nothing was said");
        let (found, keys) = after(&["record", "said"], value);
        let (mut lost, mut expected) = (found.unreadable, keys[1..].to_vec());
        lost.sort_unstable();
        expected.sort_unstable();
        assert_eq!((found.known, lost), (vec![], expected));
    }
}

#[test]
fn a_peer_whose_key_is_damaged_costs_no_other_one() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            for (n, key) in (1..).zip(["x'00'", "'text'", "7"]) {
                tx.put_peer(&number(n), &PeerRecord { blocked: true, ..PeerRecord::default() })?;
                tx.run(&format!("UPDATE peers SET number = {key} WHERE number = ?1"), [tx.number_key(&number(n))])?;
            }
            tx.put_peer(&number(4), &PeerRecord::default())?;
            let all = tx.peers()?;
            assert_eq!(all, AllPeers { known: vec![(number(4), PeerRecord::default())], unreadable: vec![] });
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
