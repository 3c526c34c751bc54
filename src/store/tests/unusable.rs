use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Everything in a directory, so that a test can say that nothing was overwritten.
fn contents(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = [home.state(), home.witness()]
        .iter()
        .flat_map(|dir| fs::read_dir(dir).unwrap())
        .map(|entry| entry.unwrap().path())
        // An index in shared memory and an empty log are not content.
        .filter(|path| path.is_file() && !path.ends_with("store.db-shm"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .filter(|(path, bytes)| !(path.ends_with("store.db-wal") && bytes.is_empty()))
        .collect();
    files.sort();
    files
}

/// A store with one text, closed.
fn used() -> Home {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            tx.put_switch(&Switch { on: true, switched: None })?;
            tx.put_text(&text(1))
        })
        .unwrap();
    home
}

fn refused_untouched(home: &Home, token: &str) -> Unusable {
    let before = contents(home);
    let refused = home.open().unwrap_err();
    assert_eq!(refused.token(), token, "{refused}");
    assert_eq!(contents(home), before, "nothing may be overwritten");
    refused
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let home = used();
    rusqlite::Connection::open(home.database()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let refused = refused_untouched(&home, "store-newer-schema");
    assert!(matches!(refused, Unusable::NewerSchema { found: 99, known: 1 }));
}

#[test]
fn a_newer_schema_that_is_only_in_the_log_is_refused_untouched() {
    let home = used();
    let db = rusqlite::Connection::open(home.database()).unwrap();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(db);
    assert!(fs::metadata(home.state().join("store.db-wal")).unwrap().len() > 0);
    refused_untouched(&home, "store-newer-schema");
}

#[test]
fn a_second_process_is_refused() {
    let home = Home::new();
    let first = home.open().unwrap();
    assert!(matches!(home.open(), Err(Unusable::InUse)));
    drop(first);
    home.open().unwrap();
}

#[test]
fn the_wrong_key_is_refused_untouched() {
    let home = used();
    let before = contents(&home);
    assert!(matches!(home.open_with(8), Err(Unusable::KeyWrong)));
    assert_eq!(contents(&home), before);
    home.open().unwrap();
}

#[test]
fn bytes_that_are_no_database_are_refused_untouched() {
    let home = used();
    fs::write(home.database(), vec![0x5a; 9000]).unwrap();
    refused_untouched(&home, "store-corrupt");
}

#[test]
fn a_torn_header_or_schema_is_refused_untouched() {
    for offset in [16, 100, 108] {
        let home = used();
        let mut bytes = fs::read(home.database()).unwrap();
        bytes[offset..offset + 32].fill(0xff);
        fs::write(home.database(), bytes).unwrap();
        refused_untouched(&home, "store-corrupt");
    }
}

#[test]
fn a_truncated_database_is_refused_untouched() {
    for length in [0, 512, 4096, 20_000] {
        let home = used();
        let bytes = fs::read(home.database()).unwrap();
        fs::write(home.database(), &bytes[..length]).unwrap();
        refused_untouched(&home, "store-corrupt");
    }
}

#[test]
fn another_programs_database_is_refused_untouched() {
    let home = used();
    fs::remove_file(home.database()).unwrap();
    rusqlite::Connection::open(home.database()).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    refused_untouched(&home, "store-corrupt");
}

#[test]
fn a_damaged_row_is_no_text_and_no_other_one() {
    let home = used();
    let mut store = home.open().unwrap();
    store.db.execute("UPDATE texts SET record = randomblob(100)", []).unwrap();
    assert_eq!(store.transaction(|tx| tx.text(id(1))).unwrap(), None);
}

#[test]
fn a_cell_moved_to_another_row_does_not_open() {
    let home = used();
    let mut store = home.open().unwrap();
    store.transaction(|tx| tx.put_text(&text(2))).unwrap();
    store.db.execute("UPDATE texts SET body = (SELECT body FROM texts WHERE seq = 1) WHERE seq = 2", []).unwrap();
    assert_eq!(store.transaction(|tx| tx.text(id(2))).unwrap(), None);
}

#[test]
fn an_older_copy_is_refused_untouched() {
    let home = used();
    let copy = fs::read(home.database()).unwrap();
    drop(home.open().unwrap());
    fs::write(home.database(), copy).unwrap();
    let refused = refused_untouched(&home, "store-corrupt");
    assert!(matches!(refused, Unusable::Corrupt(Damage::RolledBack)));
}

#[test]
fn a_copy_made_before_a_rotation_is_refused() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    let copy = fs::read(home.database()).unwrap();
    store.rotate_generation().unwrap();
    drop(store);
    fs::write(home.database(), copy).unwrap();
    let _ = fs::remove_file(home.state().join("store.db-wal"));
    assert!(matches!(home.open(), Err(Unusable::Corrupt(Damage::RolledBack))));
}

