//! Cuts, crashes and holes: each is told once, nothing storms, and what can go on goes on.

use crate::core::{Core, account, password};
use anyhow::Result;
use shunt::wall::{FromUplink, LinkState, Offline, ToUplink};
use shunt_kit::cloud::Cloud;
use shunt_kit::proxy::{Mode, Proxy};

/// Registered, and online through a proxy.
async fn through(cloud: &Cloud, proxy: &Proxy, local: &str, keep_alive: u32) -> Result<Core> {
    cloud.register(local, &password(local)).await?;
    let mut connect = account(cloud, local)?;
    connect.servers = vec![proxy.addr().to_string()];
    connect.keep_alive = keep_alive;
    let mut core = Core::start(connect).await?;
    core.link(LinkState::Online { resumed: false }).await?;
    core.settled().await?;
    Ok(core)
}

#[tokio::test]
async fn a_crashed_server_is_told_once_for_each_retry_and_never_stormed() -> Result<()> {
    let mut cloud = Cloud::start().await?;
    let mut proxy = Proxy::start(cloud.xmpp_addr())?;
    let mut core = through(&cloud, &proxy, "1me", 0).await?;
    proxy.set(Mode::BlackHole).await?;
    let before = proxy.bytes_up();
    let lost = core.send("1me", b"under way when it crashed").await?;
    proxy.until_bytes_up(before + 1).await;
    cloud.crash().await?;
    proxy.set(Mode::Pass).await?;
    assert_eq!(core.offline().await?, Offline::Broken);
    for _ in 0..3 {
        core.say(ToUplink::Retry).await?;
        core.link(LinkState::Connecting).await?;
        core.offline().await?;
    }
    assert_eq!(proxy.connections(), 4, "the first, and one for each retry");
    assert_eq!(core.count(|message| matches!(message, FromUplink::Bounced { .. })), 0, "it might still be resumed");

    // It comes back and knows nothing of the session: `<failed/>` without a counter.
    cloud.restart().await?;
    core.say(ToUplink::Retry).await?;
    core.bounced(lost).await?;
    core.link(LinkState::Online { resumed: false }).await?;
    core.settled().await?;
    assert_eq!(proxy.connections(), 5);
    assert_eq!(core.counters.connections, 5);

    // A stop in good order.
    cloud.stop().await?;
    assert_eq!(core.offline().await?, Offline::Broken);
    assert_eq!(proxy.connections(), 5);
    Ok(())
}

#[tokio::test]
async fn after_a_cut_the_session_goes_on_and_nothing_is_lost_or_doubled() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut proxy = Proxy::start(cloud.xmpp_addr())?;
    let mut me = through(&cloud, &proxy, "1me", 0).await?;
    let mut you = Core::online(&cloud, "1you").await?;

    proxy.set(Mode::BlackHole).await?;
    let before = proxy.bytes_up();
    let unsure = me.send("1you", b"written into the cut").await?;
    proxy.until_bytes_up(before + 1).await;
    proxy.cut();
    proxy.set(Mode::Pass).await?;
    assert_eq!(me.offline().await?, Offline::Broken);
    let held = you.send("1me", b"held by the server").await?;
    you.accepted(held).await?;
    let refused = me.send("1you", b"sent while offline").await?;
    me.bounced(refused).await?;

    me.say(ToUplink::Retry).await?;
    me.link(LinkState::Online { resumed: true }).await?;
    me.accepted(unsure).await?;
    me.received("1you", b"held by the server").await?;
    you.received("1me", b"written into the cut").await?;
    let after = me.send("1you", b"after").await?;
    me.accepted(after).await?;
    you.received("1me", b"after").await?;
    assert_eq!(you.count(|message| matches!(message, FromUplink::Received { .. })), 0, "each came once");
    assert_eq!(me.count(|message| matches!(message, FromUplink::Received { .. })), 0, "each came once");

    // Cut again and again.
    for _ in 0..3 {
        proxy.cut();
        me.offline().await?;
        me.say(ToUplink::Retry).await?;
        me.link(LinkState::Online { resumed: true }).await?;
    }
    assert_eq!(proxy.connections(), 5);
    Ok(())
}

#[tokio::test]
async fn a_black_hole_is_found_by_a_ping() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut proxy = Proxy::start(cloud.xmpp_addr())?;
    let mut core = through(&cloud, &proxy, "1me", 0).await?;
    proxy.set(Mode::BlackHole).await?;
    core.send("1me", b"into the hole").await?;
    core.ping().await?;
    assert_eq!(core.offline().await?, Offline::Timeout);
    assert_eq!(proxy.connections(), 1);
    proxy.set(Mode::Pass).await?;
    core.say(ToUplink::Retry).await?;
    core.link(LinkState::Online { resumed: true }).await?;
    core.received("1me", b"into the hole").await?;
    Ok(())
}

#[tokio::test]
async fn a_black_hole_is_found_by_the_keep_alive_which_speaks_only_when_it_is_quiet() -> Result<()> {
    let cloud = Cloud::start().await?;
    let proxy = Proxy::start(cloud.xmpp_addr())?;
    let mut quiet = through(&cloud, &proxy, "1quiet", 0).await?;
    let other = Proxy::start(cloud.xmpp_addr())?;
    let mut core = through(&cloud, &other, "1me", 1).await?;
    other.until_bytes_up(other.bytes_up() + 1).await;
    let idle = proxy.bytes_up();
    for _ in 0..3 {
        other.until_bytes_up(other.bytes_up() + 1).await;
    }
    assert_eq!(proxy.bytes_up(), idle, "without a keep-alive nothing is said");
    quiet.settled().await?;

    let mut other = other;
    other.set(Mode::BlackHole).await?;
    assert_eq!(core.offline().await?, Offline::Timeout);
    assert_eq!(other.connections(), 1);
    Ok(())
}
