//! The operator changes the epoch, on real parts: peers on both sides of the change keep finding each other.

use super::enrolment::{blank, blank_with, enrol, enrolling};
use super::{ALICE, BOB};
use shunt_kit::ShuntConfig;
use shunt_kit::log::Log;
use shunt_kit::phone::Phone;
use shunt_kit::proxy::{Mode, Proxy};
use shunt_kit::shunt::Shunt;
use shunt_kit::world::{World, go_online};
use std::path::Path;
use std::time::Duration;

const CAROL: &str = "+4915112345603";

/// What a phone says that has replaced the secret that the directory made: the new account is its.
const CHANGED: &str = "the account has a new secret";

/// A phone that enrolled by itself.
async fn enrolled(world: &World, number: &str) -> Phone {
    enrols(blank(world, number).await, number).await
}

async fn enrols(phone: Phone, number: &str) -> Phone {
    enrol(phone.shunt(), number).await.unwrap();
    phone.shunt().wait_service_state(&["online"]).await.unwrap();
    phone.logged(CHANGED, 1).await.unwrap();
    phone
}

/// A text that goes by IM.
async fn by_im(from: &Shunt, (number, to): (&str, &Shunt), text: &str) {
    from.wait_route(number, "im", "online").await.unwrap();
    from.send(number, text).await.unwrap();
    assert_eq!(to.wait_received(|got| got.text == text).await.unwrap().bearer, "im", "{text}");
}

/// The phone with what the directory serves now pinned.
async fn updated(world: &World, phone: &mut Phone) {
    phone.stop_shunt().await.unwrap();
    phone.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    phone.shunt().wait_service_state(&["online"]).await.unwrap();
}

/// The SIM is taken out and put back, so often since the start: the number is to be proven anew.
async fn sim_out_and_in(phone: &mut Phone, times: usize) {
    phone.modem().set_sim_present(false);
    phone.reattach().await.unwrap();
    phone.logged("the account's SIM is not in this phone", times).await.unwrap();
    phone.modem().set_sim_present(true);
    phone.reattach().await.unwrap();
}

/// How many evaluations left a phone.
async fn evaluations(phone: &Phone) -> usize {
    phone.shunt().ledger(0).await.unwrap().iter().filter(|row| row.1 == "evaluate").count()
}