#[test]
fn a_copy_on_another_system_is_refused_untouched() {
    let home = used();
    fs::remove_file(home.witness().join("generation")).unwrap();
    let refused = refused_untouched(&home, "store-corrupt");
    assert!(matches!(refused, Unusable::Corrupt(Damage::NoWitness)));
}

#[test]
fn a_store_begins_where_neither_its_directory_nor_the_generations_is() {
    let home = Home::new();
    let (state, generation) = (home.state(), home.state().join("no-backup"));
    let key = StoreKey::new([7; 32]);
    drop(Store::open(&state, &generation, &key).unwrap());
    assert_eq!(fs::metadata(&generation).unwrap().permissions().mode() & 0o777, 0o700);
    drop(Store::open(&state, &generation, &key).unwrap());
}

#[test]
fn a_vanished_store_is_not_begun_anew() {
    let home = used();
    fs::remove_file(home.database()).unwrap();
    let refused = refused_untouched(&home, "store-corrupt");
    assert!(matches!(refused, Unusable::Corrupt(Damage::Gone)));
    assert!(exists(&home.state(), &home.witness()), "no key may be made for it");
}

#[test]
fn a_crash_between_commit_and_witness_is_no_damage() {
    let home = used();
    // As if the last opening had died just before its rename.
    fs::rename(home.witness().join("generation"), home.witness().join("generation.next")).unwrap();
    fs::write(home.witness().join("generation"), [3; 32]).unwrap();
    let mut store = home.open().unwrap();
    assert!(store.transaction(|tx| tx.text(id(1))).unwrap().is_some());
}

#[test]
fn a_crash_while_beginning_a_store_leaves_nothing_in_the_way() {
    let home = Home::new();
    fs::create_dir(home.state()).unwrap();
    fs::write(home.database(), []).unwrap();
    fs::write(home.witness().join("generation.next"), [3; 32]).unwrap();
    home.open().unwrap();
}

