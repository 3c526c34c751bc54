//! What an enrolled stranger learns from the server about others, by an independent XMPP client (slixmpp).

use crate::core::{Core, password};
use anyhow::{Context, Result, bail};
use serde_json::json;
use shunt::wall::{FromUplink, Opaque, ToUplink};
use shunt_kit::cloud::Cloud;
use std::collections::BTreeMap;
use std::process::Command;

/// Made by `tests/packages test`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/uplink/prober.py");

/// The one question that is answered: whoever knows an address may know whether it has a key bundle.
const BUNDLE: &str = "bundle";

/// What the server told about each target, by way of asking.
type Told = BTreeMap<String, BTreeMap<String, Vec<String>>>;

async fn published(cloud: &Cloud, local: &str, bundle: u8) -> Result<(Core, String)> {
    let mut phone = Core::online(cloud, local).await?;
    let request = phone.request();
    phone.say(ToUplink::Publish { request, bundle: Opaque(vec![bundle; 400]) }).await?;
    phone.until("published", |message| *message == FromUplink::Published { request, ok: true }).await?;
    let sessions = cloud.call("connected_users", json!({})).await?;
    let mut sessions = sessions.as_array().context("a list")?.iter().filter_map(|jid| jid.as_str());
    let full = sessions.rfind(|jid| jid.starts_with(local)).context("its session")?.to_owned();
    Ok((phone, full))
}

/// Has a stranger ask about somebody online, somebody enrolled and offline, and nobody at all.
async fn asked(cloud: &Cloud) -> Result<Told> {
    let (mut leaver, was) = published(cloud, "1off", 1).await?;
    leaver.say(ToUplink::Close).await?;
    while leaver.next().await?.is_some() {}
    let (mut online, is) = published(cloud, "1on", 2).await?;
    cloud.register("1stranger", &password("1stranger")).await?;
    let (xmpp, domain) = (cloud.xmpp_addr(), cloud.domain());
    let targets = json!({
        "online": format!("1on@{domain}"), "offline": format!("1off@{domain}"), "unknown": format!("1nobody@{domain}"),
        "online-full": is, "offline-full": was, "unknown-full": format!("1nobody@{domain}/0123456789abcdef"),
    });
    let mut prober = Command::new(PYTHON);
    prober.arg(SCRIPT).arg(xmpp.ip().to_string()).arg(xmpp.port().to_string()).arg(format!("1stranger@{domain}"));
    prober.arg(password("1stranger")).arg(cloud.ca_path()).arg(targets.to_string());
    let output =
        tokio::task::spawn_blocking(move || prober.output()).await?.context("run `tests/packages test` first")?;
    online.settled().await?;
    match serde_json::from_slice(&output.stdout) {
        Ok(told) => Ok(told),
        Err(_) => bail!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
    }
}

/// The ways in which two targets are told apart.
fn telling<'t>(told: &'t Told, one: &str, other: &str) -> Vec<&'t str> {
    told.iter().filter(|(_, targets)| targets[one] != targets[other]).map(|(way, _)| way.as_str()).collect()
}

#[tokio::test]
async fn no_question_tells_who_is_online() -> Result<()> {
    let told = asked(&Cloud::start().await?).await?;
    assert!(told.len() > 20 && told.values().all(|targets| targets.len() == 6));
    assert_eq!(telling(&told, "online", "offline"), [""; 0], "{:?}", told[BUNDLE]);
    assert_eq!(telling(&told, "online-full", "offline-full"), [""; 0]);
    assert_eq!(telling(&told, "offline-full", "unknown-full"), [""; 0]);
    // Who is enrolled can be told by the bundle, as it must; by nothing else.
    assert_eq!(telling(&told, "offline", "unknown"), [BUNDLE]);
    for (way, targets) in &told {
        for (target, answers) in targets {
            let expected = way == BUNDLE && !target.ends_with("-full");
            assert_eq!(!answers.is_empty(), expected, "{way} to {target}: {answers:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_mod_shunt_the_same_questions_do_tell() -> Result<()> {
    let told = asked(&Cloud::start_bare().await?).await?;
    let bare = telling(&told, "online", "offline");
    assert!(["chat", BUNDLE].iter().all(|way| bare.contains(way)), "{bare:?}");
    let full = telling(&told, "online-full", "offline-full");
    assert!(full.contains(&"version") && full.contains(&"ping"), "{full:?}");
    assert!(telling(&told, "offline", "unknown").contains(&"headline"), "{told:?}");
    Ok(())
}
