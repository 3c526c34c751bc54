//! Ten thousand texts that waited for their peer: as fast per text at the end as at the start?

use crate::BOB;
use crate::im::Ear;
use crate::report::{ratio, row};
use anyhow::Result;
use shunt_kit::phone::Phone;
use shunt_kit::world::{go_off, go_online};
use std::time::{Duration, Instant};

const TEXTS: u32 = 10_000;
/// So many at the start, and at the end, are compared.
const SAMPLE: u32 = 1_000;

pub(crate) async fn drained(alice: &Phone, bob: &Phone) -> Result<()> {
    go_online(alice.shunt()).await?;
    // Whoever was never online has no keys to write to.
    go_online(bob.shunt()).await?;
    alice.shunt().wait_route(BOB, "im", "online").await?;
    alice.shunt().unwatch(BOB).await?;
    go_off(bob.shunt()).await?;
    alice.shunt().set_policy(BOB, "im-only").await?;
    let begun = Instant::now();
    for nth in 0..TEXTS {
        alice.shunt().send(BOB, &format!("waiting {nth}")).await?;
    }
    let taken = begun.elapsed() / TEXTS;
    let mut ear = Ear::on(bob);
    go_online(bob.shunt()).await?;
    // Asked anew, so that the texts don't wait for the next look at the peer.
    alice.shunt().wait_route(BOB, "im", "online").await?;
    let mut shown = Vec::new();
    for _ in 0..TEXTS {
        let (_, bearer) = ear.next().await?;
        anyhow::ensure!(bearer == "im", "a text went by {bearer}");
        shown.push(Instant::now());
    }
    alice.shunt().unwatch(BOB).await?;
    alice.shunt().set_policy(BOB, "auto").await?;
    let each = |texts: &[Instant]| -> Duration {
        let ends = texts.first().zip(texts.last());
        ends.map(|(first, last)| (*last - *first) / SAMPLE).unwrap_or_default()
    };
    let sample = usize::try_from(SAMPLE)?;
    let (start, end) = (
        each(shown.get(..=sample).unwrap_or_default()),
        each(shown.get(shown.len() - sample - 1..).unwrap_or_default()),
    );
    row("10,000 texts while the peer is away, taken", &format!("{:.0} µs", taken.as_secs_f64() * 1e6), "no budget");
    ratio("10,000 queued: per text, last / first thousand", end, start, "≤ 1 ×", "");
    Ok(())
}
