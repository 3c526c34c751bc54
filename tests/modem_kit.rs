//! The kit checked against the real ModemManager: what the other tests stand on.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use shunt_kit::phone::measure;
use shunt_kit::phone::sms::{Shown, state};
use shunt_kit::user_data::UserData;
use shunt_kit::{Fault, Incoming, Phone, Registration, Smsc, process, shunt};
use zbus::MessageStream;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

async fn two_phones() -> (Smsc, Phone, Phone) {
    let smsc = Smsc::new();
    let (alice, bob) = tokio::join!(Phone::builder(&smsc, ALICE).start(), Phone::builder(&smsc, BOB).start());
    (smsc, alice.unwrap(), bob.unwrap())
}

async fn one_phone() -> (Smsc, Phone) {
    let smsc = Smsc::new();
    let bob = Phone::builder(&smsc, BOB).start().await.unwrap();
    (smsc, bob)
}

async fn got(phone: &Phone, text: &str) -> Shown {
    phone.sms().wait_received(|s| s.text == text).await.unwrap()
}

#[tokio::test]
async fn two_phones_exchange_texts_of_every_kind() {
    let (smsc, alice, bob) = two_phones().await;
    let emoji = "Grüße 👍🏽 und mehr, Zeile um Zeile\n".repeat(6);
    let long = "Straße [1] {2} €3 ".repeat(20);
    let marked = "Mit Leerzeichen am Ende \n \n  \n ";
    for text in ["Hallo Bob", &emoji, &long, marked] {
        alice.sms().send(BOB, text, false).await.unwrap();
        assert_eq!(got(&bob, text).await.number, ALICE);
    }
    assert_eq!(smsc.traffic().between(ALICE, BOB), ["Hallo Bob", &emoji, &long, marked]);
    assert_eq!(smsc.submitted_total(), 4);
    assert!(smsc.submitted_parts() > 6, "the long ones took several parts");
    bob.sms().send("015112345601", "zurück", false).await.unwrap();
    assert_eq!(got(&alice, "zurück").await.number, BOB);
}

#[tokio::test]
async fn a_status_report_names_the_text_by_its_reference_and_only_when_asked_for() {
    let (smsc, alice, bob) = two_phones().await;
    alice.sms().send(BOB, "ohne", false).await.unwrap();
    got(&bob, "ohne").await;
    let path = alice.sms().send(BOB, "mit Bericht", true).await.unwrap();
    let sent = alice.sms().get(path).await.unwrap();
    let report = alice.sms().wait_report(|_| true).await.unwrap();
    assert_eq!((report.reference, report.delivery_state), (sent.reference, 0));
    assert_eq!(sent.state, state::SENT);
    assert_eq!(smsc.traffic().reports, [(ALICE.to_owned(), BOB.to_owned(), 0)]);
}

#[tokio::test]
async fn texts_wait_at_the_smsc_for_a_phone_that_is_away() {
    let (smsc, alice, mut bob) = two_phones().await;
    bob.lose_port().await;
    alice.sms().send(BOB, "eins", true).await.unwrap();
    let long = "zwei ".repeat(60);
    alice.sms().send(BOB, &long, false).await.unwrap();
    assert_eq!(smsc.waiting_for(BOB), 3);
    assert_eq!(smsc.traffic().delivered, []);
    bob.reattach().await.unwrap();
    got(&bob, "eins").await;
    got(&bob, &long).await;
    alice.sms().wait_report(|r| r.delivery_state == 0).await.unwrap();
}

#[tokio::test]
async fn an_expired_text_is_reported_as_such() {
    let (smsc, alice, bob) = two_phones().await;
    bob.modem().set_registration(Registration::Searching);
    alice.sms().send(BOB, "zu spät", true).await.unwrap();
    smsc.expire(BOB);
    assert_eq!(alice.sms().wait_report(|_| true).await.unwrap().delivery_state, 0x46);
}

