//! A phone that enrols itself, on real parts: the directory's codes go by a modem of its own through the SMSC.

use super::{ALICE, BOB, programs};
use shunt_kit::ShuntConfig;
use shunt_kit::phone::{Phone, PhoneBuilder};
use shunt_kit::shunt::{Heard, Shunt, error_name};
use shunt_kit::world::{World, go_off, go_online};
use std::collections::HashMap;
use zbus::Variant;

const ROOT: &str = "org.shunt.Shunt1";

pub(super) async fn enrolling() -> World {
    World::enrolling(programs()).await.unwrap()
}

/// A phone without an account, switched on.
pub(super) async fn blank(world: &World, number: &str) -> Phone {
    blank_on(world, world.builder(number)).await
}

/// The same with a phone put together otherwise.
pub(super) async fn blank_on(world: &World, phone: PhoneBuilder) -> Phone {
    blank_with(phone, world.config_to_enrol().unwrap()).await
}

/// The same with a configuration of its own.
pub(super) async fn blank_with(phone: PhoneBuilder, config: ShuntConfig) -> Phone {
    let mut phone = phone.start().await.unwrap();
    phone.start_shunt(config).await.unwrap();
    phone.shunt().set_enabled(true).await.unwrap();
    phone.shunt().wait_service_state(&["waiting"]).await.unwrap();
    phone
}

pub(super) async fn enrol(shunt: &Shunt, number: &str) -> anyhow::Result<()> {
    let consent = HashMap::from([("consent", Variant::from("e-1")), ("locale", Variant::from("de_DE"))]);
    shunt.call(ROOT, "Enrol", &(number, consent)).await.map(drop)
}

async fn confirm(shunt: &Shunt, code: &str) -> Result<(), String> {
    let none: HashMap<&str, Variant<'_>> = HashMap::new();
    let done = shunt.call(ROOT, "ConfirmEnrolment", &(code, none)).await;
    done.map(drop).map_err(|error| error_name(&error).unwrap_or_else(|| format!("{error:#}")))
}

pub(super) async fn withdraw(shunt: &Shunt) -> Result<(), String> {
    let none: HashMap<&str, Variant<'_>> = HashMap::new();
    let done = shunt.call(ROOT, "Withdraw", &(none,)).await;
    done.map(drop).map_err(|error| error_name(&error).unwrap_or_else(|| format!("{error:#}")))
}

/// Waits for a reason.
pub(super) async fn reason(shunt: &Shunt, wanted: &str) {
    shunt.wait_reason(wanted).await.unwrap();
}

/// Whether a signal tells that a text was deleted.
fn deleted(heard: &Heard) -> bool {
    heard.name.ends_with(".Changed") && heard.dict.get::<bool>("deleted") == Some(true)
}

/// The code of an SMS of the directory's.
pub(super) fn code(text: &str) -> String {
    text.strip_prefix("Shunt code ").unwrap()[..8].to_owned()
}

