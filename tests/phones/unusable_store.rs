//! A store that can't be used never takes SMS down (protocol.md §7).

use super::{ALICE, BOB, files, world};
use shunt_kit::Incoming;
use shunt_kit::phone::Phone;
use shunt_kit::shunt::error_name;
use shunt_kit::world::{World, go_online};
use std::path::Path;

/// A phone whose switch is on and whose daemons are stopped.
async fn stopped(world: &World) -> Phone {
    let mut alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    alice.stop_shunt().await.unwrap();
    alice
}

/// Starts the daemons on the store as it is now, and shows that SMS passes both ways, that the reason
/// is told, and that nothing on disk is changed.
async fn passes_by_sms(world: &World, alice: &mut Phone, reason: &str) {
    let before = files(&alice.state_dir());
    alice.start_shunt(world.config()).await.unwrap();
    let shunt = alice.shunt();
    assert_eq!(shunt.state().await.unwrap(), ("off".to_owned(), reason.to_owned()));
    assert!(!shunt.enabled().await.unwrap(), "it was on, and counts as off");
    let refused = shunt.set_enabled(true).await.unwrap_err();
    assert_eq!(error_name(&refused).as_deref(), Some("org.shunt.Error.Store"));
    let route = shunt.route(BOB).await.unwrap();
    assert_eq!((route.bearer.as_str(), route.reason.as_str()), ("sms", "store"));
    let sent = shunt.send(BOB, "out, without a store").await.unwrap();
    assert_eq!(shunt.wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
    world.smsc.inject(ALICE, &Incoming::text(BOB, "in, without a store"));
    let got = shunt.wait_received(|text| text.text == "in, without a store").await.unwrap();
    assert_eq!(shunt.get(&got.path).await.unwrap().text("text"), "in, without a store");
    assert_eq!((alice.inet_sockets().unwrap(), alice.shunt_pid("shuntd-uplink")), (0, None));
    alice.stop_shunt().await.unwrap();
    // SQLite may leave an empty log beside a database that it has only read.
    let empty_log =
        |(path, content): &(std::path::PathBuf, Vec<u8>)| path.ends_with("store.db-wal") && content.is_empty();
    let mut after = files(&alice.state_dir());
    after.retain(|file| !empty_log(file));
    let names = |files: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<_> {
        files.iter().map(|(path, content)| (path.clone(), content.len())).collect()
    };
    assert_eq!(names(&after), names(&before), "files came or went");
    assert!(after == before, "the store's files were changed");
}

fn database(alice: &Phone) -> std::path::PathBuf {
    alice.state_dir().join("store.db")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_lets_sms_pass() {
    let world = world().await;
    let mut alice = stopped(&world).await;
    let mut bytes = std::fs::read(database(&alice)).unwrap();
    bytes.truncate(bytes.len() / 2);
    for byte in bytes.iter_mut().skip(100).step_by(7) {
        *byte ^= 0x5a;
    }
    std::fs::write(database(&alice), bytes).unwrap();
    passes_by_sms(&world, &mut alice, "store-corrupt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_version_lets_sms_pass() {
    let world = world().await;
    let mut alice = stopped(&world).await;
    // SQLite keeps `user_version` at offset 60, big-endian (Database File Format §1.3).
    let mut bytes = std::fs::read(database(&alice)).unwrap();
    bytes[60..64].copy_from_slice(&9999_u32.to_be_bytes());
    std::fs::write(database(&alice), bytes).unwrap();
    passes_by_sms(&world, &mut alice, "store-newer-schema").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_its_key_lets_sms_pass() {
    let world = world().await;
    let mut alice = stopped(&world).await;
    std::fs::remove_file(alice.state_dir().join("key")).unwrap();
    passes_by_sms(&world, &mut alice, "store-key-missing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cant_be_written_lets_sms_pass() {
    let world = world().await;
    let mut alice = stopped(&world).await;
    chown(&database(&alice), 0, 0o444);
    chown(&alice.state_dir(), 0, 0o555);
    passes_by_sms(&world, &mut alice, "store-read-only").await;
}

fn chown(path: &Path, uid: u32, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_store_is_set_aside_and_a_new_one_begins_off() {
    let world = world().await;
    let mut alice = stopped(&world).await;
    let copy = std::fs::read(database(&alice)).unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    let identity = alice.shunt().identity().await.unwrap();
    alice.stop_shunt().await.unwrap();
    for log in ["store.db-wal", "store.db-shm"] {
        let _absent = std::fs::remove_file(alice.state_dir().join(log));
    }
    std::fs::write(database(&alice), copy).unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    assert_eq!(alice.shunt().state().await.unwrap(), ("off".to_owned(), String::new()));
    assert!(!alice.shunt().enabled().await.unwrap());
    assert_ne!(alice.shunt().identity().await.unwrap(), identity);
    assert!(alice.state_dir().join("aside-1/store.db").exists());
}