#[tokio::test]
async fn send_failures_carry_the_names_that_modemmanager_gives_them() {
    let (smsc, alice) = one_phone().await;
    let message = "org.freedesktop.ModemManager1.Error.Message.";
    let path = alice.sms().create(ALICE, "schwierig", false).await.unwrap();
    for (fault, name) in [
        (Fault::Cms(331), format!("{message}NoNetwork")),
        (Fault::Cms(332), format!("{message}NetworkTimeout")),
        (Fault::Cms(310), format!("{message}SimNotInserted")),
        (Fault::Cms(500), format!("{message}Unknown")),
        (Fault::Cms(38), format!("{message}Unknown")),
        (Fault::Error, "org.freedesktop.ModemManager1.Error.MobileEquipment.Unknown".to_owned()),
    ] {
        smsc.fail_next(BOB, fault, 1);
        let error = alice.sms().send_object(&path).await.unwrap_err();
        assert_eq!(shunt::error_name(&error).as_deref(), Some(&*name), "{fault:?}");
        assert_eq!(alice.sms().get(path.clone()).await.unwrap().state, state::UNKNOWN);
    }
    assert_eq!(smsc.submitted_total(), 0);
    alice.sms().send_object(&path).await.unwrap();
    assert_eq!((smsc.submitted_total(), smsc.traffic().attempts), (1, 7));
}

#[tokio::test]
async fn a_lost_port_fails_sends_and_comes_back_as_a_new_modem() {
    let (smsc, mut bob) = one_phone().await;
    let before = bob.modem_manager().unwrap().modem().unwrap().clone();
    bob.lose_port().await;
    assert!(bob.sms().send(ALICE, "verloren", false).await.is_err());
    bob.reattach().await.unwrap();
    assert_ne!(bob.modem_manager().unwrap().modem().unwrap(), &before);
    bob.sms().send(ALICE, "wieder da", false).await.unwrap();
    assert_eq!(smsc.traffic().between(BOB, ALICE), ["wieder da"]);
}

#[tokio::test]
async fn a_phone_without_a_sim_is_one_with_a_failed_modem_until_it_gets_one() {
    let smsc = Smsc::new();
    let mut bob = Phone::builder(&smsc, BOB).without_sim().start().await.unwrap();
    let shown = bob.command("mmcli").args(["-m", "any", "-K"]).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains("sim-missing"));
    bob.modem().set_sim_present(true);
    bob.reattach().await.unwrap();
    bob.sms().send(ALICE, "mit SIM", false).await.unwrap();
    assert_eq!(smsc.submitted_total(), 1);
}

#[tokio::test]
async fn a_restarted_modemmanager_finds_what_the_modem_kept() {
    let (smsc, mut bob) = one_phone().await;
    smsc.inject(BOB, &Incoming::text("Bank", "Ihre TAN 👍"));
    got(&bob, "Ihre TAN 👍").await;
    bob.restart_modem_service().await.unwrap();
    let kept = got(&bob, "Ihre TAN 👍").await;
    assert_eq!(kept.number, "Bank");
    bob.sms().delete(&kept.path).await.unwrap();
    bob.modem().wait_emptied().await.unwrap();
}

#[tokio::test]
async fn deliveries_are_held_let_go_one_by_one_repeated_and_trimmed() {
    let (smsc, bob) = one_phone().await;
    smsc.hold(BOB);
    for text in ["a", "b", "c"] {
        smsc.inject(BOB, &Incoming::text(ALICE, text));
    }
    smsc.release_one(BOB);
    got(&bob, "a").await;
    assert_eq!(smsc.waiting_for(BOB), 2);
    smsc.release(BOB);
    got(&bob, "c").await;

    smsc.repeat_next(BOB, 1);
    smsc.inject(BOB, &Incoming::text(ALICE, "doppelt"));
    smsc.wait_for("the repeat", |t| t.delivered.len() == 5).await.unwrap();
    bob.sms().wait_received(|s| s.text == "doppelt").await.unwrap();

    smsc.strip_trailing_whitespace(true);
    bob.sms().send(BOB, "beschnitten \n ", false).await.unwrap();
    got(&bob, "beschnitten").await;
    assert_eq!(smsc.traffic().between(BOB, BOB), ["beschnitten \n "]);
}