/// Another one.
pub(super) fn other(code: &str) -> String {
    format!("{:08}", (code.parse::<u32>().unwrap() + 1) % 100_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_enrols_itself_and_its_code_is_kept_from_the_inbox() {
    let world = enrolling().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let alice = blank(&world, ALICE).await;
    assert_eq!(alice.shunt().state().await.unwrap().1, "no-account");
    enrol(alice.shunt(), "").await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    assert!(world.smsc.submitted_by(ALICE).is_empty(), "the phone sends no SMS");
    assert_eq!(error_name(&enrol(alice.shunt(), "").await.unwrap_err()).unwrap(), "org.shunt.Error.AlreadyEnrolled");

    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "welcome").await.unwrap();
    let got = alice.shunt().wait_received(|text| text.text == "welcome").await.unwrap();
    assert_eq!(got.bearer, "im");
    assert_eq!(alice.shunt().received().len(), 1, "the code was shown to nobody");
    assert_eq!(alice.modem().stored(), 0, "nor is it on the modem");
    let kinds: Vec<String> = alice.shunt().ledger(0).await.unwrap().into_iter().map(|row| row.1).collect();
    let first: Vec<&str> = kinds.iter().map(String::as_str).take(3).collect();
    assert_eq!(first, ["visit", "enrol-start", "enrol-confirm"], "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_phone_with_the_number_signs_the_first_out_and_tells_it_why() {
    let world = enrolling().await;
    let first = blank(&world, ALICE).await;
    enrol(first.shunt(), ALICE).await.unwrap();
    first.shunt().wait_service_state(&["online"]).await.unwrap();
    // The second one's SIM is another: its code comes to the first phone, as an SMS like any other.
    let second = blank(&world, BOB).await;
    enrol(second.shunt(), ALICE).await.unwrap();
    let sms = first.shunt().wait_received(|text| text.text.starts_with("Shunt code ")).await.unwrap();
    assert_eq!(confirm(second.shunt(), &code(&sms.text)).await, Ok(()));
    second.shunt().wait_service_state(&["online"]).await.unwrap();
    reason(first.shunt(), "signed-out").await;
    first.uplink_ended().await.unwrap();
    let sent = first.shunt().send(BOB, "by SMS then").await.unwrap();
    first.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_another_phone_waits_for_is_an_sms_like_any_other() {
    let world = enrolling().await;
    let (alice, bob) = (blank(&world, ALICE).await, blank(&world, BOB).await);
    // Each enrols the other's number, so that both wait for a code, and each gets the other's.
    enrol(alice.shunt(), BOB).await.unwrap();
    let alices = bob.shunt().wait_received(|text| text.text.starts_with("Shunt code ")).await.unwrap();
    enrol(bob.shunt(), ALICE).await.unwrap();
    let bobs = alice.shunt().wait_received(|text| text.text.starts_with("Shunt code ")).await.unwrap();
    assert_eq!(confirm(alice.shunt(), &code(&alices.text)).await, Ok(()));
    assert_eq!(confirm(bob.shunt(), &code(&bobs.text)).await, Ok(()));
    for phone in [&alice, &bob] {
        phone.shunt().wait_service_state(&["online"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_name() {
    let world = enrolling().await;
    let alice = blank(&world, ALICE).await;
    let shunt = alice.shunt();
    assert_eq!(confirm(shunt, "12345678").await, Err("org.shunt.Error.NoEnrolment".into()));
    assert_eq!(error_name(&enrol(shunt, "123").await.unwrap_err()).unwrap(), "org.shunt.Error.BadNumber");
    go_off(shunt).await.unwrap();
    assert_eq!(error_name(&enrol(shunt, ALICE).await.unwrap_err()).unwrap(), "org.shunt.Error.SwitchOff");
    shunt.set_enabled(true).await.unwrap();

    // Five wrong codes; the right one stays with the SMSC meanwhile.
    world.smsc.hold(ALICE);
    enrol(shunt, ALICE).await.unwrap();
    reason(shunt, "code-awaited").await;
    let sms = world.smsc.wait_for_text("the code", |sms| sms.to == ALICE).await.unwrap();
    let wrong = other(&code(&sms.text.unwrap()));
    assert_eq!(confirm(shunt, "1234").await, Err("org.shunt.Error.BadArgument".into()));
    for _ in 0..4 {
        assert_eq!(confirm(shunt, &wrong).await, Err("org.shunt.Error.WrongCode".into()));
    }
    assert_eq!(shunt.state().await.unwrap(), ("enrolling".into(), "wrong-code".into()));
    assert_eq!(confirm(shunt, &wrong).await, Err("org.shunt.Error.EnrolmentEnded".into()));
    assert_eq!(shunt.state().await.unwrap(), ("waiting".into(), "attempts-used".into()));
    // Late now, it is an SMS like any other.
    world.smsc.release(ALICE);
    shunt.wait_received(|text| text.text.starts_with("Shunt code ")).await.unwrap();

    // A number that the phone takes for a mobile one, and that none can have by the directory's better knowledge.
    enrol(shunt, "+4915412345678").await.unwrap();
    reason(shunt, "number-refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_codes_and_a_clock_that_is_wrong_are_named() {
    let mut world = enrolling().await;
    let alice = blank(&world, ALICE).await;
    let shunt = alice.shunt();
    world.smsc.hold(ALICE);
    // As if the phone's clock were two days behind.
    world.directory.stop().await.unwrap();
    world.directory.restart_as_of("+2d").await.unwrap();
    enrol(shunt, ALICE).await.unwrap();
    reason(shunt, "clock-wrong").await;
    assert_eq!(world.smsc.waiting_for(ALICE), 0, "no code was sent");
    world.directory.stop().await.unwrap();
    world.directory.restart().await.unwrap();
    for sent in 1..=5 {
        enrol(shunt, ALICE).await.unwrap();
        world.smsc.until_waiting(ALICE, sent).await.unwrap();
    }
    enrol(shunt, ALICE).await.unwrap();
    reason(shunt, "too-many-codes").await;
    assert_eq!(shunt.state().await.unwrap(), ("waiting".into(), "too-many-codes".into()));
    assert_eq!(world.smsc.waiting_for(ALICE), 5);
    alice.uplink_ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_outlives_crashes_a_restart_the_switch_and_an_absent_directory() {
    let mut world = enrolling().await;
    let mut alice = blank(&world, ALICE).await;
    world.smsc.hold(ALICE);
    world.directory.crash().await.unwrap();
    enrol(alice.shunt(), ALICE).await.unwrap();
    reason(alice.shunt(), "directory-unreachable").await;
    // Killed while it asks.
    alice.kill_core().await.unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    world.directory.restart().await.unwrap();
    reason(alice.shunt(), "code-awaited").await;
    // Killed while the code is on its way; then switched off and on.
    alice.kill_core().await.unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    reason(alice.shunt(), "code-awaited").await;
    go_off(alice.shunt()).await.unwrap();
    assert_eq!(alice.inet_sockets().unwrap(), 0);
    alice.shunt().set_enabled(true).await.unwrap();
    reason(alice.shunt(), "code-awaited").await;
    // Killed while the code is given back.
    world.directory.crash().await.unwrap();
    world.smsc.release(ALICE);
    reason(alice.shunt(), "directory-unreachable").await;
    alice.kill_core().await.unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    reason(alice.shunt(), "directory-unreachable").await;
    // Its ten minutes are over meanwhile, and that is told.
    world.directory.sql("UPDATE enrolment SET ends = 0").await.unwrap();
    world.directory.restart().await.unwrap();
    reason(alice.shunt(), "enrolment-expired").await;
    // Anew: what was begun before the directory's crash is confirmed after it.
    world.smsc.hold(ALICE);
    enrol(alice.shunt(), ALICE).await.unwrap();
    reason(alice.shunt(), "code-awaited").await;
    world.directory.crash().await.unwrap();
    world.smsc.release(ALICE);
    reason(alice.shunt(), "directory-unreachable").await;
    world.directory.restart().await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    assert!(alice.shunt().received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_leaves_nothing_at_the_server_and_only_untaken_texts_here() {
    let world = enrolling().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let alice = blank(&world, ALICE).await;
    enrol(alice.shunt(), ALICE).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    let mut came = Vec::new();
    for text in ["taken", "not taken"] {
        bob.shunt().send(ALICE, text).await.unwrap();
        let got = alice.shunt().wait_received(|got| got.text == text).await.unwrap();
        if text == "taken" {
            alice.shunt().acknowledge(&got.path).await.unwrap();
        }
        came.push(got.path);
    }
    let sent = alice.shunt().send(BOB, "mine").await.unwrap();
    alice.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap();
    let identity = alice.shunt().identity().await.unwrap();
    let own: Vec<String> =
        bob.shunt().ledger(0).await.unwrap().into_iter().map(|row| row.2).filter(|p| !p.is_empty()).collect();
    let own = own.first().unwrap().clone();
    let held = async || format!("{:?}", world.cloud.stored().await.unwrap());
    assert!(held().await.contains(&own), "the search finds the account");

    go_off(alice.shunt()).await.unwrap();
    assert_eq!(withdraw(alice.shunt()).await, Err("org.shunt.Error.SwitchOff".into()));
    go_online(alice.shunt()).await.unwrap();
    assert_eq!(withdraw(alice.shunt()).await, Ok(()));
    // Apps hear what went, and of nothing else.
    for path in [&came[0], &sent] {
        alice
            .shunt()
            .wait_heard("the deletion", |heard| heard.path.as_ref() == Some(path) && deleted(heard))
            .await
            .unwrap();
    }
    assert_eq!(alice.shunt().heard().iter().filter(|heard| deleted(heard)).count(), 2);
    assert_eq!(alice.shunt().state().await.unwrap().0, "off");
    assert_eq!((alice.inet_sockets().unwrap(), alice.shunt_pid("shuntd-uplink")), (0, None));
    assert!(!alice.shunt().enabled().await.unwrap());
    let mut texts = Vec::new();
    for path in alice.shunt().list().await.unwrap() {
        texts.push(alice.shunt().get(&path).await.unwrap().text("text"));
    }
    assert_eq!(texts, ["not taken"]);
    assert!(alice.shunt().peers().await.unwrap().is_empty());
    assert!(alice.shunt().ledger(0).await.unwrap().is_empty());
    assert_ne!(alice.shunt().identity().await.unwrap(), identity);
    assert!(!held().await.contains(&own), "nothing of it is at the XMPP server");
    assert_eq!(withdraw(alice.shunt()).await, Ok(()), "without an account there is nothing to ask the network");
}
