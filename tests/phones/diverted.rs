//! Texts that apps wrote to ModemManager, as their doors divert them: the plain SMS is the door's to send.

use super::{ALICE, BOB, world};
use rustix::process::{Pid, Signal, kill_process};
use shunt_kit::bus::name_owned;
use shunt_kit::modem::Identity;
use shunt_kit::proxy::Mode;
use shunt_kit::shunt::SERVICE;
use shunt_kit::world::{World, go_off, go_online};
use shunt_kit::{Phone, Shunt, ShuntConfig};
use std::collections::HashMap;
use zbus::{ObjectPath, OwnedObjectPath, Variant, fdo::DBusProxy};

const DOOR: &str = "org.shunt.Shunt1.Door";

/// What `Divert` answers: outcome, reason, message.
async fn divert(shunt: &Shunt, text: &str, token: &str) -> anyhow::Result<(String, String, OwnedObjectPath)> {
    let sms = Variant::from(ObjectPath::try_from(format!("/SMS/{token}"))?);
    let options: HashMap<&str, Variant<'_>> =
        HashMap::from([("token", token.into()), ("sms", sms), ("owner", ":1.4".into())]);
    Ok(shunt.call(DOOR, "Divert", &(BOB, text, options)).await?.body().deserialize()?)
}

async fn ask(phone: &Phone) -> String {
    let modem = phone.modem_manager().unwrap().modem().unwrap();
    let options: HashMap<&str, Variant<'_>> = HashMap::from([("modem", ObjectPath::from(modem).into())]);
    phone.shunt().call(DOOR, "Ask", &(BOB, options)).await.unwrap().body().deserialize().unwrap()
}

