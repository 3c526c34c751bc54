//! Who may: by polkit, by lists; changes of mind included.

use crate::support::*;
use shunt_kit::Phone;
use std::collections::HashMap;
use zbus::{Connection, Variant};

const ALLOW: &str = "polkit.addRule(function (action, subject) {
    if (action.id == 'org.shunt.Shunt1.send' && subject.user == 'nobody') { return polkit.Result.YES; } });";
const FORBID: &str = "polkit.addRule(function (action, subject) {
    if (action.id == 'org.shunt.Shunt1.send') { return polkit.Result.NO; } });";

async fn may_send(client: &Connection) -> bool {
    match call(client, MESSAGING, "Route", &("+49170", none())).await {
        Ok(_) => true,
        Err(failure) => {
            assert!(failure.is("Denied"), "{failure:?}");
            false
        }
    }
}

/// Returns when polkit, or its absence, has come to that.
pub(crate) async fn until_may_send(client: &Connection, wanted: bool) {
    in_time("polkit's change of mind", async {
        // Each try is a whole call; there is no other sign of polkit having read its rules.
        while may_send(client).await != wanted {}
    })
    .await;
}

/// Calls everything that needs a right; gives the names of what was not refused.
async fn not_refused(client: &Connection, phone: &Phone) -> Vec<&'static str> {
    use std::os::fd::AsFd;
    let account = file(phone.dir(), b"account");
    let calls = [
        ("Send", call(client, MESSAGING, "Send", &("+49170", "hi", none())).await),
        ("Route", call(client, MESSAGING, "Route", &("+49170", none())).await),
        ("Watch", call(client, MESSAGING, "Watch", &("+49170",)).await),
        ("Unwatch", call(client, MESSAGING, "Unwatch", &("+49170",)).await),
        ("List", call(client, MESSAGING, "List", &(none(),)).await),
        ("Get", call(client, MESSAGING, "Get", &(path(2),)).await),
        ("Acknowledge", call(client, MESSAGING, "Acknowledge", &(path(2),)).await),
        ("Delete", call(client, MESSAGING, "Delete", &(path(2),)).await),
        ("Resolve", call(client, MESSAGING, "Resolve", &(path(2), "sms")).await),
        ("Ask", call(client, DOOR, "Ask", &("+49170", none())).await),
        ("Divert", call(client, DOOR, "Divert", &("+49170", "hi", none())).await),
        ("Sent", call(client, DOOR, "Sent", &(none(),)).await),
        ("DeleteReport", call(client, DOOR, "DeleteReport", &(path(2),)).await),
        ("Inbox", call(client, DOOR, "Inbox", &(none(),)).await),
        ("Lines", call(client, DOOR, "Lines", &()).await),
        ("Twin", call(client, DOOR, "Twin", &("+49170", "hi")).await),
        ("Peers.List", call(client, PEERS, "List", &()).await),
        ("Unverified", call(client, PEERS, "Unverified", &()).await),
        ("Read", call(client, LEDGER, "Read", &(0_u64,)).await),
        ("Totals", call(client, LEDGER, "Totals", &()).await),
        ("Diagnose", call(client, SERVICE, "Diagnose", &()).await),
        ("SetPolicy", call(client, PEERS, "SetPolicy", &("+49170", "auto")).await),
        ("Block", call(client, PEERS, "Block", &("+49170", true)).await),
        ("Identity", call(client, SERVICE, "Identity", &()).await),
        ("Import", call(client, SERVICE, "Import", &(zbus::Fd::from(account.as_fd()),)).await),
        ("Enable", call(client, SETTINGS, "Enable", &(none(),)).await),
        ("Cancel", call(client, MESSAGING, "Cancel", &(path(2),)).await),
        ("SafetyNumber", call(client, PEERS, "SafetyNumber", &("+49170",)).await),
        ("SetContacts", call(client, PEERS, "SetContacts", &(vec!["+49170"],)).await),
        ("Verify", call(client, PEERS, "Verify", &("+49170", true)).await),
        ("Accept", call(client, PEERS, "Accept", &("+49170", "12345".repeat(12))).await),
    ];
    let settings = [
        ("Enabled", set(client, "Enabled", true).await),
        ("FallbackAfter", set(client, "FallbackAfter", 20_u32).await),
        ("FallbackPolicy", set(client, "FallbackPolicy", "ask").await),
        ("AllowRoaming", set(client, "AllowRoaming", true).await),
        ("AllowMetered", set(client, "AllowMetered", false).await),
        ("PresencePolicy", set(client, "PresencePolicy", "nobody").await),
        ("ReadReceipts", set(client, "ReadReceipts", true).await),
    ];
    let calls = calls.into_iter().map(|(name, result)| (name, result.map(drop)));
    let passed = |result: &Result<(), Failure>| !result.as_ref().is_err_and(|failure| failure.is("Denied"));
    calls.chain(settings).filter(|(_, result)| passed(result)).map(|(name, _)| name).collect()
}

const OF_SEND: [&str; 24] = [
    "Send",
    "Route",
    "Watch",
    "Unwatch",
    "List",
    "Get",
    "Acknowledge",
    "Delete",
    "Resolve",
    "Ask",
    "Divert",
    "Sent",
    "DeleteReport",
    "Inbox",
    "Lines",
    "Twin",
    "Peers.List",
    "Unverified",
    "Read",
    "Totals",
    "Diagnose",
    "Cancel",
    "SafetyNumber",
    "SetContacts",
];

