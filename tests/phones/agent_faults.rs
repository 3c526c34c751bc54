//! Agents that vanish, and agents that do what they must not: never lost, never twice.

use super::agent::{agent_phone, on_an_agent};
use super::{ALICE, BOB, programs, world};
use shunt_kit::agent::{Agent, Bare};
use shunt_kit::log::made;
use shunt_kit::process::Process;
use shunt_kit::proxy::Mode;
use shunt_kit::shunt::{Heard, error_name};
use shunt_kit::world::go_online;
use shunt_kit::{Phone, ShuntConfig, Smsc};
use std::collections::HashMap;

/// Alice's phone without a cloud: her daemons wait for an agent on the bus.
async fn phone() -> (Smsc, Phone) {
    let smsc = Smsc::new();
    let mut alice = Phone::builder(&smsc, ALICE).start().await.unwrap();
    alice.start_shunt(config()).await.unwrap();
    (smsc, alice)
}

fn config() -> ShuntConfig {
    on_an_agent(ShuntConfig::new(programs()))
}

/// By another implementation of D-Bus; it takes each text and never answers. A file tells of each step.
const SILENT: &str = r#"
import dbus, dbus.mainloop.glib, dbus.service, sys
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()

class Agent(dbus.service.Object):
    @dbus.service.method("org.shunt.SmsAgent1", in_signature="osssa{sv}", out_signature="ay",
                         async_callbacks=("done", "failed"))
    def Send(self, sms, line, number, text, options, done, failed):
        open(sys.argv[2] + "/taken", "w").close()