/// A row of the inbox: message, number, sender, text, time, line.
type Row = (OwnedObjectPath, u32, String, String, i64, String);

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_text_goes_by_im_or_is_left_to_its_door() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    assert_eq!(ask(&alice).await, "sms", "the switch is off");
    let (outcome, reason, message) = divert(alice.shunt(), "off", "a").await.unwrap();
    assert_eq!((&*outcome, &*reason, message.as_str()), ("sms", "switch-off", "/"));
    go_online(bob.shunt()).await.unwrap();
    go_off(bob.shunt()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let (outcome, reason, _) = divert(alice.shunt(), "away", "b").await.unwrap();
    assert_eq!((&*outcome, &*reason), ("sms", "registered-offline"), "Bob is enrolled and off");
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    assert_eq!(ask(&alice).await, "im");
    let (outcome, _, message) = divert(alice.shunt(), "hello by IM", "c").await.unwrap();
    assert_eq!(outcome, "im");
    assert_eq!(bob.shunt().wait_received(|text| text.text == "hello by IM").await.unwrap().bearer, "im");
    assert_eq!(divert(alice.shunt(), "hello by IM", "c").await.unwrap().2, message, "the same token, the same text");
    assert_eq!(divert(alice.shunt(), "away", "b").await.unwrap().0, "sms", "and the same answer");
    assert_eq!(alice.shunt().list().await.unwrap(), std::slice::from_ref(&message), "what was let go of is gone");
    assert_eq!((world.smsc.submitted_total(), bob.shunt().shown("hello by IM")), (0, 1), "the door's SMS are its own");
    let owner: HashMap<&str, Variant<'_>> = HashMap::from([("owner", ":1.4".into())]);
    let reply = alice.shunt().call(DOOR, "Sent", &(owner,)).await.unwrap();
    type Sent = (OwnedObjectPath, OwnedObjectPath, String, String, bool, i64, String, String);
    let sent: Vec<Sent> = reply.body().deserialize().unwrap();
    let (text, sms, _, state, report, _, to, line) = &sent[0];
    assert_eq!((sent.len(), text, sms.as_str(), &**state), (1, &message, "/SMS/c", "im-delivered"));
    assert_eq!((*report, &**to), (false, BOB), "it asked for none");
    assert_eq!(*line, alice.shunt().get(&message).await.unwrap().text("line"));
    let whole: HashMap<&str, Variant<'_>> = HashMap::new();
    let reply = bob.shunt().call(DOOR, "Inbox", &(whole,)).await.unwrap();
    let (inbox, more): (Vec<Row>, bool) = reply.body().deserialize().unwrap();
    assert_eq!((inbox.len(), &*inbox[0].2, &*inbox[0].3, more), (1, ALICE, "hello by IM", false));
    assert!(alice.shunt().heard().iter().any(|signal| signal.name == format!("{DOOR}.Settled")));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_im_of_unknown_outcome_the_core_sends_the_marked_sms_itself_across_a_crash_too() {
    let world = world().await;
    let mut alice = world.phone(ALICE).await.unwrap();
    let (bob, mut proxy) = world.phone_behind_proxy(BOB).await.unwrap();
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    assert_eq!(divert(alice.shunt(), "first", "a").await.unwrap().0, "im");
    proxy.set(Mode::BlackHole).await.unwrap();
    assert_eq!(divert(alice.shunt(), "into the hole", "b").await.unwrap().0, "sms-sent");
    let marked = world.smsc.traffic().between(ALICE, BOB)[0].to_owned();
    assert!(marked.starts_with("into the hole") && marked.len() > "into the hole".len(), "{marked:?}");
    // The core dies while an IM is under way; its door asks again.
    proxy.set(Mode::Pass).await.unwrap();
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    proxy.set(Mode::BlackHole).await.unwrap();
    let (shunt, known) = (alice.shunt().clone(), alice.shunt().list().await.unwrap());
    let is_new = |heard: &shunt_kit::shunt::Heard| heard.path.as_ref().is_some_and(|path| !known.contains(path));
    let (first, ()) = tokio::join!(divert(&shunt, "under way", "c"), async {
        let sending = |heard: &_| is_new(heard) && heard.dict.text("state") == "im-sending";
        shunt.wait_heard("the IM on its way", sending).await.unwrap();
        alice.kill_core().await.unwrap();
    });
    assert!(first.is_err(), "no answer comes from the dead");
    alice.start_shunt(world.config()).await.unwrap();
    assert_eq!(divert(alice.shunt(), "under way", "c").await.unwrap().0, "sms-sent");
    assert_eq!(world.smsc.traffic().between(ALICE, BOB).len(), 2);
    proxy.set(Mode::Pass).await.unwrap();
    bob.shunt().wait_received(|text| text.text == "under way").await.unwrap();
    assert_eq!(bob.shunt().shown("under way"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_told_to_the_door_and_deleted_from_the_modem() {
    let world = world().await;
    let mut bob = world.builder(BOB).start().await.unwrap();
    let mut config = world.config();
    config.toml = config.toml.replace("consume = true", "consume = false");
    bob.start_shunt(config).await.unwrap();
    world.enrol(&bob).await.unwrap();
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    alice.shunt().send(BOB, "once").await.unwrap();
    bob.shunt().wait_received(|text| text.text == "once").await.unwrap();
    let twin = async |text: &str| -> (bool, String) {
        bob.shunt().call(DOOR, "Twin", &(ALICE, text)).await.unwrap().body().deserialize().unwrap()
    };
    assert_eq!(twin("once       \n").await, (true, "once".into()));
    assert!(!twin("once      \n ").await.0, "another ordinal");
    assert_eq!(twin("once").await, (false, "once".into()));
    world.smsc.inject(BOB, &shunt_kit::Incoming::text(ALICE, "once       \n"));
    bob.modem().wait_emptied().await.unwrap();
    assert_eq!(bob.shunt().shown("once"), 1);
}

/// The configuration of a phone whose SMS stay in the modem.
fn leaving(world: &World) -> ShuntConfig {
    let mut config = world.config();
    config.toml = config.toml.replace("consume = true", "consume = false");
    config
}

/// Two phones that are online, Alice and Bob, and Bob's SMS stay in the modem.
async fn online_and_leaving(world: &World) -> (Phone, Phone) {
    let mut bob = world.builder(BOB).start().await.unwrap();
    bob.start_shunt(leaving(world)).await.unwrap();
    world.enrol(&bob).await.unwrap();
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    (alice, bob)
}

/// A text is shown by IM.
async fn shown_by_im(alice: &Phone, bob: &Phone, text: &str) {
    alice.shunt().send(BOB, text).await.unwrap();
    bob.shunt().wait_received(|received| received.text == text).await.unwrap();
}

/// Its twin comes, as if the receipt had been lost; the SMS after it tells that the core has judged it.
async fn twin_came(world: &World, bob: &Phone, text: &str, after: &str) {
    for text in [format!("{text}       \n"), after.to_owned()] {
        world.smsc.inject(BOB, &shunt_kit::Incoming::text(ALICE, &text));
        bob.sms().wait_received(|received| received.text == text).await.unwrap();
    }
    bob.shunt().wait_received(|received| received.text == after).await.unwrap();
}

/// The twins in the modem.
async fn twins(bob: &Phone) -> Vec<OwnedObjectPath> {
    let all = bob.sms().list().await.unwrap();
    all.into_iter().filter(|sms| sms.text.ends_with('\n')).map(|sms| sms.path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_that_comes_while_no_app_is_there_is_not_shown_by_one_that_starts_later_and_is_deleted_then() {
    let world = world().await;
    let (alice, mut bob) = online_and_leaving(&world).await;
    shown_by_im(&alice, &bob, "before").await;
    twin_came(&world, &bob, "before", "a").await;
    shown_by_im(&alice, &bob, "since").await;
    bob.kill_core().await.unwrap();
    bob.start_shunt(leaving(&world)).await.unwrap();
    twin_came(&world, &bob, "since", "b").await;
    let twins = twins(&bob).await;
    assert_eq!(twins.len(), 2, "for apps without a door they are the only copies");
    let door = bob.door(super::programs()).unwrap();
    let app = bob.sms_through(&door).await.unwrap();
    let mut shown: Vec<String> = app.list().await.unwrap().into_iter().map(|shown| shown.text).collect();
    shown.sort();
    assert_eq!(shown, ["a", "b", "before", "since"]);
    for twin in twins {
        bob.sms().wait_gone(&twin).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_asks_for_twins_the_moment_the_core_is_there_is_told_those_in_the_modem() {
    let world = world().await;
    let (alice, mut bob) = online_and_leaving(&world).await;
    shown_by_im(&alice, &bob, "once").await;
    twin_came(&world, &bob, "once", "a").await;
    bob.kill_core().await.unwrap();
    let in_modem = twins(&bob).await;
    let door = bob.bus().connect_now(None).unwrap();
    let bus = DBusProxy::new(&door).await.unwrap();
    let owner = bus.get_name_owner("org.freedesktop.ModemManager1".try_into().unwrap()).await.unwrap();
    // The modem service takes its time.
    let service = Pid::from_raw(bob.modem_manager().unwrap().pid().cast_signed()).unwrap();
    kill_process(service, Signal::STOP).unwrap();
    bob.spawn_shunt(&leaving(&world)).unwrap();
    name_owned(&door, SERVICE).await.unwrap();
    let ask = |member, options| door.call_method(Some(SERVICE), "/org/shunt/Shunt1", Some(DOOR), member, options);
    let (owner, all) = ((HashMap::from([("owner", Variant::from(owner.as_str()))]),), (HashMap::new(),));
    let mut told = std::pin::pin!(ask("Twins", &owner));
    tokio::select! {
        biased;
        told = &mut told => panic!("the modem has not been read: {told:?}"),
        _inbox = ask("Inbox", &all) => {}
    }
    kill_process(service, Signal::CONT).unwrap();
    let told: Vec<OwnedObjectPath> = told.await.unwrap().body().deserialize().unwrap();
    assert_eq!((told.len(), told), (1, in_modem));
}

/// The inbox's texts with their lines, and the lines that are in a modem.
async fn seats(shunt: &Shunt) -> (Vec<(String, String)>, Vec<String>) {
    let none: HashMap<&str, Variant<'_>> = HashMap::new();
    let (rows, _): (Vec<Row>, bool) = shunt.call(DOOR, "Inbox", &(none,)).await.unwrap().body().deserialize().unwrap();
    let lines: Vec<(String, OwnedObjectPath)> =
        shunt.call(DOOR, "Lines", &()).await.unwrap().body().deserialize().unwrap();
    let texts = rows.into_iter().map(|(_, _, _, text, _, line)| (text, line)).collect();
    (texts, lines.into_iter().map(|(line, _)| line).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_im_is_shown_at_another_sim_of_the_same_number_too() {
    let world = world().await;
    let (mut alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "before").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "before").await.unwrap().bearer, "im");
    let (texts, lines) = seats(alice.shunt()).await;
    assert_eq!(texts, [("before".to_owned(), lines[0].clone())]);
    let was = lines[0].clone();

    // A card for the lost one: its own ICCID and IMSI, the same number.
    let (number, imei) = (ALICE.to_owned(), alice.modem().identity().imei.clone());
    let other = Identity { number, imei, ..Identity::of("+4915112345688") };
    alice.modem().set_other_sim(Some(other));
    alice.reattach().await.unwrap();
    let told = || alice.shunt().heard().iter().filter(|heard| heard.name.ends_with(".LinesChanged")).count();
    let card = loop {
        let before = told();
        if let Some(line) = seats(alice.shunt()).await.1.into_iter().find(|line| *line != was) {
            break line;
        }
        alice.shunt().wait_heard("lines that changed", |_| told() > before).await.unwrap();
    };
    assert_eq!(seats(alice.shunt()).await.0, [("before".to_owned(), card.clone())]);
    alice.stop_shunt().await.unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    assert_eq!(seats(alice.shunt()).await.0, [("before".to_owned(), card)]);
}
