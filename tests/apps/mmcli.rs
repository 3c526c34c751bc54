//! `mmcli` through the doors of two phones, each with the real core behind it.

use super::{ALICE, BOB, CAROL, came, leaving_sms, phone, programs, start};
use rustix::process::Signal;
use shunt_kit::phone::{Sms, sms::state};
use shunt_kit::proxy::{Mode, Proxy};
use shunt_kit::table::row;
use shunt_kit::world::{World, go_online};
use shunt_kit::{Door, Phone, shunt::Heard};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zbus::OwnedObjectPath;

/// Creates a text as a user of `mmcli` does; its object.
async fn create(door: &Door, to: &str, text: &str, report: &str) -> OwnedObjectPath {
    let fields = format!("--messaging-create-sms=number='{to}',text='{text}',delivery-report-request={report}");
    let made = door.mmcli(&["-m", "any", &fields]).await.unwrap();
    made.split_whitespace().find(|word| word.contains("/SMS/")).unwrap().to_owned().try_into().unwrap()
}

/// Creates one and sends it.
pub(crate) async fn send(door: &Door, to: &str, text: &str) -> OwnedObjectPath {
    send_with(door, to, text, "no").await
}

/// The same, asking for a delivery report, `yes` or `no`.
pub(crate) async fn send_with(door: &Door, to: &str, text: &str, report: &str) -> OwnedObjectPath {
    let path = create(door, to, text, report).await;
    door.mmcli(&["-s", path.as_str(), "--send"]).await.unwrap();
    path
}

async fn listed(door: &Door) -> String {
    door.mmcli(&["-m", "any", "--messaging-list-sms"]).await.unwrap()
}

async fn show(door: &Door, path: &OwnedObjectPath) -> String {
    door.mmcli(&["-K", "-s", path.as_str()]).await.unwrap()
}

fn tells(shown: &str, name: &str, value: &str) -> bool {
    shown.lines().any(|line| line.split_once(':').is_some_and(|(n, v)| n.trim() == name && v.trim() == value))
}

async fn texts(app: &Sms) -> Vec<String> {
    app.list().await.unwrap().into_iter().map(|shown| shown.text).collect()
}

