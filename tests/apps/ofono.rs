//! oFono's own scripts, unmodified, through the doors of two phones, each with oFono and the real core behind it.

use super::{ALICE, BOB, came, programs, start};
use crate::session::App;
use shunt_kit::proxy::{Mode, Proxy};
use shunt_kit::table::row;
use shunt_kit::world::{World, go_off, go_online};
use shunt_kit::{Door, Phone};
use std::process::Command;

/// Debian's python, which has the D-Bus modules that the scripts need; unbuffered, for receive-sms never ends.
fn script(phone: &Phone, door: &Door, name: &str) -> Command {
    let mut command = phone.command("/usr/bin/python3");
    command.env("DBUS_SYSTEM_BUS_ADDRESS", door.address());
    command.arg("-u").arg(format!("/usr/share/ofono/scripts/{name}"));
    command
}

async fn said(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a text to Bob, with send-sms.
async fn send(phone: &Phone, door: &Door, text: &str) {
    let mut command = script(phone, door, "send-sms");
    command.args([BOB, text, "0"]);
    assert!(said(command).await.contains("/phonesim/message_"));
}

fn receive(phone: &Phone, door: &Door) -> App {
    App::start("receive-sms", script(phone, door, "receive-sms"), &phone.path("receive-sms.log")).unwrap()
}

/// The next text that receive-sms shows, as python writes bytes; its details follow.
fn next(receiving: &App) -> String {
    receiving.until("b'").unwrap()
}

async fn phone(world: &World, number: &str) -> Phone {
    start(world, world.builder(number).with_ofono(), world.config()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ofonos_own_scripts_send_and_show_what_goes_by_im_and_by_sms_when_the_other_is_offline() {
    let world = World::start(programs()).await.unwrap();
    let (alice, bob) = (phone(&world, ALICE).await, phone(&world, BOB).await);
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let (alices, bobs) = (alice.door(programs()).unwrap(), bob.door(programs()).unwrap());
    let modems = said(script(&alice, &alices, "list-modems")).await;
    let modems: Vec<&str> = modems.lines().filter(|line| line.starts_with("[ /")).collect();
    assert_eq!(modems, ["[ /phonesim ]"]);

    // One that came before the app listened, and one after. Emoji too, which oFono's SMS can't carry.
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    send(&alice, &alices, "by IM 👋").await;
    bob.shunt().wait_received(|text| text.text == "by IM 👋").await.unwrap();
    let receiving = receive(&bob, &bobs);
    let mut heard = vec![next(&receiving)];
    let sender = receiving.until("Sender").unwrap();
    assert!(sender.ends_with(ALICE), "{sender}");
    send(&alice, &alices, "by IM too").await;
    heard.push(next(&receiving));
    assert_eq!(
        (heard.join(" "), world.smsc.submitted_total()),
        (r"b'by IM \xf0\x9f\x91\x8b' b'by IM too'".to_owned(), 0)
    );
    bob.shunt().wait_received(|text| text.text == "by IM too").await.unwrap();
    let by_im = came(&world, &bob, "by IM too");
    assert_eq!(by_im, "shown by im; 0 SMS at the SMSC");

    go_off(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "sms", "registered-offline").await.unwrap();
    send(&alice, &alices, "by SMS").await;
    heard.push(next(&receiving));
    assert_eq!(receiving.until("Sender").unwrap(), sender, "an SMS looks the same");
    assert_eq!((heard[2].as_str(), world.smsc.traffic().between(ALICE, BOB)), ("b'by SMS'", vec!["by SMS"]));
    bob.shunt().wait_received(|text| text.text == "by SMS").await.unwrap();
    row("oFono's scripts", "list-modems", modems.concat());
    row("oFono's scripts", "send-sms, both online", by_im);
    row("oFono's scripts", "send-sms while the other is offline", came(&world, &bob, "by SMS"));
    row("oFono's scripts", "receive-sms", heard.join(" "));
}

#[tokio::test(flavor = "multi_thread")]
async fn receive_sms_shows_a_fallback_once_and_without_its_mark() {
    let world = World::start(programs()).await.unwrap();
    let alice = world.phone(ALICE).await.unwrap();
    let mut proxy = Proxy::start(world.cloud.xmpp_addr()).unwrap();
    let bob = start(&world, world.builder(BOB).with_ofono(), world.config_via(proxy.addr())).await;
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    let door = bob.door(programs()).unwrap();
    let receiving = receive(&bob, &door);
    alice.shunt().send(BOB, "hello").await.unwrap();
    assert_eq!(next(&receiving), "b'hello'");

    // It arrives by IM and its receipt is lost; then one never does. For both oFono tells an SMS that ends in a mark.
    let mut heard = Vec::new();
    for (mode, text) in [(Mode::LoseUp, "both ways"), (Mode::BlackHole, "into the hole")] {
        alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
        proxy.set(mode).await.unwrap();
        alice.shunt().send(BOB, text).await.unwrap();
        heard.push(next(&receiving));
        let sms = bob.ofono().next_received().await.unwrap();
        assert!(sms.text != text && sms.text.trim_end() == text, "{sms:?}");
        proxy.set(Mode::Pass).await.unwrap();
        bob.shunt().wait_service_state(&["online"]).await.unwrap();
    }
    // What follows comes after all that was told before.
    go_off(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "sms", "registered-offline").await.unwrap();
    alice.shunt().send(BOB, "the end").await.unwrap();
    heard.push(next(&receiving));
    assert_eq!(heard, ["b'both ways'", "b'into the hole'", "b'the end'"]);
    assert_eq!(world.smsc.submitted_total(), 3);
    bob.shunt().wait_received(|text| text.text == "into the hole").await.unwrap();
    row("oFono's scripts", "receive-sms; the receipt was lost: twin SMS hidden", came(&world, &bob, "both ways"));
    row("oFono's scripts", "receive-sms; a marked SMS shown once", came(&world, &bob, "into the hole"));
}