#[test]
fn setting_aside_keeps_everything_and_begins_off() {
    let home = used();
    let bytes = fs::read(home.database()).unwrap();
    for round in 1..=2 {
        let aside = set_aside(&home.state(), &home.witness()).unwrap();
        assert!(aside.ends_with(format!("aside-{round}")));
        if round == 1 {
            assert_eq!(fs::read(aside.join("store.db")).unwrap(), bytes);
        }
        let mut store = home.open().unwrap();
        store
            .transaction(|tx| {
                assert_eq!(tx.switch()?, Switch::default());
                assert!(tx.list_texts(None, 10)?.is_empty());
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn a_store_that_was_set_aside_is_kept_for_thirty_days() {
    let home = used();
    let aside = set_aside(&home.state(), &home.witness()).unwrap();
    let mut store = home.open().unwrap();
    let set_at = fs::metadata(&aside).unwrap().modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    let set_at = Timestamp(i64::try_from(set_at.as_millis()).unwrap());
    let _purged = store.purge(set_at.plus(ASIDE)).unwrap();
    assert!(aside.exists());
    let _purged = store.purge(set_at.plus(ASIDE + std::time::Duration::from_millis(1))).unwrap();
    assert!(!aside.exists() && home.database().exists());
}

#[test]
fn an_unreadable_switch_is_off() {
    let home = used();
    let mut store = home.open().unwrap();
    assert!(store.transaction(|tx| tx.switch()).unwrap().on);
    store.db.execute("UPDATE blobs SET value = randomblob(60)", []).unwrap();
    assert!(!store.transaction(|tx| tx.switch()).unwrap().on);
    store.db.execute("DELETE FROM blobs", []).unwrap();
    assert!(!store.transaction(|tx| tx.switch()).unwrap().on);
}

#[test]
fn a_full_disk_fails_the_transaction_and_keeps_what_was_there() {
    let home = used();
    let mut store = home.open().unwrap();
    store.db.execute_batch("PRAGMA max_page_count = 1").unwrap();
    let mut long = text(2);
    long.body = Body("x".repeat(1_000_000).into());
    assert!(matches!(store.transaction(|tx| tx.put_text(&long)), Err(StoreError::Full)));
    store.db.execute_batch("PRAGMA max_page_count = 100000").unwrap();
    store
        .transaction(|tx| {
            assert_eq!(tx.text(id(1))?, Some(text(1)));
            assert_eq!(tx.text(id(2))?, None);
            Ok(())
        })
        .unwrap();
}

/// Runs one of the tests below in a process of its own whose mounts are nobody else's.
fn in_own_mounts(test: &str, script: &str, home: &Path) -> String {
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-ec", script, "sh"])
        .arg(exe)
        .arg(format!("store::tests::unusable::{test}"))
        .env("SHUNT_TEST_HOME", home)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// The inner half of the two tests below: says by which error opening fails. Without a home it is the outer
/// process that runs it, and there is nothing to try.
#[test]
fn inner_opening() {
    let Some(home) = std::env::var_os("SHUNT_TEST_HOME").map(PathBuf::from) else { return };
    let opened = Store::open(&home.join("state"), &home.join("witness"), &StoreKey::new([7; 32]));
    println!("opening: {}", opened.map_or_else(|error| error.token(), |_| "fine"));
}

const RUN: &str = r#""$1" --exact "$2" --nocapture"#;

#[test]
fn a_read_only_file_system_is_refused_untouched() {
    let home = Home::new();
    let (state, witness) = (home.root.path().join("state"), home.root.path().join("witness"));
    fs::create_dir(&witness).unwrap();
    drop(Store::open(&state, &witness, &StoreKey::new([7; 32])).unwrap());
    let before = fs::read(state.join("store.db")).unwrap();
    let script = format!(
        r#"mount --bind "$SHUNT_TEST_HOME" "$SHUNT_TEST_HOME"; mount -o remount,ro,bind "$SHUNT_TEST_HOME"; {RUN}"#
    );
    let said = in_own_mounts("inner_opening", &script, home.root.path());
    assert!(said.contains("opening: store-read-only"), "{said}");
    assert_eq!(fs::read(state.join("store.db")).unwrap(), before);
}

#[test]
fn a_full_file_system_is_refused() {
    let home = Home::new();
    let script = format!(
        r#"mount -t tmpfs -o size=64k none "$SHUNT_TEST_HOME"; mkdir "$SHUNT_TEST_HOME/state" "$SHUNT_TEST_HOME/witness"
        cat /dev/zero > "$SHUNT_TEST_HOME/state/other" 2>/dev/null || true; {RUN}"#
    );
    let said = in_own_mounts("inner_opening", &script, home.root.path());
    assert!(said.contains("opening: store-full"), "{said}");
}

#[test]
fn a_key_is_made_only_where_there_never_was_a_store() {
    let home = Home::new();
    let path = home.root.path().join("store.key");
    let source = KeySource::File(path.clone());
    assert!(matches!(source.load(true), Err(Unusable::KeyMissing(KeyFault::Absent))));
    assert!(!path.exists());
    let made = source.load(false).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(source.load(true).unwrap().bytes(), made.bytes());
    assert_ne!(made.bytes(), [0; 32]);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let home = Home::new();
    let path = home.root.path().join("store.key");
    fs::write(&path, [1; 32]).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = KeySource::File(path.clone()).load(true);
        assert!(matches!(loaded, Err(Unusable::KeyMissing(KeyFault::Exposed))));
    }
}

#[test]
fn a_key_is_32_bytes_or_64_hex_digits() {
    let home = Home::new();
    let path = home.root.path().join("store.key");
    let load = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        KeySource::File(path.clone()).load(true)
    };
    assert_eq!(load(&[9; 32]).unwrap().bytes(), [9; 32]);
    assert_eq!(load(format!(" {}\n", "0a".repeat(32)).as_bytes()).unwrap().bytes(), [10; 32]);
    for bad in [&b""[..], &[9; 31], &[9; 33], &[b'z'; 64], &[9; 5000]] {
        assert!(matches!(load(bad), Err(Unusable::KeyMissing(KeyFault::Malformed))));
    }
}

#[test]
fn a_credential_comes_from_its_directory_or_is_missing() {
    let home = Home::new();
    let missing = |source: KeySource| matches!(source.load(false), Err(Unusable::KeyMissing(KeyFault::NoCredential)));
    let credential = |directory, name: &str| KeySource::Credential { directory, name: name.to_owned() };
    assert!(missing(credential(None, "texts")));
    let source = credential(Some(home.root.path().into()), "texts");
    assert!(missing(source.clone()));
    fs::write(home.root.path().join("another"), [5; 32]).unwrap();
    assert!(missing(source.clone()), "only the one that is named");
    let path = home.root.path().join("texts");
    fs::write(&path, [4; 32]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    assert_eq!(source.load(true).unwrap().bytes(), [4; 32]);
}

#[test]
fn a_key_stores_command_gives_the_key_or_says_why_not() {
    let command = |script: &str| KeySource::Command(["/bin/sh", "-c", script].map(Into::into).into()).load(true);
    assert_eq!(command("printf %064d 0").unwrap().bytes(), [0; 32]);
    assert!(matches!(command("exit 75"), Err(Unusable::Locked)));
    assert!(matches!(command("exit 1"), Err(Unusable::KeyMissing(KeyFault::Command(_)))));
    assert!(matches!(command("echo short"), Err(Unusable::KeyMissing(KeyFault::Malformed))));
    assert!(matches!(KeySource::Command(Vec::new()).load(true), Err(Unusable::KeyMissing(KeyFault::Command(_)))));
}