/// In which epochs the directory has accounts.
fn accounts(world: &World) -> String {
    let database = rusqlite::Connection::open(world.directory.database()).unwrap();
    let mut accounts = database.prepare("SELECT substr(pseudonym, 1, 1) FROM account ORDER BY 1").unwrap();
    accounts.query_map([], |row| row.get::<_, String>(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epochs_change_parts_nobody_and_an_account_moves_when_it_is_to_be_proven_anew() {
    let mut world = enrolling().await;
    let mut alice = enrolled(&world, ALICE).await;
    let carol = world.phone(CAROL).await.unwrap();
    go_online(carol.shunt()).await.unwrap();

    // Alice and Carol are in the old epoch, Bob enrols in the new one.
    world.directory.begin_epoch('b').await.unwrap();
    updated(&world, &mut alice).await;
    let mut bob = enrolled(&world, BOB).await;
    assert_eq!(accounts(&world), "aab");
    let before = evaluations(&alice).await;
    by_im(alice.shunt(), (BOB, bob.shunt()), "from the old to the new").await;
    by_im(bob.shunt(), (ALICE, alice.shunt()), "and back").await;
    assert_eq!(evaluations(&alice).await - before, 1, "the current epoch is looked into first");
    // Carol's phone knows the old epoch alone: whoever is in the new one is nobody to it.
    let sent = bob.shunt().send(CAROL, "found, and not believed").await.unwrap();
    bob.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    let safety = bob.shunt().safety_number(ALICE).await.unwrap();
    bob.shunt().verify(ALICE, true).await.unwrap();

    // Her number is to be proven anew: in the new epoch, with the same key.
    sim_out_and_in(&mut alice, 1).await;
    alice.logged("the account is in the current epoch now", 1).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.logged(CHANGED, 1).await.unwrap();
    assert_eq!(accounts(&world), "abb");
    by_im(alice.shunt(), (BOB, bob.shunt()), "moved").await;
    by_im(bob.shunt(), (ALICE, alice.shunt()), "welcome").await;
    assert_eq!(bob.shunt().safety_number(ALICE).await.unwrap(), safety);
    assert_eq!(bob.shunt().standing(ALICE).await.unwrap(), "verified");
    assert!(bob.shunt().heard().iter().all(|heard| !heard.name.ends_with(".IdentityChanged")));

    // The old epoch ends; and with it who did not follow.
    world.directory.end_epoch('a').await.unwrap();
    updated(&world, &mut alice).await;
    updated(&world, &mut bob).await;
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    by_im(bob.shunt(), (ALICE, alice.shunt()), "in the one epoch").await;
    by_im(alice.shunt(), (BOB, bob.shunt()), "that there is").await;
    bob.shunt().wait_route(CAROL, "sms", "not-enrolled").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_the_old_epoch_is_found_from_the_new_one_and_found_again_after_the_move() {
    let mut world = enrolling().await;
    let mut alice = enrolled(&world, ALICE).await;
    world.directory.begin_epoch('b').await.unwrap();
    updated(&world, &mut alice).await;
    let bob = enrolled(&world, BOB).await;
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    by_im(bob.shunt(), (ALICE, alice.shunt()), "from the new to the old").await;
    by_im(alice.shunt(), (BOB, bob.shunt()), "and back").await;
    assert_eq!(evaluations(&bob).await, 2, "one in each epoch");

    // Both the directory and her phone are killed while the account moves.
    world.smsc.hold(ALICE);
    sim_out_and_in(&mut alice, 1).await;
    world.smsc.until_waiting(ALICE, 1).await.unwrap();
    alice.kill_core().await.unwrap();
    world.directory.crash().await.unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    world.smsc.release(ALICE);
    alice.logged("the code came by SMS", 1).await.unwrap();
    world.directory.restart().await.unwrap();
    alice.logged("the account is in the current epoch now", 1).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.logged(CHANGED, 1).await.unwrap();
    assert_eq!(accounts(&world), "bb");
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    by_im(bob.shunt(), (ALICE, alice.shunt()), "found again").await;
    assert_eq!(evaluations(&bob).await, 2, "and never evaluated again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_cut_off_while_it_moves_for_longer_than_its_enrolment_lasts_keeps_the_account_that_it_has() {
    let mut world = enrolling().await;
    let mut directory = Proxy::start(world.directory.addr()).unwrap();
    let config = |world: &World| {
        let (domain, xmpp, ca) = (world.cloud.domain(), world.cloud.xmpp_addr().to_string(), world.cloud.ca_pem());
        let config = ShuntConfig::new(super::programs()).cloud(domain, &xmpp, &directory.addr().to_string(), ca);
        config.lines(&world.directory.pinned().unwrap())
    };
    let before = config(&world);
    let mut alice = enrols(blank_with(world.builder(ALICE), before).await, ALICE).await;
    world.directory.begin_epoch('b').await.unwrap();
    alice.stop_shunt().await.unwrap();
    let after = config(&world);
    alice.start_shunt(after).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    let bob = enrolled(&world, BOB).await;

    // She gets the code and gives it back; the answer does not come before her session is over.
    world.smsc.hold(ALICE);
    sim_out_and_in(&mut alice, 1).await;
    world.smsc.until_waiting(ALICE, 1).await.unwrap();
    directory.set(Mode::LoseAnswers).await.unwrap();
    world.smsc.release(ALICE);
    let log = Log::watch(Path::new(&format!("{}-wal", world.directory.database()))).unwrap();
    let moved = log.until(|_| (answers(&world) == 3).then_some(()));
    tokio::time::timeout(Duration::from_secs(60), moved).await.expect("the account is in the new epoch").unwrap();
    assert_eq!(accounts(&world), "abb");
    world.directory.sql("UPDATE enrolment SET ends = 1").await.unwrap();
    directory.set(Mode::Pass).await.unwrap();
    directory.cut();
    alice.logged("the enrolment is over: enrolment-expired", 1).await.unwrap();

    // Where she was she is, and proves her number there.
    sim_out_and_in(&mut alice, 2).await;
    alice.logged("the number was proven anew", 1).await.unwrap();
    alice.logged(CHANGED, 1).await.unwrap();
    assert_eq!(accounts(&world), "abb", "hers of the new epoch waits for her next try");
    by_im(bob.shunt(), (ALICE, alice.shunt()), "still there").await;
    by_im(alice.shunt(), (BOB, bob.shunt()), "as before").await;
}

/// How many right codes got their answer. Under the lock for writing, so that what was written is seen.
fn answers(world: &World) -> u32 {
    let mut database = rusqlite::Connection::open(world.directory.database()).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    let locked = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    locked.query_row("SELECT count(*) FROM enrolment WHERE answer <> x''", [], |row| row.get(0)).unwrap()
}