#[tokio::test]
async fn strange_sms_arrive_as_what_they_are() {
    let (smsc, bob) = one_phone().await;
    smsc.inject(BOB, &Incoming::text("116117", "Kurzwahl"));
    assert_eq!(got(&bob, "Kurzwahl").await.number, "116117");
    smsc.inject(BOB, &Incoming::text(ALICE, "sofort").class(0));
    assert_eq!(got(&bob, "sofort").await.class, 0);
    smsc.inject(BOB, &Incoming::data(ALICE, &[1, 2, 3]));
    let data = bob.sms().wait_received(|s| !s.data.is_empty()).await.unwrap();
    assert_eq!((&*data.data, &*data.text), (&[1u8, 2, 3][..], ""));
    let lonely = UserData::parts_of(&"x".repeat(200), None, 9).remove(1);
    smsc.inject(BOB, &Incoming::of_parts(ALICE, vec![lonely]));
    smsc.wait_for("the lonely part", |t| t.delivered.len() == 4).await.unwrap();
}

#[tokio::test]
async fn a_text_whose_answer_is_kept_back_has_left_all_the_same() {
    let (smsc, bob) = one_phone().await;
    smsc.pause_answers(BOB);
    let sms = bob.sms();
    let sending = tokio::spawn(async move { sms.send(ALICE, "schwebend", false).await });
    smsc.wait_for_text("the text", |t| t.text.as_deref() == Some("schwebend")).await.unwrap();
    assert!(!sending.is_finished());
    smsc.resume_answers(BOB);
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_phone_without_a_network_cannot_send_and_says_why() {
    let (_smsc, bob) = one_phone().await;
    bob.modem().set_registration(Registration::Denied);
    let error = bob.sms().send(ALICE, "nein", false).await.unwrap_err();
    assert_eq!(shunt::error_name(&error).as_deref(), Some("org.freedesktop.ModemManager1.Error.Message.NoNetwork"));
    bob.modem().set_registration(Registration::Roaming);
    bob.sms().send(ALICE, "ja", false).await.unwrap();
}

#[tokio::test]
async fn a_phone_in_a_network_namespace_of_its_own_works_like_any_other() {
    let smsc = Smsc::new();
    let bob = Phone::builder(&smsc, BOB).own_network().start().await.unwrap();
    smsc.inject(BOB, &Incoming::text(ALICE, "hinein"));
    got(&bob, "hinein").await;
    bob.sms().send(ALICE, "hinaus", false).await.unwrap();
    assert_eq!(smsc.submitted_total(), 1);
    let links = bob.command("ip").args(["-brief", "link"]).output().unwrap();
    let links = String::from_utf8(links.stdout).unwrap();
    assert_eq!(links.lines().count(), 3, "a loopback and both ends of the wire: {links}");
}

#[tokio::test]
async fn a_user_without_rights_may_not_send_and_a_rule_can_let_him() {
    let (_smsc, bob) = one_phone().await;
    let nobody = bob.sms_as(65_534).unwrap();
    assert!(nobody.create(ALICE, "verboten", false).await.is_err());
    let bus = bob.bus().connect().await.unwrap();
    // polkitd notices the file by itself, and says so.
    let rule = "type='signal',interface='org.freedesktop.PolicyKit1.Authority',member='Changed'";
    let mut reloaded = MessageStream::for_match_rule(rule, &bus, None).await.unwrap();
    bob.add_polkit_rule(
        "10-nobody",
        "polkit.addRule(function (action, subject) { if (subject.user == 'nobody') return 'yes'; });",
    )
    .unwrap();
    let allowed = async {
        while nobody.create(ALICE, "erlaubt", false).await.is_err() {
            reloaded.next().await.unwrap().unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), allowed).await.unwrap();
}

#[tokio::test]
async fn two_modems_keep_to_their_own_names_and_mmcli_sees_them() {
    let (_smsc, alice, bob) = two_phones().await;
    for (phone, number) in [(&alice, ALICE), (&bob, BOB)] {
        let shown = phone.command("mmcli").args(["-m", "any", "-K"]).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains(number), "{shown}");
        assert!(shown.contains(&phone.modem().identity().imei), "{shown}");
        assert!(shown.contains("registered"), "{shown}");
    }
}

