//! An IM from the caller's `Send` to the signal at the other phone's app.

use crate::BOB;
use crate::bare::Pair;
use crate::calls::{Commits, ping, rest};
use crate::report::{median, micros, ratio};
use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use shunt_kit::phone::Phone;
use shunt_kit::world::{World, go_online};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use zbus::{MessageStream, OwnedObjectPath, OwnedVariant};

const TEXTS: usize = 200;

pub(crate) async fn latency(world: &World, alice: &Phone, bob: &Phone) -> Result<()> {
    go_online(alice.shunt()).await?;
    go_online(bob.shunt()).await?;
    let mut ear = Ear::on(bob);
    let mut bare = Pair::connect(&world.cloud).await?;
    let mut commits = Commits::open(&alice.path("bound.db"))?;
    // The first ones find the peer and settle the session; one goes by SMS where it met a probe that left before the peer
    // was back.
    for nth in 0..3 {
        text(alice, &mut ear, &format!("first {nth}")).await?;
    }
    let frames = alice.shunt().ledger(0).await?;
    let frame = frames.iter().rev().find(|(_, kind, ..)| kind == "send").context("a letter in the ledger")?.3;
    let payload = usize::try_from(frame)? * 4 / 3;
    let (mut ims, mut hops, mut writes, mut pings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for nth in 0..TEXTS {
        rest(alice).await?;
        ims.push(im(alice, &mut ear, &format!("figure {nth}")).await?);
        rest(alice).await?;
        hops.push(bare.hop(payload).await?);
        writes.push(commits.one()?);
        writes.push(commits.one()?);
        pings.push(ping(alice).await?);
    }
    let (hop, write, ping) = (median(hops), median(writes), median(pings));
    let im = median(ims);
    let parts = format!(": bare XMPP hop {} + 2 commits of {} + 2 bus hops", micros(hop), micros(write));
    let strict = format!("{parts}, {} there and back", micros(ping));
    ratio(
        "IM, Send until Received / its parts",
        im,
        hop + 2 * write + 2 * ping,
        "≤ 1.5 ×",
        &format!("{parts} of a Ping, {}", micros(ping)),
    );
    ratio("  the same, a bus hop counted one way", im, hop + 2 * write + ping, "strict  ", &strict);
    Ok(())
}

async fn im(alice: &Phone, ear: &mut Ear, body: &str) -> Result<Duration> {
    let (taken, bearer) = text(alice, ear, body).await?;
    anyhow::ensure!(bearer == "im", "a text went by {bearer}");
    Ok(taken)
}

async fn text(alice: &Phone, ear: &mut Ear, body: &str) -> Result<(Duration, String)> {
    let begun = Instant::now();
    let path = alice.shunt().send(BOB, body).await?;
    let bearer = ear.hear(body).await?;
    let taken = begun.elapsed();
    alice.shunt().wait_state(&path, &["im-delivered", "sms-sent"]).await?;
    Ok((taken, bearer))
}

/// What a phone's app hears, as it comes.
pub(crate) struct Ear(MessageStream);

impl Ear {
    pub(crate) fn on(phone: &Phone) -> Self {
        Self(MessageStream::from(phone.shunt().connection()))
    }

    /// The next text that is shown, with its bearer.
    pub(crate) async fn next(&mut self) -> Result<(String, String)> {
        while let Some(message) = self.0.next().await.transpose()? {
            if message.header().member().is_some_and(|member| member == "Received") {
                let body = message.body();
                let (_, mut record): (OwnedObjectPath, HashMap<String, OwnedVariant>) = body.deserialize()?;
                let mut word = |key| record.remove(key).context("a word of the record").and_then(|v| Ok(v.try_into()?));
                return Ok((word("text")?, word("bearer")?));
            }
        }
        bail!("the bus is gone")
    }

    async fn hear(&mut self, wanted: &str) -> Result<String> {
        loop {
            let (text, bearer) = self.next().await?;
            if text == wanted {
                return Ok(bearer);
            }
        }
    }
}
