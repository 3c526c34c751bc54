//! An uplink that is killed, hangs, floods or lies costs no text and no crash of the core.

use super::{ALICE, BOB, acquainted, programs, world};
use rustix::process::Signal;
use shunt_kit::phone::Phone;
use shunt_kit::world::{World, go_online};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The daemons in a directory of their own, with a script in the uplink's place.
fn with_uplink(script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["shuntd", "shuntd-core"] {
        std::fs::copy(programs().join(name), dir.path().join(name)).unwrap();
    }
    let head = "#!/usr/bin/python3\nimport os, struct, time\n\
                def say(body): os.write(3, struct.pack('>I', len(body)) + body)\nREADY = b'\\0\\0'\n";
    let path = dir.path().join("shuntd-uplink");
    std::fs::write(&path, format!("{head}{script}\ntime.sleep(1000)\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

async fn phone_with(world: &World, programs: &Path) -> Phone {
    let mut alice = world.builder(ALICE).start().await.unwrap();
    let mut config = world.config();
    config.programs = programs.to_owned();
    alice.start_shunt(config).await.unwrap();
    world.enrol(&alice).await.unwrap();
    alice
}

/// With that uplink the switch is turned on: texts pass by SMS, the core lives on, and with the real
/// uplink in its place the phone comes online by itself.
async fn costs_nothing(script: &str) {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let dir = with_uplink(script);
    let alice = phone_with(&world, dir.path()).await;
    let core = alice.shunt_pid("shuntd-core").unwrap();
    alice.shunt().set_enabled(true).await.unwrap();
    assert_eq!(alice.shunt().wait_service_state(&["waiting"]).await.unwrap().1, "uplink-died");
    let sent = alice.shunt().send(BOB, "in spite of it").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "in spite of it").await.unwrap().bearer, "sms");
    alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    assert_eq!(alice.shunt_pid("shuntd-core"), Some(core), "the core was restarted");
    // Replaced, not rewritten: the script may be running.
    let new = dir.path().join("new");
    std::fs::copy(programs().join("shuntd-uplink"), &new).unwrap();
    std::fs::rename(new, dir.path().join("shuntd-uplink")).unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    alice.shunt().send(BOB, "all is well").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "all is well").await.unwrap().bearer, "im");
    assert_eq!(bob.shunt().shown("in spite of it"), 1);
    assert_eq!(alice.shunt_pid("shuntd-core"), Some(core), "the core was restarted");
}

macro_rules! uplinks {
    ($($name:ident: $script:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            costs_nothing($script).await;
        })*
    };
}

uplinks! {
    an_uplink_that_dies_at_once_costs_nothing: "os._exit(3)";
    an_uplink_that_sends_garbage_costs_nothing: "say(READY); os.write(3, b'\\xff' * 4096)";
    an_oversized_frame_costs_nothing: "say(READY); os.write(3, struct.pack('>I', 0x7fffffff))";
    a_frame_before_its_time_costs_nothing: "say(b'\\x01\\x01\\0')";
    an_answer_to_nothing_costs_nothing: "say(READY); say(b'\\x02\\x07')";
    a_frame_with_bytes_left_over_costs_nothing: "say(READY + b'\\0')";
    an_uplink_that_floods_costs_nothing: "
say(READY)
try:
    while True: say(b'\\x04\\x03abc\\x04junk' )
finally:
    os._exit(0)";
}

/// Stands between core and uplink. Once the file `armed` is there, the next letter is told to be taken by the server, and
/// then to have come back; the uplink never sees it.
const TAKES_AND_GIVES_BACK: &str = "
import socket, subprocess, threading
core, (here, there) = socket.socket(fileno=os.dup(3)), socket.socketpair()
core.setblocking(True)
os.dup2(there.fileno(), 3)
there.close()
place = os.path.dirname(os.path.abspath(__file__))
subprocess.Popen([os.path.join(place, 'real-uplink')], pass_fds=[3])
os.close(3)
writing = threading.Lock()
def take(end):
    head = end.recv(4, socket.MSG_WAITALL)
    if len(head) < 4: os._exit(0)
    return head + end.recv(struct.unpack('>I', head)[0], socket.MSG_WAITALL)
def tell(frame):
    with writing: core.sendall(frame)
def back():
    while True: tell(take(here))
threading.Thread(target=back, daemon=True).start()
armed = True
while True:
    frame = take(core)
    if armed and frame[4] == 4 and os.path.exists(os.path.join(place, 'armed')):
        armed, end = False, 5
        while frame[end] & 0x80: end += 1
        for fate in b'\\x02', b'\\x03':
            tell(struct.pack('>I', end + 1 - 4) + fate + frame[5:end + 1])
    else: here.sendall(frame)";

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_comes_back_after_the_server_took_it_is_revoked_at_once() {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let dir = with_uplink(TAKES_AND_GIVES_BACK);
    std::fs::copy(programs().join("shuntd-uplink"), dir.path().join("real-uplink")).unwrap();
    let alice = phone_with(&world, dir.path()).await;
    // Longer than the kit waits for anything.
    alice.shunt().set("FallbackAfter", 120_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    acquainted(&alice, &bob).await;
    std::fs::write(dir.path().join("armed"), "").unwrap();
    let sent = alice.shunt().send(BOB, "taken, and given back").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "taken, and given back").await.unwrap().bearer, "sms");
    alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    let states = alice.shunt().states(&sent);
    assert_eq!(states, ["im-sending", "im-accepted", "revoking", "sms-sending", "sms-sent"]);
    // Bob's phone has said that it showed nothing: no mark is needed.
    assert_eq!(
        world.smsc.submitted_by(ALICE).last().and_then(|sms| sms.text.as_deref()),
        Some("taken, and given back")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_uplink_is_started_again_and_loses_no_text() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().send(BOB, "acquainted").await.unwrap();
    bob.shunt().wait_received(|text| text.text == "acquainted").await.unwrap();
    let sent = alice.shunt().send(BOB, "while it is killed").await.unwrap();
    alice.kill_uplink().await.unwrap();
    bob.shunt().wait_received(|text| text.text == "while it is killed").await.unwrap();
    alice.shunt().wait_state(&sent, &["im-delivered", "sms-sent"]).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    assert_eq!(bob.shunt().shown("while it is killed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_uplink_loses_no_text_and_is_dead_when_off_is_reported() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().send(BOB, "acquainted").await.unwrap();
    bob.shunt().wait_received(|text| text.text == "acquainted").await.unwrap();
    alice.signal("shuntd-uplink", Signal::STOP).unwrap();
    let sent = alice.shunt().send(BOB, "into a hanging uplink").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "into a hanging uplink").await.unwrap().bearer, "sms");
    alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    alice.shunt().set_enabled(false).await.unwrap();
    alice.shunt().wait_service_state(&["off"]).await.unwrap();
    assert_eq!((alice.inet_sockets().unwrap(), alice.shunt_pid("shuntd-uplink")), (0, None));
    assert_eq!(bob.shunt().shown("into a hanging uplink"), 1);
}
