//! Two apps that listen through one door, by ModemManager's own library, and one of them is killed.

use super::{BOB, programs};
use crate::mmcli::two_online;
use crate::session::App;
use rustix::process::Signal;
use shunt_kit::table::row;
use shunt_kit::world::World;
use shunt_kit::{Door, Phone};

fn listen(phone: &Phone, door: &Door, name: &str) -> App {
    let mut command = phone.command("/usr/bin/python3");
    command.arg("-u").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/door/client.py"));
    command.env("DBUS_SYSTEM_BUS_ADDRESS", door.address());
    let app = App::start(name, command, &phone.path(&format!("{name}.log"))).unwrap();
    app.until("modem /").unwrap();
    app
}

/// The next messages that it says so of: modem, object and text.
fn said(app: &App, what: &str, count: usize) -> Vec<String> {
    (0..count).map(|_| app.until(what).unwrap().split_once(' ').unwrap().1.to_owned()).collect()
}

fn texts(said: &[String]) -> Vec<&str> {
    said.iter().map(|line| line.rsplit_once(' ').unwrap().1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_apps_hears_each_text_once_in_order_while_the_other_is_killed_and_starts_anew() {
    let world = World::start(programs()).await.unwrap();
    let (alice, bob) = two_online(&world).await;
    let door = bob.door(programs()).unwrap();
    let (one, other) = (listen(&bob, &door, "one"), listen(&bob, &door, "other"));
    let send = async |numbers: std::ops::RangeInclusive<u32>| {
        for number in numbers {
            alice.shunt().send(BOB, &format!("text-{number}")).await.unwrap();
        }
    };
    send(1..=3).await;
    let mut heard = said(&one, "added", 3);
    assert_eq!(said(&other, "added", 3), heard);
    // It is told of texts and hears of none, and is killed with that.
    other.signal(Signal::STOP).unwrap();
    send(4..=6).await;
    heard.extend(said(&one, "added", 3));
    send(7..=7).await;
    drop(other);
    send(8..=9).await;
    heard.extend(said(&one, "added", 3));

    let anew = listen(&bob, &door, "anew");
    let mut listed = said(&anew, "lists", 9);
    listed.sort();
    assert_eq!(listed, heard);
    // Whatever came a second time would come before this.
    send(10..=10).await;
    heard.extend(said(&one, "added", 1));
    assert_eq!(said(&anew, "added", 1), heard[9..]);
    let all: Vec<String> = (1..=10).map(|number| format!("text-{number}")).collect();
    assert_eq!((texts(&heard), world.smsc.submitted_total()), (all.iter().map(String::as_str).collect(), 0));
    let found = format!("{} told in order, {} listed anew", heard.len(), listed.len());
    row("libmm-glib", "two apps at one door, one killed and started anew", found);
}
