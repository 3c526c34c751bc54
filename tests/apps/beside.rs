//! What is no text: NetworkManager, calls and emergencies are as if there were no door.

use super::{ALICE, BOB, CAROL, phone, programs};
use crate::mmcli::send;
use shunt_kit::NetworkManager;
use shunt_kit::table::row;
use shunt_kit::world::{World, go_online};

/// NM_DEVICE_STATE_UNMANAGED.
const UNMANAGED: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn network_manager_has_the_same_modem_with_and_without_the_door() {
    let world = World::start(programs()).await.unwrap();
    let (mut alice, bob) = (phone(&world, ALICE).await, phone(&world, BOB).await);
    let mut manager = NetworkManager::start(&alice).await.unwrap();
    let without = manager.shown().unwrap();
    assert!(without.contains("GENERAL.TYPE:gsm\n"), "{without}");

    for phone in [&alice, &bob] {
        go_online(phone.shunt()).await.unwrap();
    }
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    let door = alice.door(programs()).unwrap();
    let app = alice.sms_through(&door).await.unwrap();
    send(&door, BOB, "by IM").await;
    bob.shunt().wait_received(|came| came.text == "by IM").await.unwrap();
    bob.shunt().send(ALICE, "by IM too").await.unwrap();
    app.wait_received(|shown| shown.text == "by IM too").await.unwrap();
    send(&door, CAROL, "by SMS").await;
    assert_eq!(world.smsc.submitted_total(), 1);
    assert_eq!(manager.shown().unwrap(), without);
    let changes = manager.changes().await.unwrap();
    assert_eq!(changes, [0; 0], "it saw nothing of that");

    // One that comes later.
    drop(manager);
    let mut manager = NetworkManager::start(&alice).await.unwrap();
    assert_eq!(manager.shown().unwrap(), without);
    // It would have seen something: a modem that goes.
    alice.reattach().await.unwrap();
    assert_eq!(manager.next_change().await.unwrap(), UNMANAGED);
    let state = without.lines().find_map(|line| line.strip_prefix("GENERAL.STATE:")).unwrap();
    let found = format_args!("modem {state}; {} changes while texts went", changes.len());
    row("NetworkManager", "the modem, with and without the door", found);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_texts_to_112_go_straight_to_the_modem() {
    let world = World::start(programs()).await.unwrap();
    let alice = phone(&world, ALICE).await;
    go_online(alice.shunt()).await.unwrap();
    let door = alice.door(programs()).unwrap();
    for number in [BOB, "112"] {
        let made = door.mmcli(&["-m", "any", &format!("--voice-create-call=number={number}")]).await.unwrap();
        let call = made.split_whitespace().find(|word| word.contains("/Call/")).unwrap();
        door.mmcli(&["-o", call, "--start"]).await.unwrap();
        door.mmcli(&["-o", call, "--hangup"]).await.unwrap();
        door.mmcli(&["-m", "any", &format!("--voice-delete-call={call}")]).await.unwrap();
    }
    let dialled: Vec<String> =
        alice.modem().commands().iter().filter_map(|line| Some(line.strip_prefix("ATD")?.to_owned())).collect();
    assert_eq!(dialled, [format!("{BOB};"), "112;".to_owned()]);
    row("mmcli", "calls, also to 112", format_args!("the modem dialled {}", dialled.join(" ")));

    send(&door, "112", "fire at the old jetty").await;
    let traffic = world.smsc.traffic();
    assert_eq!(traffic.between(ALICE, "112"), ["fire at the old jetty"]);
    assert!(alice.shunt().list().await.unwrap().is_empty(), "the core was not asked to send it");
    row("mmcli", "a text to 112", format_args!("{} SMS at the SMSC", traffic.texts.len()));
}
