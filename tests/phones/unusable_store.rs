//! A store that can't be used never takes SMS down (protocol.md §7).

use super::{ALICE, BOB, files, world};
use shunt_kit::Incoming;
use shunt_kit::phone::{Phone, ShuntConfig};
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
    passes_by_sms_with(world, alice, reason, world.config()).await;
}

async fn passes_by_sms_with(world: &World, alice: &mut Phone, reason: &str, config: ShuntConfig) {
    let before = files(&alice.state_dir());
    alice.start_shunt(config).await.unwrap();
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

/// Waits for the daemons to end because the store can be used again; each look at it comes with a turn.
async fn until_they_end(alice: &mut Phone) {
    let client = alice.shunt().clone();
    let turns = async {
        let mut pause = tokio::time::interval(std::time::Duration::from_secs(1));
        loop {
            pause.tick().await;
            let _gone = client.list().await;
        }
    };
    let ended = async {
        tokio::select! {
            ended = alice.shunt_ended() => ended,
            never = turns => never,
        }
    };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(120), ended).await.expect("it did not come back");
    assert_eq!(ended.unwrap().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_locked_until_the_first_unlock_comes_back_by_itself() {
    let world = world().await;
    let mut alice = world.phone(ALICE).await.unwrap();
    alice.stop_shunt().await.unwrap();
    // The same key, out of the system's key store: locked as long as that has none.
    let (key, locked) = (alice.dir().join("user.key"), alice.dir().join("locked.key"));
    std::fs::copy(alice.state_dir().join("key"), &key).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let mut config = world.config();
    let command = format!("cat {} 2>/dev/null || exit 75", key.display());
    config.toml.push_str(&format!("[store]\nkey = {{ command = [\"/bin/sh\", \"-c\", \"{command}\"] }}\n"));
    alice.start_shunt(config.clone()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let identity = alice.shunt().identity().await.unwrap();
    alice.stop_shunt().await.unwrap();
    std::fs::rename(&key, &locked).unwrap();
    passes_by_sms_with(&world, &mut alice, "store-locked", config.clone()).await;
    alice.start_shunt(config.clone()).await.unwrap();
    std::fs::rename(&locked, &key).unwrap();
    until_they_end(&mut alice).await;
    alice.start_shunt(config).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    assert_eq!(alice.shunt().identity().await.unwrap(), identity);
}

/// A phone that is online, and its store's disk. Once that is full, a commit fails that needs a page which is not there.
async fn on_a_disk(world: &World) -> (Phone, Tmpfs) {
    let mut alice = world.builder(ALICE).start().await.unwrap();
    let disk = Tmpfs::mount(&alice.state_dir(), "2m");
    alice.start_shunt(world.config()).await.unwrap();
    world.enrol(&alice).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    // The last that it writes by itself.
    alice.logged("the account has a new secret", 1).await.unwrap();
    (alice, disk)
}

/// A phone that was online until its disk ran full, the disk, and the texts that it sent meanwhile.
async fn run_full(world: &World) -> (Phone, Tmpfs, Vec<String>) {
    let (alice, disk) = on_a_disk(world).await;
    disk.fill();
    let mut sent = Vec::new();
    while alice.shunt().state().await.unwrap().1 != "store-full" {
        assert!(sent.len() < 500, "the disk is full, and nothing was said");
        let text = format!("number {}", sent.len());
        let options = [("bearer", "sms".into())].into();
        let path = alice.shunt().send_with("+4915112345699", &text, options).await.unwrap();
        assert_eq!(alice.shunt().wait_state(&path, &["sms-sent"]).await.unwrap(), "sms-sent");
        sent.push(text);
    }
    (alice, disk, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn off_outlasts_a_full_disk_and_what_does_not_last_is_refused() {
    let world = world().await;
    let (mut alice, disk, _) = run_full(&world).await;
    let refused = alice.shunt().block(BOB, true).await.unwrap_err();
    assert_eq!(error_name(&refused).as_deref(), Some("org.shunt.Error.Store"));
    alice.shunt().set_enabled(false).await.unwrap();
    disk.empty();
    until_they_end(&mut alice).await;
    alice.start_shunt(world.config()).await.unwrap();
    assert_eq!(alice.shunt().state().await.unwrap().0, "off");
    assert!(!alice.shunt().enabled().await.unwrap(), "the store says On, and the user said Off");
    go_online(alice.shunt()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_runs_full_lets_sms_pass_and_comes_back_by_itself() {
    let world = world().await;
    let (mut alice, disk, sent) = run_full(&world).await;
    assert!(!alice.shunt().enabled().await.unwrap(), "it counts as off");
    let before = std::fs::read(database(&alice)).unwrap();
    let path = alice.shunt().send(BOB, "out, on a full disk").await.unwrap();
    assert_eq!(alice.shunt().wait_state(&path, &["sms-sent"]).await.unwrap(), "sms-sent");
    world.smsc.inject(ALICE, &Incoming::text(BOB, "in, on a full disk"));
    alice.shunt().wait_received(|text| text.text == "in, on a full disk").await.unwrap();
    assert!(std::fs::read(database(&alice)).unwrap() == before, "the store was changed");
    disk.empty();
    until_they_end(&mut alice).await;
    alice.start_shunt(world.config()).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    let listed = alice.shunt().list().await.unwrap();
    assert!(listed.contains(&path), "what was sent meanwhile is known");
    // So is what came: it waits for an app still, and the modem's own copy is told nobody again.
    world.smsc.inject(ALICE, &Incoming::text(BOB, "in, after it"));
    alice.shunt().wait_received(|text| text.text == "in, after it").await.unwrap();
    let waiting = alice.shunt().earlier().iter().filter(|text| text.text == "in, on a full disk").count();
    assert_eq!((waiting, alice.shunt().shown("in, on a full disk")), (1, 0));
    // An IM now shows that whatever was to be sent again at this start was.
    let bodies: Vec<String> = world.smsc.submitted_by(ALICE).into_iter().filter_map(|text| text.text).collect();
    for text in sent.iter().map(String::as_str).chain(["out, on a full disk"]) {
        assert_eq!(bodies.iter().filter(|body| *body == text).count(), 1, "{text}");
    }
    drop(alice);
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sms_whose_commit_fails_is_shown_and_stays_with_the_modem_until_it_can_be_kept() {
    let world = world().await;
    let (mut alice, disk) = on_a_disk(&world).await;
    disk.fill();
    let came = async |text: &str| {
        world.smsc.inject(ALICE, &Incoming::text(BOB, text));
        alice.shunt().wait_received(|got| got.text == text).await.unwrap();
    };
    let mut n = 0;
    let failed = loop {
        let text = format!("number {n}");
        came(&text).await;
        if alice.shunt().state().await.unwrap().1 == "store-full" {
            break text;
        }
        // What is safe in the store leaves the modem.
        alice.modem().wait_emptied().await.unwrap();
        n += 1;
        assert!(n < 500, "the disk is full, and nothing was said");
    };
    // What was asked of the modem for the first would be done before the second is shown.
    came("one more").await;
    assert_eq!(alice.modem().stored(), 2, "it is nowhere else");
    assert_eq!((alice.shunt().shown(&failed), alice.shunt().shown("one more")), (1, 1));
    disk.empty();
    until_they_end(&mut alice).await;
    alice.start_shunt(world.config()).await.unwrap();
    alice.modem().wait_emptied().await.unwrap();
    let kept = alice.shunt().earlier();
    assert!([&*failed, "one more"].iter().all(|text| kept.iter().filter(|got| got.text == **text).count() == 1));
    assert!(alice.shunt().received().is_empty(), "nothing is shown twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_im_whose_commit_fails_is_neither_shown_nor_receipted_and_comes_once_by_sms() {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    bob.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let (alice, disk) = on_a_disk(&world).await;
    bob.shunt().send(ALICE, "acquainted").await.unwrap();
    alice.shunt().wait_received(|got| got.text == "acquainted").await.unwrap();
    disk.fill();
    let mut n = 0;
    let (failed, sent) = loop {
        let text = format!("number {n}");
        let sent = bob.shunt().send(ALICE, &text).await.unwrap();
        if alice.shunt().wait_received(|got| got.text == text).await.unwrap().bearer == "sms" {
            break (text, sent);
        }
        bob.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap();
        n += 1;
        assert!(n < 500, "the disk is full, and nothing was said");
    };
    assert_eq!(alice.shunt().state().await.unwrap(), ("off".to_owned(), "store-full".to_owned()));
    bob.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    assert!(bob.shunt().states(&sent).contains(&"im-sending".to_owned()), "its commit did not fail");
    assert!(!bob.shunt().states(&sent).contains(&"im-delivered".to_owned()), "it had a receipt");
    assert_eq!(alice.shunt().shown(&failed), 1);
    drop((alice, disk));
}

/// A small disk of its own.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"])
            .arg(at)
            .status();
        assert!(mounted.unwrap().success());
        Self(at.to_owned())
    }

    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while file.write(&[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_met_only_when_a_row_is_read_lets_sms_pass_too() {
    let world = world().await;
    let mut alice = stopped(&world).await;
    let database = rusqlite::Connection::open(database(&alice)).unwrap();
    assert_eq!(database.execute("UPDATE blobs SET value = x'00' WHERE name = 'account'", []).unwrap(), 1);
    drop(database);
    alice.start_shunt(world.config()).await.unwrap();
    let shunt = alice.shunt();
    assert_eq!(shunt.state().await.unwrap(), ("off".to_owned(), "store-corrupt".to_owned()));
    let sent = shunt.send(BOB, "out, without a store").await.unwrap();
    assert_eq!(shunt.wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
}
