//! mmsd-tng, which takes MMS notifications, on a phone whose texts go through the door.

use super::{ALICE, BOB, phone, programs};
use crate::session::{App, Session};
use shunt_kit::table::row;
use shunt_kit::world::{World, go_online};
use shunt_kit::{Incoming, Phone};
use std::path::PathBuf;
use std::process::Stdio;

/// A WAP push of an MMS (WAP-230-WSP §8.2.4.1).
const PUSH: [u8; 6] = [0x01, 0x06, 0x03, 0xbe, 0xaf, 0x84];

/// What it pushes: an m-notification-ind (OMA-TS-MMS_ENC §6.2) of 1,024 bytes that wait for two days.
fn notification(id: u8) -> Vec<u8> {
    let head = [0x8c, 0x82, 0x98, b'T', id, 0, 0x8d, 0x92];
    let from = [&[0x89, 0x1a, 0x80][..], b"+4915112345602/TYPE=PLMN\0"].concat();
    let rest = [0x8a, 0x80, 0x8e, 0x02, 0x04, 0x00, 0x88, 0x05, 0x81, 0x03, 0x02, 0xa3, 0x00];
    [&head[..], &from, &rest, b"\x83http://mmsc.example/T", &[id, 0]].concat()
}

/// A running mmsd-tng.
struct Mmsd {
    _session: Session,
    app: App,
    kept: PathBuf,
}

impl Mmsd {
    /// Starts it with `system_bus` as its system bus; it is ready for what comes.
    fn start(phone: &Phone, system_bus: &str, name: &str) -> Self {
        let home = phone.path(name);
        std::fs::create_dir(&home).unwrap();
        let session = Session::start(phone).unwrap();
        let mut command = phone.command("mmsdtng");
        command.arg("-d").env("DBUS_SESSION_BUS_ADDRESS", session.address()).env("HOME", &home);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", system_bus).stderr(Stdio::null());
        let app = App::start("mmsdtng", command, &home.join("mmsdtng.log")).unwrap();
        app.until("Queue Search for all SMS").unwrap();
        Self { _session: session, app, kept: home.join(".mms/modemmanager") }
    }

    /// The notifications that it took, as it keeps them until it can fetch what they announce.
    fn took(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(&self.kept).unwrap().map(|entry| entry.unwrap().path());
        let states = files.filter(|file| file.extension().is_some_and(|extension| extension == "status"));
        let notifications = states.filter(|file| std::fs::read_to_string(file).unwrap().contains("state=notification"));
        notifications.map(|file| std::fs::read(file.with_extension("")).unwrap()).collect()
    }

    /// Pushes a notification at the phone and waits until it was taken out of ModemManager.
    async fn take(&self, world: &World, phone: &Phone, id: u8) {
        let pushed = [&PUSH[..], &notification(id)].concat();
        world.smsc.inject(phone.number(), &Incoming::to_port(BOB, 2948, &pushed));
        self.app.until("Message delete finish").unwrap();
        phone.modem().wait_emptied().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mmsd_takes_its_notifications_and_nothing_else_beside_the_door_and_through_it() {
    let world = World::start(programs()).await.unwrap();
    let (alice, bob) = (phone(&world, ALICE).await, phone(&world, BOB).await);
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let door = alice.door(programs()).unwrap();
    let app = alice.sms_through(&door).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    let texts = async || app.list().await.unwrap().into_iter().map(|shown| shown.text).collect::<Vec<_>>();

    let beside = Mmsd::start(&alice, alice.bus().address(), "beside");
    bob.shunt().send(ALICE, "by IM").await.unwrap();
    app.wait_received(|shown| shown.text == "by IM").await.unwrap();
    beside.take(&world, &alice, b'1').await;
    assert_eq!(beside.took(), [notification(b'1')]);
    assert_eq!(texts().await, ["by IM"]);
    row("mmsd-tng", "MMS notifications, beside the door", format_args!("{} taken, to the byte", beside.took().len()));
    drop(beside);

    // What the door shows it besides is none of its business, and stays.
    let through = Mmsd::start(&alice, &door.address(), "through");
    bob.shunt().send(ALICE, "by IM again").await.unwrap();
    app.wait_received(|shown| shown.text == "by IM again").await.unwrap();
    through.take(&world, &alice, b'2').await;
    assert_eq!(through.took(), [notification(b'2')]);
    assert_eq!(texts().await, ["by IM", "by IM again"]);
    row("mmsd-tng", "MMS notifications, through the door", format_args!("{} taken, to the byte", through.took().len()));
}
