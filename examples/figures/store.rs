//! `Send` with a million texts in the store, beside a phone whose store is empty.

use crate::report::{median, ratio, row};
use crate::{BOB, calls, config};
use anyhow::{Context, Result};
use shunt::model::{Address, Body, Encoding, LineId, PhoneNumber, Reason, SmsAttempt, State, Text, TextId, Timestamp};
use shunt::store::{Store, StoreKey};
use shunt_kit::phone::Phone;
use shunt_kit::world::{World, go_off};
use std::path::Path;
use std::time::{Duration, Instant};

const TEXTS: i64 = 1_000_000;
const IN_ONE_TRANSACTION: i64 = 50_000;
/// They are this far apart and end now: all within what retention keeps.
const APART: Duration = Duration::from_secs(1);

pub(crate) async fn latency(world: &World, alice: &mut Phone, empty: &Phone) -> Result<()> {
    go_off(alice.shunt()).await?;
    go_off(empty.shunt()).await?;
    alice.stop_shunt().await?;
    let begun = Instant::now();
    fill(&alice.state_dir(), &alice.path("shunt-run"))?;
    row("1,000,000 texts written to the store", &format!("{:.0} s", begun.elapsed().as_secs_f64()), "no budget");
    alice.start_shunt(config(world)).await?;
    let (mut full_took, mut empty_took) = (Vec::new(), Vec::new());
    for nth in 0..300 {
        let text = format!("a text more {nth}");
        calls::rest(alice).await?;
        full_took.push(calls::one_send(alice, &text).await?);
        calls::rest(empty).await?;
        empty_took.push(calls::one_send(empty, &text).await?);
    }
    ratio("Send, 1,000,000 texts stored / none", median(full_took), median(empty_took), "≤ 1.2 ×", "");
    Ok(())
}

fn fill(state: &Path, generation: &Path) -> Result<()> {
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(state)?);
    // As the daemon made it; loaded by its own code, it would be refused to anybody but its user.
    let key = <[u8; 32]>::try_from(std::fs::read(state.join("key"))?).ok().context("the store's key")?;
    let mut store = Store::open(state, generation, &StoreKey::new(key))?;
    let peer = PhoneNumber::from_e164(BOB).context("a number")?;
    let now = Timestamp(i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_millis())?);
    for first in (0..TEXTS).step_by(usize::try_from(IN_ONE_TRANSACTION)?) {
        store.transaction(|tx| {
            for nth in first..first + IN_ONE_TRANSACTION {
                let body = format!("a text of a long life, as long as texts are: {nth}");
                let at = now.minus(APART * u32::try_from(TEXTS - nth).unwrap_or(0));
                let mut random = [0; 10];
                random.iter_mut().zip(nth.to_be_bytes()).for_each(|(to, byte)| *to = byte);
                tx.put_text(&Text {
                    id: TextId::new(at, random),
                    line: LineId("line-0123456789abcdef".into()),
                    to: Address(BOB.into()),
                    wording: tx.wording(&peer, &body),
                    peer: Some(peer.clone()),
                    body: Body(body.into()),
                    at,
                    state: State::SmsSent,
                    reason: Reason::SwitchOff,
                    only: None,
                    ordinal: 0,
                    im: None,
                    sms: Some(SmsAttempt {
                        object: format!("/org/freedesktop/ModemManager1/SMS/{nth}").into(),
                        owner: ":1.7".into(),
                        issued: true,
                        references: vec![u8::try_from(nth % 256).unwrap_or(0)],
                    }),
                    retries: 0,
                    encoding: Encoding::Gsm7,
                    token: None,
                    report: false,
                    cancelled: false,
                    diverted: None,
                })?;
            }
            Ok(())
        })?;
    }
    drop(store);
    // Made by root, used by the core.
    for dir in [state, generation] {
        for file in std::fs::read_dir(dir)? {
            std::os::unix::fs::chown(file?.path(), Some(owner), Some(owner))?;
        }
    }
    Ok(())
}