#[tokio::test]
async fn ofono_uses_the_same_modem_over_tcp() {
    let smsc = Smsc::new();
    let bob = Phone::builder(&smsc, BOB).with_ofono().start().await.unwrap();
    bob.ofono().send(ALICE, "von oFono").await.unwrap();
    smsc.wait_for_text("the text", |t| t.text.as_deref() == Some("von oFono")).await.unwrap();
    let long = "an oFono ".repeat(30);
    smsc.inject(BOB, &Incoming::text(ALICE, &long));
    let shown = bob.ofono().next_received().await.unwrap();
    assert_eq!((&*shown.number, shown.text), (ALICE, long));
}

#[tokio::test]
async fn a_packet_from_a_phones_own_network_is_seen_on_its_wire() {
    let bob = Phone::builder(&Smsc::new(), BOB).own_network().without_modem_manager().start().await.unwrap();
    let mut capture = bob.command("tcpdump");
    capture.args(["-i", "wire0", "-l", "-n", "--immediate-mode"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut capture = process::Process::start_as_is("tcpdump", capture, None).unwrap();
    let mut said = BufReader::new(capture.child().stderr.take().unwrap()).lines();
    while !said.next().unwrap().unwrap().contains("listening on") {}
    bob.netns()
        .unwrap()
        .run(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"control", "198.51.100.7:4242").unwrap();
        })
        .unwrap();
    let seen = BufReader::new(capture.child().stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(seen.contains("198.51.100.7.4242"), "{seen}");
}

#[tokio::test]
async fn nothing_is_left_of_a_phone() {
    let (_smsc, bob) = one_phone().await;
    let (pids, dir) = (bob.system_pids(), bob.dir().to_owned());
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|pid| process::alive(*pid)));
    drop(bob);
    assert!(!pids.iter().any(|pid| process::alive(*pid)));
    assert!(!dir.exists());
}

/// Starts itself a second time as the victim, which prints its programs' ids and waits for its end.
#[tokio::test]
async fn nothing_runs_on_when_the_test_process_is_killed() {
    const VICTIM: &str = "SHUNT_KIT_VICTIM";
    if std::env::var_os(VICTIM).is_some() {
        let (_smsc, bob) = one_phone().await;
        let pids: Vec<String> = bob.system_pids().iter().map(u32::to_string).collect();
        println!("victim {} {}", bob.dir().display(), pids.join(" "));
        return std::future::pending().await;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "nothing_runs_on_when_the_test_process_is_killed", "--nocapture"]);
    let mut victim = victim.env(VICTIM, "1").stdout(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .find_map(|line| Some(line.unwrap().split_once("victim ")?.1.to_owned()))
        .unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let mut told = told.split(' ');
    let dir = PathBuf::from(told.next().unwrap());
    let pids: Vec<u32> = told.map(|p| p.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3);
    for pid in pids {
        tokio::time::timeout(Duration::from_secs(60), measure::gone(pid)).await.unwrap().unwrap();
    }
    // The files wait for the next phone, of whatever test, which sweeps up after runs that are no more.
    one_phone().await;
    assert!(!dir.exists());
}
