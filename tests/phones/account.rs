//! The own account's life: what is kept, exported, enrolled, withdrawn.

use super::shuntctl::run;
use super::{ALICE, BOB, acquainted, world};
use serde_json::Value;
use shunt_kit::world::{go_off, go_online};

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_texts_consent_and_ledger_and_no_secret() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    assert_eq!(run(&alice, &["on", "--consent", "im-1", "--locale", "de_DE"]).await.0, 0);
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    acquainted(&alice, &bob).await;
    for text in ["one", "two"] {
        let sent = alice.shunt().send(BOB, text).await.unwrap();
        alice.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap();
        bob.shunt().send(ALICE, &format!("re: {text}")).await.unwrap();
        alice.shunt().wait_received(|got| got.text == format!("re: {text}")).await.unwrap();
    }
    alice.shunt().set_contacts(&["0151 12345603"]).await.unwrap();
    alice.shunt().verify(BOB, true).await.unwrap();
    go_off(alice.shunt()).await.unwrap();
    let file = alice.path("export.json");
    let (code, _, err) = run(&alice, &["export", file.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{err}");
    let written = std::fs::read_to_string(&file).unwrap();
    let all: Value = serde_json::from_str(&written).unwrap();
    let texts = |list: &str| -> Vec<&str> {
        all[list].as_array().unwrap().iter().map(|text| text["text"].as_str().unwrap()).collect()
    };
    assert_eq!((texts("outgoing"), texts("incoming")), (vec!["two", "one", "acquainted"], vec!["re: two", "re: one"]));
    assert_eq!((&all["account"]["number"], &all["peers"][0]["number"]), (&ALICE.into(), &BOB.into()));
    assert_eq!(all["contacts"], serde_json::json!(["+4915112345603"]));
    assert_eq!((&all["peers"][0]["trust"], &all["peers"][0]["wrote-to"]), (&"verified".into(), &true.into()));
    let switches = all["switches"].as_array().unwrap();
    let shown = |n: usize| (&switches[n]["on"], &switches[n]["consent"], &switches[n]["locale"]);
    assert_eq!(switches.len(), 2);
    assert_eq!(shown(0), (&true.into(), &"im-1".into(), &"de_DE".into()));
    assert_eq!(shown(1), (&false.into(), &Value::Null, &Value::Null));
    let frames = all["ledger"].as_array().unwrap();
    assert!(frames.iter().any(|frame| frame["kind"] == "connect"), "{frames:?}");
    let sum: u64 = all["totals"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.starts_with("frames-"))
        .map(|(_, n)| n.as_u64().unwrap())
        .sum();
    assert_eq!(sum, frames.len() as u64, "totals and frames tell the same");
    let (network, wall) =
        (all["totals"]["network-sent"].as_u64().unwrap(), all["totals"]["bytes-send"].as_u64().unwrap());
    assert!(network > wall, "the uplink's own counters are beside the ledger's: {network} {wall}");
    assert_eq!(all["account"]["secret"], "held, not exported");
    assert_eq!(run(&alice, &["export", file.to_str().unwrap()]).await.0, 1, "no file is overwritten");
    let (code, out, _) = run(&alice, &["export", "-"]).await;
    assert!(code == 0 && serde_json::from_str::<Value>(&out).is_ok(), "through a pipe: {out}");
}
