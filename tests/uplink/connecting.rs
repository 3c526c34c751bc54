//! Who gets in, why not, and how the end looks.

use crate::core::{Core, account, off_the_wall, password, secret};
use anyhow::Result;
use shunt::wall::{FromUplink, LinkState, Offline, ToUplink};
use shunt_kit::cloud::{Cloud, Pki};
use shunt_kit::proxy::{Mode, Proxy};
use std::collections::BTreeSet;

#[tokio::test]
async fn each_refusal_is_told_by_its_name_and_nothing_is_tried_again_unasked() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut proxy = Proxy::start(cloud.xmpp_addr())?;
    cloud.register("1me", &password("1me")).await?;
    let good = {
        let mut connect = account(&cloud, "1me")?;
        connect.servers = vec![proxy.addr().to_string()];
        connect
    };
    let mut wrong_secret = good.clone();
    wrong_secret.secret = secret("guessed");
    let mut unknown = good.clone();
    unknown.account = off_the_wall("1nobody")?;
    let mut wrong_ca = good.clone();
    let elsewhere = tempfile::tempdir()?;
    wrong_ca.ca = Pki::generate("shunt.test", elsewhere.path())?.ca_pem;
    let mut no_ca = good.clone();
    no_ca.ca = "no certificate".to_owned();
    let mut wrong_name = good.clone();
    wrong_name.domain = "another.test".to_owned();

    for (connect, reason) in [
        (wrong_secret, Offline::Auth),
        (unknown, Offline::Auth),
        (wrong_ca, Offline::Tls),
        (no_ca, Offline::Tls),
        (wrong_name, Offline::Tls),
    ] {
        let before = proxy.connections();
        let mut core = Core::start(connect).await?;
        assert_eq!(core.offline().await?, reason);
        core.say(ToUplink::Retry).await?;
        assert_eq!(core.offline().await?, reason);
        assert_eq!(proxy.connections() - before, 2, "one connection for each try");
        assert_eq!(core.counters.connections, 2);
    }

    proxy.set(Mode::Refuse).await?;
    let mut core = Core::start(good.clone()).await?;
    assert_eq!(core.offline().await?, Offline::Unreachable);
    // A ping while offline is answered by the state.
    core.ping().await?;
    assert_eq!(core.offline().await?, Offline::Unreachable);

    // The second address is taken when the first refuses.
    let mut second = good;
    second.servers.push(cloud.xmpp_addr().to_string());
    let mut core = Core::start(second).await?;
    core.link(LinkState::Online { resumed: false }).await?;
    Ok(())
}

#[tokio::test]
async fn close_leaves_no_session_and_a_broken_wall_leaves_no_process() -> Result<()> {
    let cloud = Cloud::start().await?;
    let proxy = Proxy::start(cloud.xmpp_addr())?;
    let mut polite = Core::online(&cloud, "1polite").await?;
    assert_eq!(cloud.sessions().await?, 1);
    polite.say(ToUplink::Close).await?;
    while polite.next().await?.is_some() {}
    assert!(polite.process.ended().await?.success());
    assert_eq!(cloud.sessions().await?, 0, "the server knows at once");

    cloud.register("1gone", &password("1gone")).await?;
    let mut connect = account(&cloud, "1gone")?;
    connect.servers = vec![proxy.addr().to_string()];
    let mut gone = Core::start(connect).await?;
    gone.link(LinkState::Online { resumed: false }).await?;
    assert_eq!(proxy.open(), 1);
    gone.hang_up();
    assert!(gone.process.ended().await?.success());
    proxy.until_open(0).await;

    // Also in the middle of an attempt.
    let mut proxy = proxy;
    proxy.set(Mode::BlackHole).await?;
    let mut connect = account(&cloud, "1gone")?;
    connect.servers = vec![proxy.addr().to_string()];
    let mut trying = Core::start(connect).await?;
    trying.link(LinkState::Connecting).await?;
    trying.say(ToUplink::Close).await?;
    assert!(trying.process.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn each_connection_has_a_resource_that_nobody_can_guess() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut resources = BTreeSet::new();
    cloud.register("1me", &password("1me")).await?;
    for _ in 0..3 {
        let mut core = Core::start(account(&cloud, "1me")?).await?;
        core.link(LinkState::Online { resumed: false }).await?;
        core.settled().await?;
        let sessions = cloud.call("connected_users", serde_json::json!({})).await?;
        let full = sessions[0].as_str().unwrap_or_default().to_owned();
        assert_eq!(full.len(), "1me@shunt.test/".len() + 32, "{full}");
        resources.insert(full);
        core.say(ToUplink::Close).await?;
        assert!(core.process.ended().await?.success());
    }
    assert_eq!(resources.len(), 3);
    Ok(())
}

#[tokio::test]
async fn an_account_that_the_server_ends_is_told_so() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut core = Core::online(&cloud, "1me").await?;
    cloud.kick("1me").await?;
    assert_eq!(core.offline().await?, Offline::Broken);
    core.say(ToUplink::Retry).await?;
    core.link(LinkState::Online { resumed: false }).await?;
    cloud.unregister("1me").await?;
    let ended = core.offline().await?;
    assert!(matches!(ended, Offline::Conflict | Offline::Auth), "{ended:?}");
    core.say(ToUplink::Retry).await?;
    assert_eq!(core.offline().await?, Offline::Auth);
    assert_eq!(core.count(|message| matches!(message, FromUplink::Bounced { .. })), 0);
    Ok(())
}