agent = Agent(bus, "/agent")
daemon = bus.get_object("org.shunt.Shunt1", "/org/shunt/Shunt1")
daemon.Register(dbus.ObjectPath("/agent"), dbus_interface="org.shunt.Shunt1.Agents")
daemon.Line("sub-1", sys.argv[1], "home", dbus.Dictionary(signature="sv"), dbus_interface="org.shunt.Shunt1.Agents")
open(sys.argv[2] + "/registered", "w").close()
GLib.MainLoop().run()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_under_a_send_leaves_it_uncertain_and_the_next_one_sends_what_follows() {
    let (smsc, alice) = phone().await;
    let mut command = alice.command("/usr/bin/python3");
    command.args(["-c", SILENT, ALICE]).arg(alice.dir());
    let mut silent = Process::start("agent", command, &alice.path("agent.log")).unwrap();
    silent.until("its line", made(&alice.path("registered"))).await.unwrap();
    let sent = alice.shunt().send(BOB, "once").await.unwrap();
    silent.until("the text", made(&alice.path("taken"))).await.unwrap();
    silent.kill();
    assert_eq!(alice.shunt().wait_state(&sent, &["uncertain"]).await.unwrap(), "uncertain");
    let _agent = Agent::start(&alice, None).await.unwrap();
    let next = alice.shunt().send(BOB, "next").await.unwrap();
    alice.shunt().wait_state(&next, &["sms-sent"]).await.unwrap();
    assert_eq!(smsc.traffic().between(ALICE, BOB), ["next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_killed_under_an_agents_send_learns_from_it_what_became_of_the_text() {
    let (smsc, mut alice) = phone().await;
    let agent = Agent::start(&alice, None).await.unwrap();
    smsc.pause_answers(ALICE);
    let sent = alice.shunt().send(BOB, "once").await.unwrap();
    smsc.wait_for("the submit", |traffic| traffic.attempts == 1).await.unwrap();
    alice.kill_core().await.unwrap();
    alice.start_shunt(config()).await.unwrap();
    agent.register().await.unwrap();
    smsc.resume_answers(ALICE);
    assert_eq!(alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
    assert_eq!(smsc.traffic().between(ALICE, BOB), ["once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_leaves_while_its_text_is_out_by_im_sends_no_sms_of_it_when_it_is_back() {
    let world = world().await;
    let (alice, socket) = agent_phone(&world).await;
    let agent = Agent::start(&alice, Some(&socket)).await.unwrap();
    let (bob, mut proxy) = world.phone_behind_proxy(BOB).await.unwrap();
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    assert_eq!(agent.text(BOB, "before", "a").await.unwrap(), "im");
    let before = alice.shunt().list().await.unwrap();
    let left = |heard: &Heard| {
        heard.dict.text("state") == "im-sending" && heard.path.as_ref().is_some_and(|path| !before.contains(path))
    };
    proxy.set(Mode::BlackHole).await.unwrap();
    tokio::select! {
        outcome = agent.text(BOB, "into the hole", "b") => panic!("settled: {outcome:?}"),
        heard = alice.shunt().wait_heard("the letter", left) => drop(heard.unwrap()),
    }
    drop(agent);
    let agent = Agent::start(&alice, Some(&socket)).await.unwrap();
    // The framework asks again: the daemon has its own marked SMS sent, and says so.
    assert_eq!(agent.text(BOB, "into the hole", "b").await.unwrap(), "sms-sent");
    bob.shunt().wait_received(|text| text.text == "into the hole").await.unwrap();
    assert_eq!((world.smsc.submitted_total(), bob.shunt().shown("into the hole")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_agents_with_one_line_the_later_sends_once_and_the_earlier_takes_nothing_with_it() {
    let (_smsc, alice) = phone().await;
    let earlier = Bare::start(&alice, "sub-1").await.unwrap();
    let mut later = Bare::start(&alice, "sub-1").await.unwrap();
    let refused = earlier.incoming(BOB, "forged", "26/11/24,12:00:00+04").await.unwrap_err();
    assert_eq!(error_name(&refused).as_deref(), Some("org.shunt.Error.Denied"));
    drop(earlier);
    let sent = alice.shunt().send(BOB, "once").await.unwrap();
    let call = later.asked().await.unwrap();
    later.sent(&call, 7).await.unwrap();
    alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_answers_twice_and_reports_twice_is_believed_once() {
    let (_smsc, alice) = phone().await;
    let mut agent = Bare::start(&alice, "sub-1").await.unwrap();
    let options = HashMap::from([("report", zbus::Variant::from(true))]);
    let first = alice.shunt().send_with(BOB, "first", options).await.unwrap();
    let call = agent.asked().await.unwrap();
    for reference in [7, 8] {
        agent.sent(&call, reference).await.unwrap();
    }
    alice.shunt().wait_state(&first, &["sms-sent"]).await.unwrap();
    // The second answer is not the next text's.
    let second = alice.shunt().send(BOB, "second").await.unwrap();
    let call = agent.asked().await.unwrap();
    agent.sent(&call, 9).await.unwrap();
    alice.shunt().wait_state(&second, &["sms-sent"]).await.unwrap();
    agent.delivered(BOB, 8).await.unwrap();
    assert_eq!(alice.shunt().states(&first).last().unwrap(), "sms-sent", "not its reference");
    for _ in 0..2 {
        agent.delivered(BOB, 7).await.unwrap();
    }
    alice.shunt().wait_state(&first, &["sms-delivered"]).await.unwrap();
    let told = alice.shunt().states(&first).into_iter().filter(|state| state == "sms-delivered").count();
    assert_eq!(told, 1);
    let stamp = "26/11/24,12:00:00+04";
    let (once, again) = tokio::join!(agent.incoming(BOB, "in", stamp), agent.incoming(BOB, "in", stamp));
    assert_eq!(once.unwrap(), again.unwrap());
    let other = agent.incoming(BOB, "in", "26/11/24,12:00:01+04").await.unwrap();
    assert_eq!((other.text.as_str(), other.twin), ("in", false));
    alice.shunt().wait_heard("both", |_| alice.shunt().shown("in") == 2).await.unwrap();
}