#[tokio::test]
async fn caller_without_rights_is_refused_everything_by_polkit() {
    let phone = phone().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let nobody = phone.bus().connect_now(Some(NOBODY)).unwrap();
    assert_eq!(not_refused(&nobody, &phone).await, [""; 0]);
    assert!(served.asked.try_recv().is_err(), "the core was asked nothing");
    assert_eq!(get(&nobody, SETTINGS, "Enabled").await.unwrap(), false.into(), "reading the switch is free");
    let root = phone.bus().connect_now(None).unwrap();
    assert_eq!(not_refused(&root, &phone).await.len(), 38, "root may everything");
}

#[tokio::test]
async fn right_to_send_comes_and_goes_with_polkits_rules_and_is_no_right_to_set() {
    let phone = phone().start().await.unwrap();
    let _served = Served::as_core(&phone).await;
    let nobody = phone.bus().connect_now(Some(NOBODY)).unwrap();
    assert!(!may_send(&nobody).await);
    phone.add_polkit_rule("20-allow", ALLOW).unwrap();
    until_may_send(&nobody, true).await;
    assert_eq!(not_refused(&nobody, &phone).await, OF_SEND);
    phone.add_polkit_rule("10-forbid", FORBID).unwrap();
    until_may_send(&nobody, false).await;
}

/// What an administrator writes who knows nothing of us.
const MODEM_MANAGERS: &str = "polkit.addRule(function (action, subject) {
    if (action.id == 'org.freedesktop.ModemManager1.Messaging' && subject.user == 'nobody') {
        return polkit.Result.YES; } });";
const NOBODYS_SMS: &str = "polkit.addRule(function (action, subject) {
    if (action.id == 'org.freedesktop.ModemManager1.Messaging') { return polkit.Result.NO; } });";

#[tokio::test]
async fn who_may_text_by_modem_manager_may_by_us_and_nobody_more() {
    let phone = phone().start().await.unwrap();
    let _served = Served::as_core(&phone).await;
    let nobody = phone.bus().connect_now(Some(NOBODY)).unwrap();
    let body = ("+49170", "hi", HashMap::from([("token", Variant::from("t"))]));
    let divert = || call(&nobody, DOOR, "Divert", &body);
    assert!(divert().await.unwrap_err().is("Denied"));
    phone.add_polkit_rule("20-allow", MODEM_MANAGERS).unwrap();
    until_may_send(&nobody, true).await;
    divert().await.unwrap();
    phone.add_polkit_rule("10-forbid", NOBODYS_SMS).unwrap();
    until_may_send(&nobody, false).await;
    assert!(divert().await.unwrap_err().is("Denied"));
}

#[tokio::test]
async fn without_polkit_the_lists_decide_by_user_and_by_group() {
    let phone = phone().without_polkit().start().await.unwrap();
    let rules = lists("[access]\nsend = { uids = [1], gids = [2] }\nsettings = { uids = [3] }\n");
    let _served = Served::with(&phone, rules).await;
    let by = |uid| phone.bus().connect_now(Some(uid)).unwrap();
    assert_eq!(not_refused(&by(1), &phone).await, OF_SEND, "by user");
    assert_eq!(not_refused(&by(2), &phone).await, OF_SEND, "by group");
    assert_eq!(not_refused(&by(3), &phone).await.len(), 14, "settings alone");
    assert_eq!(not_refused(&by(NOBODY), &phone).await, [""; 0]);
}

#[tokio::test]
async fn polkit_never_means_that_it_is_not_asked() {
    let phone = phone().start().await.unwrap();
    phone.add_polkit_rule("10-forbid", FORBID).unwrap();
    let _served = Served::with(&phone, lists("[access]\npolkit = \"never\"\nsend = { uids = [65534] }\n")).await;
    assert!(may_send(&phone.bus().connect_now(Some(NOBODY)).unwrap()).await);
}

#[tokio::test]
async fn mute_or_strange_polkit_grants_nothing() {
    // Somebody has polkit's name and answers with errors: the lists are for systems without polkit, not for these.
    let phone = phone().without_polkit().start().await.unwrap();
    let strange = phone.bus().connect_now(None).unwrap();
    strange.request_name("org.freedesktop.PolicyKit1").await.unwrap();
    let _server = strange.object_server();
    let _served = Served::with(&phone, lists("[access]\nsend = { uids = [65534] }\n")).await;
    let nobody = phone.bus().connect_now(Some(NOBODY)).unwrap();
    assert!(!may_send(&nobody).await);
    strange.release_name("org.freedesktop.PolicyKit1").await.unwrap();
    until_may_send(&nobody, true).await;
}

#[tokio::test]
async fn judgement_is_not_kept_when_polkit_goes_or_comes() {
    let phone = phone().without_polkit().start().await.unwrap();
    let _served = Served::with(&phone, lists("[access]\nsend = { uids = [65534] }\n")).await;
    let nobody = phone.bus().connect_now(Some(NOBODY)).unwrap();
    assert!(may_send(&nobody).await, "by the list");
    let strange = phone.bus().connect_now(None).unwrap();
    strange.request_name("org.freedesktop.PolicyKit1").await.unwrap();
    let _server = strange.object_server();
    until_may_send(&nobody, false).await;
}
