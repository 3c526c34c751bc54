//! Headlines, presence and bundles between two uplinks.

use crate::core::{Core, account, password};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shunt::wall::{FetchError, FromUplink, LinkState, Opaque, ToUplink};
use shunt_kit::cloud::Cloud;

#[tokio::test]
async fn headlines_arrive_whole_and_the_server_keeps_none() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut me = Core::online(&cloud, "1me").await?;
    let mut you = Core::online(&cloud, "1you").await?;
    cloud.register("1off", &password("1off")).await?;

    let small = b"a small envelope that nobody keeps".to_vec();
    let big: Vec<u8> = (0..47 * 1024).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
    for envelope in [&small, &big] {
        let request = me.send("1you", envelope).await?;
        me.accepted(request).await?;
        you.received("1me", envelope).await?;
    }
    let back = you.send("1me", b"back").await?;
    you.accepted(back).await?;
    me.received("1you", b"back").await?;

    // To somebody offline: accepted, silence, and nothing is kept.
    let request = me.send("1off", &small).await?;
    me.accepted(request).await?;
    me.settled().await?;
    assert_eq!(me.count(|message| matches!(message, FromUplink::Bounced { .. })), 0);
    let mut late = Core::start(account(&cloud, "1off")?).await?;
    late.link(LinkState::Online { resumed: false }).await?;
    late.settled().await?;
    assert_eq!(late.count(|message| matches!(message, FromUplink::Received { .. })), 0);

    // To nobody at all: the same.
    let request = me.send("1nobody", &small).await?;
    me.accepted(request).await?;
    me.settled().await?;
    assert_eq!(me.count(|message| matches!(message, FromUplink::Bounced { .. })), 0);
    // More than the server would take.
    let request = me.send("1you", &vec![0; 47 * 1024 + 1]).await?;
    me.bounced(request).await?;
    me.settled().await?;

    let needle = &STANDARD.encode(&small)[..24];
    for table in cloud.stored().await? {
        assert!(!table.rows.iter().any(|row| row.contains(needle)), "{}", table.name);
    }
    assert_eq!(cloud.files_containing(needle.as_bytes())?, Vec::<std::path::PathBuf>::new());
    Ok(())
}

#[tokio::test]
async fn directed_presence_tells_when_the_other_comes_and_goes() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut me = Core::online(&cloud, "1me").await?;
    let mut you = Core::online(&cloud, "1you").await?;
    let seen = |from: &str, available| FromUplink::Presence { from: from.to_owned(), available };
    let settled = me.settled().await;
    settled?;
    assert_eq!(me.count(|message| matches!(message, FromUplink::Presence { .. })), 0, "nobody sees it undirected");

    me.presence("1you", true).await?;
    you.until("me", |message| *message == seen("1me", true)).await?;
    me.presence("1you", false).await?;
    you.until("me gone", |message| *message == seen("1me", false)).await?;
    you.presence("1me", true).await?;
    me.until("you", |message| *message == seen("1you", true)).await?;
    you.say(ToUplink::Close).await?;
    me.until("you gone", |message| *message == seen("1you", false)).await?;
    Ok(())
}

#[tokio::test]
async fn a_bundle_is_published_and_fetched_also_while_its_owner_is_away() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut me = Core::online(&cloud, "1me").await?;
    let mut you = Core::online(&cloud, "1you").await?;

    let fetched = async |core: &mut Core, of: &str| -> Result<Result<Opaque, FetchError>> {
        let request = core.request();
        core.say(ToUplink::Fetch { request, of: crate::core::pseudonym(of)? }).await?;
        let answer = |message: &FromUplink| matches!(message, FromUplink::Fetched { request: r, .. } if *r == request);
        match core.until("a bundle", answer).await? {
            FromUplink::Fetched { result, .. } => Ok(result),
            other => anyhow::bail!("{other:?}"),
        }
    };
    assert_eq!(fetched(&mut me, "1you").await?, Err(FetchError::NotFound), "no node yet");
    assert_eq!(fetched(&mut me, "1nobody").await?, Err(FetchError::NotFound), "no account");

    for bundle in [vec![1_u8; 700], vec![2; 700]] {
        let request = you.request();
        you.say(ToUplink::Publish { request, bundle: Opaque(bundle.clone()) }).await?;
        you.until("published", |message| *message == FromUplink::Published { request, ok: true }).await?;
        assert_eq!(fetched(&mut me, "1you").await?, Ok(Opaque(bundle)), "only the last is kept");
    }
    you.settled().await?;
    assert_eq!(you.count(|message| matches!(message, FromUplink::Received { .. })), 0, "our own event is no message");
    you.say(ToUplink::Close).await?;
    assert!(you.process.ended().await?.success());
    assert_eq!(fetched(&mut me, "1you").await?, Ok(Opaque(vec![2; 700])));
    Ok(())
}
