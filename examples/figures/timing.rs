//! Whether the server's time for a stanza tells a stranger whom it was for.

use crate::bare::Client;
use crate::report::{median, micros, row};
use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::json;
use shunt_kit::cloud::Cloud;
use shunt_kit::phone::Phone;
use shunt_kit::world::{World, go_off, go_online};
use std::cmp::Ordering;
use std::time::{Duration, Instant};

const ROUNDS: usize = 500;
/// So many answers in a row outlast what the courier does.
const MANY: usize = 60;

type Way = (&'static str, fn(&str) -> String);

/// What `mod_shunt` lets pass between accounts.
const WAYS: [Way; 3] = [
    ("headline", |to| {
        format!("<message type='headline' to='{to}'><sealed xmlns='urn:shunt:1'>AQEAAAAA</sealed></message>")
    }),
    ("presence", |to| format!("<presence to='{to}'/>")),
    ("bundle", |to| {
        let items = "<items node='urn:shunt:1:keys:1' max_items='1'/>";
        format!(
            "<iq type='get' to='{to}' id='k'><pubsub xmlns='http://jabber.org/protocol/pubsub'>{items}</pubsub></iq>"
        )
    }),
];

/// A stranger asks of a phone that is online, of one that is enrolled and off, and of nobody, in turns; each time
/// it reads the clock until the server answers a ping that came with the question, or a row of them. The first is
/// asked twice: how far that pair is from 0.5 is how far chance goes here.
pub(crate) async fn told(world: &World, on: &Phone, off: &Phone) -> Result<()> {
    go_online(on.shunt()).await?;
    // Its bundle is published when it is online.
    go_online(off.shunt()).await?;
    let cloud = &world.cloud;
    let both = connected(cloud).await?;
    go_off(off.shunt()).await?;
    let online = connected(cloud).await?.pop().context("the phone that stays")?;
    let offline = both.into_iter().find(|jid| *jid != online).context("the phone that left")?;
    let nobody = format!("azzzzzzzzzzzzzzzzzzzz@{}", cloud.domain());
    let targets = [online.clone(), online, offline, nobody];
    cloud.register("stranger", "a secret").await?;
    let mut stranger = Client::connect(cloud, "stranger").await?;
    // The phone works on the server's processors here: that shows, and so would the server's own work.
    let [headline, ..] = WAYS;
    tell(&mut stranger, &targets, headline, MANY, ", phone at work").await?;
    on.signal("shuntd-uplink", Signal::STOP)?;
    for pings in [1, MANY] {
        for way in WAYS {
            tell(&mut stranger, &targets, way, pings, "").await?;
        }
    }
    on.signal("shuntd-uplink", Signal::CONT)?;
    go_online(off.shunt()).await
}

async fn tell(stranger: &mut Client, targets: &[String; 4], (way, stanza): Way, pings: usize, how: &str) -> Result<()> {
    let [online, again, offline, nobody] = &timed(stranger, targets, stanza, pings).await?;
    let pairs = [
        ("online / online", online, again),
        ("online / offline", online, offline),
        ("offline / nobody", offline, nobody),
    ];
    for (pair, one, other) in pairs {
        let what = format!("timing: {way} to {pair}, {pings} answers{how}");
        let medians = [one, other].map(|times| micros(median(times.clone()))).join(" / ");
        row(&what, &format!("{:.3}", order(one, other)), &format!("0.5: chance; medians {medians}"));
    }
    Ok(())
}

/// How long each target's pings took, round by round.
async fn timed<const N: usize>(
    stranger: &mut Client,
    targets: &[String; N],
    stanza: fn(&str) -> String,
    pings: usize,
) -> Result<[Vec<Duration>; N]> {
    let mut times = [const { Vec::new() }; N];
    for round in 0..ROUNDS {
        for nth in 0..N {
            // Who comes first changes, so that no place in the round is one target's.
            let nth = (nth + round) % N;
            let (Some(target), Some(times)) = (targets.get(nth), times.get_mut(nth)) else { continue };
            let begun = Instant::now();
            stranger.ask(&stanza(target), round).await?;
            for _ in 1..pings {
                stranger.ask("", round).await?;
            }
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

/// The bare JIDs that have a session.
async fn connected(cloud: &Cloud) -> Result<Vec<String>> {
    let sessions = cloud.call("connected_users", json!({})).await?;
    let sessions = sessions.as_array().context("a list")?.iter().filter_map(|jid| jid.as_str());
    Ok(sessions.filter_map(|jid| jid.split('/').next()).map(str::to_owned).collect())
}

/// How often the first took longer than the second, ties as halves: 0.5 where chance decides (Mann and Whitney).
fn order(ones: &[Duration], others: &[Duration]) -> f64 {
    let share = |one: &Duration, other: &Duration| match one.cmp(other) {
        Ordering::Less => 0.0,
        Ordering::Equal => 0.5,
        Ordering::Greater => 1.0,
    };
    let sum: f64 = ones.iter().flat_map(|one| others.iter().map(move |other| share(one, other))).sum();
    sum / (ones.len() * others.len()) as f64
}
