//! Withdrawals that are refused or interrupted.

use super::enrolment::{blank, enrol, enrolling, withdraw};
use super::{ALICE, BOB};
use shunt_kit::phone::Phone;
use shunt_kit::shunt::error_name;
use shunt_kit::world::World;

/// A phone that has enrolled and is online.
async fn online(world: &World) -> Phone {
    let alice = blank(world, ALICE).await;
    enrol(alice.shunt(), ALICE).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    alice
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_text_keeps_the_account_and_one_under_way_is_settled_first() {
    let world = enrolling().await;
    let alice = online(&world).await;
    let shunt = alice.shunt();
    shunt.set_policy(BOB, "im-only").await.unwrap();
    let held = shunt.send(BOB, "never downgraded").await.unwrap();
    shunt.wait_state(&held, &["held"]).await.unwrap();
    assert_eq!(withdraw(shunt).await, Err("org.shunt.Error.Unsettled".into()));
    assert_eq!(shunt.state().await.unwrap().0, "online", "nothing was ended");

    // Resolved, it is under way until the SMSC answers; then the withdrawal goes on.
    world.smsc.pause_answers(ALICE);
    shunt.resolve(&held, "sms").await.unwrap();
    world.smsc.wait_for_text("the text", |sms| sms.to == BOB).await.unwrap();
    let withdrawing = withdraw(shunt);
    tokio::pin!(withdrawing);
    let refused = withdraw(shunt);
    tokio::select! {
        biased;
        done = &mut withdrawing => panic!("a text was under way: {done:?}"),
        refused = refused => assert_eq!(refused, Err("org.shunt.Error.TooMany".into())),
    }
    assert_eq!(shunt.state().await.unwrap().0, "online");
    world.smsc.resume_answers(ALICE);
    assert_eq!(withdrawing.await, Ok(()));
    assert_eq!(shunt.states(&held).last().map(String::as_str), Some("sms-sent"), "it was not lost");
    assert_eq!(shunt.state().await.unwrap().0, "off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_was_killed_under_way_ends_after_the_restart() {
    let mut world = enrolling().await;
    let mut alice = online(&world).await;
    let identity = alice.shunt().identity().await.unwrap();
    // The directory stands still: it has the question, and has not answered.
    let directory = i32::try_from(world.directory.id()).unwrap();
    stop(directory, "-STOP");
    let client = alice.shunt().clone();
    let asked = tokio::spawn(async move { withdraw(&client).await });
    in_ledger(&alice, "withdraw").await;
    alice.kill_core().await.unwrap();
    assert!(asked.await.unwrap().is_err());
    stop(directory, "-CONT");
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    alice.shunt().wait_service_state(&["off"]).await.unwrap();
    // The answer of a phone without an account: all is wiped.
    assert_eq!(withdraw(alice.shunt()).await, Ok(()));
    assert_ne!(alice.shunt().identity().await.unwrap(), identity);
    assert!(alice.shunt().ledger(0).await.unwrap().is_empty());
    let accounts = world.cloud.stored().await.unwrap();
    let passwd = accounts.iter().find(|table| table.name == "passwd").unwrap();
    assert!(passwd.rows.is_empty(), "no account is left at the server");
    world.directory.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_imported_while_the_phone_is_wiped_is_not_taken() {
    let world = enrolling().await;
    let mut alice = world.builder(ALICE).start().await.unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    let shunt = alice.shunt();
    let identity = shunt.identity().await.unwrap();
    let path = alice.path("account.json");
    std::fs::write(&path, world.directory.provision(ALICE, &identity).await.unwrap()).unwrap();
    // The check takes longer than a wipe.
    let (imported, withdrawn) = tokio::join!(shunt.import(&path), withdraw(shunt));
    assert_eq!(error_name(&imported.unwrap_err()).unwrap(), "org.shunt.Error.BadAccount");
    assert_eq!(withdrawn, Ok(()));
    assert_ne!(shunt.identity().await.unwrap(), identity);
    shunt.set_enabled(true).await.unwrap();
    shunt.wait_reason("no-account").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_killed_between_its_accounts_end_and_the_wipe_is_wiped_once_the_directory_can_tell() {
    let mut world = enrolling().await;
    let mut alice = online(&world).await;
    let identity = alice.shunt().identity().await.unwrap();
    let jid = format!("{}@{}", pseudonyms(&world)[0], world.cloud.domain());
    let directory = i32::try_from(world.directory.id()).unwrap();
    stop(directory, "-STOP");
    let client = alice.shunt().clone();
    let asked = tokio::spawn(async move { withdraw(&client).await });
    in_ledger(&alice, "withdraw").await;
    alice.kill_core().await.unwrap();
    assert!(asked.await.unwrap().is_err());
    stop(directory, "-CONT");
    // As far as the directory came, the account is gone; then it went away itself.
    world.directory.withdraw(&jid).await.unwrap();
    assert!(pseudonyms(&world).is_empty());
    world.directory.crash().await.unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    alice.logged("the account could not be ended", 1).await.unwrap();
    assert_eq!(alice.shunt().identity().await.unwrap(), identity, "nobody can tell yet");
    world.directory.restart().await.unwrap();
    alice.shunt().wait_service_state(&["off"]).await.unwrap();
    assert_eq!(withdraw(alice.shunt()).await, Ok(()));
    assert_ne!(alice.shunt().identity().await.unwrap(), identity);
}

/// The accounts that the directory knows.
fn pseudonyms(world: &World) -> Vec<String> {
    let database = rusqlite::Connection::open(world.directory.database()).unwrap();
    let mut accounts = database.prepare("SELECT pseudonym FROM account").unwrap();
    accounts.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Until the phone has handed over a frame of that kind.
pub(super) async fn in_ledger(phone: &Phone, kind: &str) {
    let in_ledger = async {
        while !phone.shunt().ledger(0).await.unwrap().iter().any(|row| row.1 == kind) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), in_ledger).await.unwrap();
}

/// Stops or continues a process of the test's own.
fn stop(pid: i32, signal: &str) {
    assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
