//! Evaluations a second and core, as a client gets them, beside `blind_evaluate` with its proof alone.

use crate::cpu;
use crate::site::Site;
use anyhow::{Context, Result, ensure};
use rand_core::OsRng;
use std::time::{Duration, Instant};
use voprf::{BlindedElement, Ristretto255, VoprfServer};

/// Both take turns, so that both see the machine in the same state.
const ROUNDS: usize = 10;
/// Requests a round, each of as many points as one may have, on a connection of its own.
const REQUESTS: usize = 20;
const AT_ONCE: usize = 4;

pub(crate) async fn beside_the_bare_operation(site: &Site) -> Result<()> {
    let bare = VoprfServer::<Ristretto255>::new_from_seed(&[1; 32], b"bare").ok().context("a key")?;
    let process = site.directory.id();
    let (mut served, mut used, mut taken, mut alone) = (0, Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let begun = cpu::own();
        for _ in 0..REQUESTS {
            for point in &site.points {
                let point = BlindedElement::deserialize(point).ok().context("a point")?;
                std::hint::black_box(bare.blind_evaluate(&mut OsRng, &point));
            }
        }
        alone += cpu::own() - begun;

        let mut devices = Vec::new();
        for nth in 0..REQUESTS / 10 {
            devices.push(site.device(&format!("round-{round}-{nth}")).await?);
        }
        let (before, begun) = (cpu::time(process)?, Instant::now());
        let (each, mut asked) = (REQUESTS / AT_ONCE, tokio::task::JoinSet::new());
        for client in 0..AT_ONCE {
            let device = devices.get(client * devices.len() / AT_ONCE).context("a device")?.clone();
            let points = site.points.clone();
            asked.spawn(async move {
                let mut granted = 0;
                for _ in 0..each {
                    granted += device.evaluate('a', &points).await.evaluations().len();
                }
                granted
            });
        }
        served += asked.join_all().await.into_iter().sum::<usize>();
        (used, taken) = (used + cpu::time(process)? - before, taken + begun.elapsed());
    }
    ensure!(served == ROUNDS * REQUESTS * site.points.len(), "{served} points were evaluated");
    let rate = |time: Duration| served as f64 / time.as_secs_f64();
    println!(
        "evaluations a second and core: {:.0} served, TLS, JSON and budget included; {:.0} bare: {:.2} × its time",
        rate(used),
        rate(alone),
        used.as_secs_f64() / alone.as_secs_f64()
    );
    println!("evaluations a second as {AT_ONCE} clients on the same machine get them: {:.0}", rate(taken));
    Ok(())
}