pub(crate) async fn two_online(world: &World) -> (Phone, Phone) {
    let (alice, bob) = (phone(world, ALICE).await, phone(world, BOB).await);
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    (alice, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mmcli_sends_goes_by_im_and_is_the_same_after_restarts_of_everything() {
    let world = World::start(programs()).await.unwrap();
    let (mut alice, mut bob) = two_online(&world).await;
    let (mut alices, mut bobs) = (alice.door(programs()).unwrap(), bob.door(programs()).unwrap());
    let app = bob.sms_through(&bobs).await.unwrap();
    let sent = send(&alices, BOB, "by whichever way").await;
    let im = app.wait_received(|shown| shown.text == "by whichever way").await.unwrap();
    let way = came(&world, &bob, "by whichever way");
    assert_eq!((im.number.as_str(), im.class), (ALICE, -1));
    assert!(listed(&bobs).await.contains(im.path.as_str()));
    let shown = show(&bobs, &im.path).await;
    assert!(tells(&shown, "sms.content.text", "by whichever way"), "{shown}");
    assert!(tells(&shown, "sms.properties.state", "received"), "{shown}");
    assert_eq!(world.smsc.submitted_total(), 0);

    // To one who is not enrolled it is the app's own SMS; the one sent by IM looks like it in all but its number.
    let plain = send(&alices, CAROL, "by whichever way").await;
    assert_eq!(world.smsc.traffic().between(ALICE, CAROL), ["by whichever way"]);
    let alices_app = alice.sms_through(&alices).await.unwrap();
    let by_sms = alices_app.get(plain).await.unwrap();
    let by_im = alices_app.get(sent.clone()).await.unwrap();
    assert_eq!((by_im.state, by_im.timestamp), (by_sms.state, by_sms.timestamp));
    assert!(by_im.reference > 0 && by_sms.reference > 0);
    assert_eq!(alice.sms().get(sent.clone()).await.unwrap().state, state::UNKNOWN, "ModemManager sent nothing");

    send(&alices, BOB, "deleted soon").await;
    let deleted = app.wait_received(|shown| shown.text == "deleted soon").await.unwrap();
    bobs.mmcli(&["-m", "any", &format!("--messaging-delete-sms={}", deleted.path)]).await.unwrap();
    app.wait_gone(&deleted.path).await.unwrap();
    assert_eq!(texts(&app).await, ["by whichever way"]);
    assert_eq!(world.smsc.submitted_total(), 1);

    for phone in [&mut alice, &mut bob] {
        phone.kill_core().await.unwrap();
        phone.start_shunt(leaving_sms(world.config())).await.unwrap();
        phone.shunt().wait_service_state(&["online"]).await.unwrap();
    }
    drop((alices, bobs));
    (alices, bobs) = (alice.door(programs()).unwrap(), bob.door(programs()).unwrap());
    assert!(tells(&show(&alices, &sent).await, "sms.properties.state", "sent"));
    assert!(tells(&show(&bobs, &im.path).await, "sms.content.text", "by whichever way"));

    // The modem service, then the modem, behind an app that stays connected.
    let app = bob.sms_through(&bobs).await.unwrap();
    app.wait_received(|shown| shown.text == "by whichever way").await.unwrap();
    assert_eq!(texts(&app).await, ["by whichever way"], "what was deleted stays so");
    bob.restart_modem_service().await.unwrap();
    for _ in 0..3 {
        // An app that was there all along, one that comes now, and mmcli see it at the modem of its line.
        for app in [bob.sms_still(&app).unwrap(), bob.sms_through(&bobs).await.unwrap()] {
            let shown = app.wait_received(|shown| shown.text == "by whichever way").await.unwrap();
            assert_eq!((shown.path, texts(&app).await.len()), (im.path.clone(), 1));
        }
        assert!(listed(&bobs).await.contains(im.path.as_str()));
        bob.reattach().await.unwrap();
    }
    row("mmcli", "create, send, list, read, delete; all restarted", way);
    let sms = world.smsc.traffic().between(ALICE, CAROL).len();
    row("mmcli", "send to a number that is not enrolled", format_args!("{sms} SMS at the SMSC"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_fallback_is_shown_once_by_the_recipients_app() {
    let world = World::start(programs()).await.unwrap();
    let alice = phone(&world, ALICE).await;
    let mut proxy = Proxy::start(world.cloud.xmpp_addr()).unwrap();
    let bob = start(&world, world.builder(BOB), world.config_via(proxy.addr())).await;
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    let (alices, bobs) = (alice.door(programs()).unwrap(), bob.door(programs()).unwrap());
    let app = bob.sms_through(&bobs).await.unwrap();
    send(&alices, BOB, "hello").await;
    app.wait_received(|shown| shown.text == "hello").await.unwrap();

    // It arrives by IM, and its receipt is lost: the SMS that follows is its twin.
    proxy.set(Mode::LoseUp).await.unwrap();
    let sent = send(&alices, BOB, "both ways").await;
    assert!(tells(&show(&alices, &sent).await, "sms.properties.state", "sent"));
    let texts_sent = world.smsc.traffic().between(ALICE, BOB).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert!(texts_sent.len() == 1 && texts_sent[0].trim_end() == "both ways" && texts_sent[0] != "both ways");
    app.wait_received(|shown| shown.text == "both ways").await.unwrap();
    bob.modem().wait_emptied().await.unwrap();
    assert_eq!(texts(&app).await.iter().filter(|text| *text == "both ways").count(), 1);

    // It never arrives by IM: the SMS is shown, without its mark.
    proxy.set(Mode::Pass).await.unwrap();
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    proxy.set(Mode::BlackHole).await.unwrap();
    send(&alices, BOB, "into the hole").await;
    app.wait_received(|shown| shown.text == "into the hole").await.unwrap();
    proxy.set(Mode::Pass).await.unwrap();
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    assert_eq!(world.smsc.submitted_total(), 2);
    let mut shown = texts(&app).await;
    shown.sort();
    assert_eq!(shown, ["both ways", "hello", "into the hole"]);
    row("mmcli", "send; the receipt is lost: twin SMS hidden", came(&world, &bob, "both ways"));
    row("mmcli", "send into a black hole: marked SMS shown once", came(&world, &bob, "into the hole"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_hangs_with_a_text_costs_mmcli_its_wait_and_the_text_is_shown_once() {
    let world = World::start(programs()).await.unwrap();
    let (alice, bob) = two_online(&world).await;
    let (alices, bobs) = (alice.door(programs()).unwrap(), bob.door(programs()).unwrap());
    let app = bob.sms_through(&bobs).await.unwrap();
    // With a lease that Bob has granted.
    let before = alice.shunt().send(BOB, "before").await.unwrap();
    let is = |heard: &Heard, state| heard.path.as_ref() != Some(&before) && heard.dict.text("state") == state;
    alice.shunt().wait_state(&before, &["im-delivered"]).await.unwrap();
    app.wait_received(|shown| shown.text == "before").await.unwrap();
    // Bob's core answers nothing for now: so Alice's has the text, and no word on it.
    bob.signal("shuntd-core", Signal::STOP).unwrap();
    let path = create(&alices, BOB, "held up", "no").await;
    let sending = ["-s", path.as_str(), "--send"];
    let (sent, ()) = tokio::join!(alices.mmcli(&sending), async {
        alice.shunt().wait_heard("the server's word", |heard| is(heard, "im-accepted")).await.unwrap();
        alice.signal("shuntd-core", Signal::STOP).unwrap();
    });
    let refused = sent.unwrap_err().to_string();
    assert!(refused.contains("org.shunt.Error.Uncertain"), "{refused}");
    for phone in [&bob, &alice] {
        phone.signal("shuntd-core", Signal::CONT).unwrap();
    }
    app.wait_received(|shown| shown.text == "held up").await.unwrap();
    alice.shunt().wait_heard("the receipt", |heard| is(heard, "im-delivered")).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    send(&alices, BOB, "afterwards").await;
    app.wait_received(|shown| shown.text == "afterwards").await.unwrap();
    assert!(tells(&show(&alices, &path).await, "sms.properties.state", "sent"), "the app sees it in the end");
    assert_eq!(texts(&app).await, ["before", "held up", "afterwards"]);
    assert_eq!(world.smsc.submitted_total(), 0);
    row("mmcli", "send; the core hangs with the text", came(&world, &bob, "held up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sms_that_mmcli_deletes_is_gone_from_the_core_too_and_one_whose_modem_goes_is_not() {
    let world = World::start(programs()).await.unwrap();
    let mut bob = phone(&world, BOB).await;
    let bobs = bob.door(programs()).unwrap();
    for text in ["taken at once", "taken later", "kept"] {
        world.smsc.inject(BOB, &shunt_kit::Incoming::text(CAROL, text));
        bob.shunt().wait_received(|came| came.text == text).await.unwrap();
    }
    // In the modem service, by mmcli, as it lists it; the core's word that its copy is gone.
    let delete = async |bob: &Phone, text: &str| {
        let app = bob.sms_through(&bobs).await.unwrap();
        let sms = app.wait_received(|shown| shown.text == text).await.unwrap();
        let ours = bob.shunt().wait_received(|came| came.text == text).await.unwrap().path;
        bobs.mmcli(&["-m", "any", &format!("--messaging-delete-sms={}", sms.path)]).await.unwrap();
        let gone = |heard: &Heard| heard.path.as_ref() == Some(&ours) && heard.dict.get("deleted") == Some(true);
        bob.shunt().wait_heard("its deletion", gone).await.unwrap();
        assert!(bob.shunt().get(&ours).await.is_err());
    };
    delete(&bob, "taken at once").await;
    bob.reattach().await.unwrap();
    bob.restart_modem_service().await.unwrap();
    bob.kill_core().await.unwrap();
    bob.start_shunt(leaving_sms(world.config())).await.unwrap();
    delete(&bob, "taken later").await;
    let left = bob.shunt().list().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(bob.shunt().get(&left[0]).await.unwrap().text("text"), "kept");
}

#[tokio::test]
async fn another_user_is_refused_at_the_doors_socket() {
    let smsc = shunt_kit::Smsc::new();
    let phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
    let door = phone.door(programs()).unwrap();
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    open(phone.dir());
    open(door.socket());
    let list = |bus: String, uid: u32| {
        let mut command = std::process::Command::new("setpriv");
        command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "mmcli", "-L"]);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus).output().unwrap()
    };
    for (bus, uid, lets) in
        [(phone.bus().address().to_owned(), 65534, true), (door.address(), 0, true), (door.address(), 65534, false)]
    {
        let output = list(bus, uid);
        assert_eq!(output.status.success(), lets, "{uid}: {output:?}");
    }
}
