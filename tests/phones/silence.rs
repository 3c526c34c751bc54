//! Off is silent: not one packet, no socket, and none to be had.

use super::{ALICE, BOB, programs};
use shunt_kit::phone::ShuntConfig;
use shunt_kit::process::Process;
use shunt_kit::{Incoming, Phone, Smsc};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Where the control packets go: nobody is there.
const NOWHERE: &str = "198.51.100.7";

/// A capture on the phone's only wire.
struct Capture {
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    _tcpdump: Process,
}

impl Capture {
    fn start(phone: &Phone) -> Self {
        let mut command = phone.command("tcpdump");
        command.args(["-i", "wire0", "-l", "-n", "--immediate-mode"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tcpdump = Process::start_as_is("tcpdump", command, None).unwrap();
        let mut said = BufReader::new(tcpdump.child().stderr.take().unwrap()).lines();
        while !said.next().unwrap().unwrap().contains("listening on") {}
        let lines = BufReader::new(tcpdump.child().stdout.take().unwrap()).lines();
        Self { lines, _tcpdump: tcpdump }
    }

    /// Sends a control packet, and gives what was seen before it.
    fn before_control(&mut self, phone: &Phone, port: u16) -> Vec<String> {
        let send = move || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"control", (NOWHERE, port)).unwrap();
        };
        phone.netns().unwrap().run(send).unwrap();
        let control = format!("{NOWHERE}.{port}");
        let lines = self.lines.by_ref().map(Result::unwrap);
        lines.take_while(|line| !line.contains(&control)).collect()
    }
}

async fn offline_phone(smsc: &Smsc, toml: &str) -> Phone {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let builder = Phone::builder(smsc, ALICE).shipped(std::path::Path::new(shipped)).own_network();
    let mut phone = builder.start().await.unwrap();
    phone.start_shunt(ShuntConfig::new(programs()).lines(toml)).await.unwrap();
    phone
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_switch_off_and_sms_both_ways_no_packet_leaves() {
    let smsc = Smsc::new();
    // A cloud is configured: there is somewhere to go.
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE");
    let cloud = format!(
        "[cloud]\ndomain = \"im.example.org\"\nservers = [\"im.example.org:5222\"]\n\
         directory = \"https://directory.example.org\"\nca = \"{ca}\""
    );
    let alice = offline_phone(&smsc, &cloud).await;
    let mut capture = Capture::start(&alice);
    capture.before_control(&alice, 4001);
    let sent = alice.shunt().send(BOB, "a text while off").await.unwrap();
    alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    smsc.inject(ALICE, &Incoming::text(BOB, "an answer"));
    let got = alice.shunt().wait_received(|text| text.text == "an answer").await.unwrap();
    assert_eq!(got.bearer, "sms");
    assert_eq!(alice.shunt().route(BOB).await.unwrap().reason, "switch-off");
    assert_eq!(capture.before_control(&alice, 4002), [] as [&str; 0], "packets while off");
    assert_eq!((alice.inet_sockets().unwrap(), alice.shunt_pid("shuntd-uplink")), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_core_is_under_the_filter_that_refuses_sockets() {
    let smsc = Smsc::new();
    let alice = offline_phone(&smsc, "").await;
    let core = alice.shunt_pid("shuntd-core").unwrap();
    let status = std::fs::read_to_string(format!("/proc/{core}/status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned);
    // What that filter refuses is shown on a stand-in core in tests/warden.
    assert_eq!(field("Seccomp:").as_deref(), Some("2"));
    assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"));
    assert_eq!(field("CapEff:").as_deref(), Some("0000000000000000"));
    assert!(!field("Uid:").unwrap().starts_with("0\t"));
    let lacks = alice.shunt().property("org.shunt.Shunt1", "Confinement").await.unwrap();
    assert_eq!(Vec::<String>::try_from(lacks).unwrap(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_phone_is_off_and_no_file_turns_it_on() {
    let smsc = Smsc::new();
    let mut alice = offline_phone(&smsc, "").await;
    assert!(!alice.shunt().enabled().await.unwrap());
    let refused = alice.shunt().set_enabled(true).await.unwrap_err();
    assert_eq!(shunt_kit::shunt::error_name(&refused).as_deref(), Some("org.shunt.Error.NotConfigured"));
    alice.stop_shunt().await.unwrap();
    // A daemon whose config is refused says so and ends; SMS apps have the modem to themselves.
    alice.spawn_shunt(&ShuntConfig::new(programs()).lines("[defaults]\nenabled = true")).unwrap();
    assert!(!alice.shunt_ended().await.unwrap().success());
    assert!(alice.shunt_log().contains("no file can turn Shunt on"), "{}", alice.shunt_log());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_turns_the_switch() {
    let smsc = Smsc::new();
    let alice = offline_phone(&smsc, "").await;
    let nobody = shunt_kit::shunt::Shunt::listen_as(alice.bus(), 65534).await.unwrap();
    let refused = nobody.set_enabled(true).await.unwrap_err();
    assert_eq!(shunt_kit::shunt::error_name(&refused).as_deref(), Some("org.shunt.Error.Denied"));
    assert!(!alice.shunt().enabled().await.unwrap());
}
