//! A phone whose SMS stack is a ROM's own, by its agent, and one with ModemManager.

use super::{ALICE, BOB, programs, world};
use shunt_kit::agent::Agent;
use shunt_kit::proxy::Mode;
use shunt_kit::world::{World, go_off, go_online};
use shunt_kit::{Phone, ShuntConfig, Smsc};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// For daemons that wait for an agent.
pub(super) fn on_an_agent(mut config: ShuntConfig) -> ShuntConfig {
    config.toml = config.toml.replace("[modem]\n", "[modem]\nbackend = \"agent\"\n");
    config
}

/// Alice's phone, whose daemons wait for an agent, and the agents' socket.
pub(super) async fn agent_phone(world: &World) -> (Phone, PathBuf) {
    let mut alice = world.builder(ALICE).start().await.unwrap();
    let socket = alice.dir().join("shunt-run/agent");
    let config = on_an_agent(world.config()).lines(&format!("[agent]\nuids = [2]\nsocket = \"{}\"", socket.display()));
    alice.start_shunt(config).await.unwrap();
    world.enrol(&alice).await.unwrap();
    (alice, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_phone_and_a_modem_managers_do_the_main_job() {
    let world = world().await;
    let (alice, socket) = agent_phone(&world).await;
    let agent = Agent::start(&alice, Some(&socket)).await.unwrap();
    let (bob, mut proxy) = world.phone_behind_proxy(BOB).await.unwrap();
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    assert_eq!(agent.text(BOB, "off", "a").await.unwrap(), "sms", "the agent sends it by itself");
    assert_eq!(bob.shunt().wait_received(|text| text.text == "off").await.unwrap().bearer, "sms");
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    assert_eq!(agent.text(BOB, "by IM", "b").await.unwrap(), "im");
    assert_eq!(bob.shunt().wait_received(|text| text.text == "by IM").await.unwrap().bearer, "im");
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "and back").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "and back").await.unwrap().bearer, "im");
    assert_eq!(world.smsc.submitted_total(), 1);
    // After an IM whose outcome is unknown the agent is told to send nothing: the daemon has it send the marked SMS.
    proxy.set(Mode::BlackHole).await.unwrap();
    assert_eq!(agent.text(BOB, "into the hole", "c").await.unwrap(), "sms-sent");
    bob.shunt().wait_received(|text| text.text == "into the hole").await.unwrap();
    assert_eq!((world.smsc.submitted_total(), bob.shunt().shown("into the hole")), (2, 1));
    proxy.set(Mode::Pass).await.unwrap();
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    go_off(bob.shunt()).await.unwrap();
    // Texts of ours go by the agent too, and its status reports are told.
    let options = std::collections::HashMap::from([("report", zbus::Variant::from(true))]);
    let sent = alice.shunt().send_with(BOB, "from our own app", options).await.unwrap();
    alice.shunt().wait_state(&sent, &["sms-delivered"]).await.unwrap();
    // An SMS that comes in is reported, shown once, and again the same when reported again.
    bob.shunt().send(ALICE, "an SMS").await.unwrap();
    let told = agent.wait_told(|told| told.text == "an SMS").await.unwrap();
    assert!(!told.twin && told.from == BOB);
    assert_eq!(alice.shunt().wait_received(|text| text.text == "an SMS").await.unwrap().bearer, "sms");
    let first = agent.incoming(BOB, "twice", "26/11/24,12:00:00+04").await.unwrap();
    assert_eq!(agent.incoming(BOB, "twice", "26/11/24,12:00:00+04").await.unwrap(), first);
    let twin = agent.incoming(BOB, "and back       \n", "26/11/24,12:00:01+04").await.unwrap();
    assert!(twin.twin && twin.text == "and back", "{twin:?}");
    alice.shunt().wait_received(|text| text.text == "twice").await.unwrap();
    assert_eq!((alice.shunt().shown("twice"), alice.shunt().shown("and back")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_let_in_by_its_uid_and_the_last_to_register_is_it() {
    let smsc = Smsc::new();
    let mut alice = Phone::builder(&smsc, ALICE).start().await.unwrap();
    // On a socket that Android's init made.
    let socket = alice.path("shuntd");
    let mut config = on_an_agent(ShuntConfig::new(programs())).lines("[agent]\nuids = [2]");
    config.inits_socket = Some(socket.clone());
    alice.start_shunt(config).await.unwrap();
    let address = format!("unix:path={}", socket.display());
    let run = |uid: u32, program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).uid(uid).gid(uid).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), said)
    };
    let busctl = [
        &format!("--address={address}"),
        "call",
        "org.shunt.Shunt1",
        "/org/shunt/Shunt1",
        "org.shunt.Shunt1.Agents",
        "Register",
        "o",
        "/agent",
    ];
    let gdbus = [
        "call",
        "--address",
        &address,
        "--dest",
        "org.shunt.Shunt1",
        "--object-path",
        "/org/shunt/Shunt1",
        "--method",
        "org.shunt.Shunt1.Agents.Register",
        "/agent",
    ];
    for (program, arguments) in [("busctl", &busctl[..]), ("gdbus", &gdbus[..])] {
        assert_eq!(run(2, program, arguments), (true, if program == "gdbus" { "()\n" } else { "" }.to_owned()));
        let (done, said) = run(65534, program, arguments);
        assert!(!done, "{program}: {said}");
    }
    let agent = Agent::start(&alice, None).await.unwrap();
    agent.incoming(BOB, "on the bus", "26/11/24,12:00:00+04").await.unwrap();
    assert!(run(2, "busctl", &busctl).0);
    let replaced = agent.incoming(BOB, "too late", "26/11/24,12:00:01+04").await.unwrap_err();
    assert_eq!(shunt_kit::shunt::error_name(&replaced).as_deref(), Some("org.shunt.Error.Denied"));
    let nobody = alice.bus().connect_now(Some(65534)).unwrap();
    let path = zbus::ObjectPath::try_from("/agent").unwrap();
    let (name, interface) = (Some("org.shunt.Shunt1"), Some("org.shunt.Shunt1.Agents"));
    let refused = nobody.call_method(name, "/org/shunt/Shunt1", interface, "Register", &(path,)).await;
    assert!(format!("{refused:?}").contains("org.shunt.Error.Denied"), "{refused:?}");
    let call = nobody.call_method(name, "/org/shunt/Shunt1", interface, "LineGone", &("sub-1",)).await;
    assert!(format!("{call:?}").contains("org.shunt.Error.Denied"), "{call:?}");
}
