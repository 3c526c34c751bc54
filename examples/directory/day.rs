//! A day of 10,000 devices, as fast as the machine does it, and the memory that the directory takes meanwhile.

use crate::client::Client;
use crate::cpu;
use crate::site::Site;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DEVICES: usize = 10_000;
/// Numbers that a device asks for at a time: each is asked for once in its life, so this is a busy day.
const VISITS: [usize; 3] = [1, 2, 5];
const AT_ONCE: usize = 8;
/// A machine that is slower than that gets through a part of the day.
const LIMIT: Duration = Duration::from_secs(240);
/// Memory is read at each of its hours.
const HOURS: usize = 24;

pub(crate) async fn of_ten_thousand(site: &Site) -> Result<()> {
    let mut devices: Vec<Client> = Vec::with_capacity(DEVICES);
    for nth in 0..DEVICES {
        devices.push(site.device(&format!("device-{nth}")).await?);
    }
    let devices = Arc::new(devices);
    let process = site.directory.id();
    let (visits, points) = (DEVICES * VISITS.len(), Arc::new(site.points.clone()));
    let (before, begun) = (cpu::time(process)?, Instant::now());
    let mut memory = vec![cpu::resident(process)?];
    let (next, mut made, mut granted) = (Arc::new(AtomicUsize::new(0)), 0, 0);
    for hour in 1..=HOURS {
        let end = visits * hour / HOURS;
        let mut phones = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (devices, points, next) = (devices.clone(), points.clone(), next.clone());
            phones.spawn(async move {
                let (mut made, mut granted) = (0, 0);
                while begun.elapsed() < LIMIT {
                    let visit = next.fetch_add(1, Ordering::Relaxed);
                    if visit >= end {
                        break;
                    }
                    let device = devices.get(visit % DEVICES).context("a device")?;
                    let asked = VISITS.get(visit / DEVICES).and_then(|asked| points.get(..*asked)).context("points")?;
                    granted += device.evaluate('a', asked).await.evaluations().len();
                    made += 1;
                }
                anyhow::Ok((made, granted))
            });
        }
        for done in phones.join_all().await {
            let (visits, points) = done?;
            (made, granted) = (made + visits, granted + points);
        }
        next.store(end, Ordering::Relaxed);
        memory.push(cpu::resident(process)?);
    }
    let used = cpu::time(process)? - before;
    println!(
        "a day of {DEVICES} devices: {made} of {visits} look-ups of {granted} numbers, each on a connection of its own, \
         in {:.0} s; {:.0} s of one core: {:.2} % of a day's",
        begun.elapsed().as_secs_f64(),
        used.as_secs_f64(),
        used.as_secs_f64() / 864.0
    );
    let memory: Vec<_> = memory.iter().map(|(all, own)| format!("{all:.1} ({own:.1})")).collect();
    println!("its resident memory before and after each hour, MB (of it its own, no file's): {}", memory.join(", "));
    Ok(())
}
