//! A look-up with one evaluator and with two: what the phone waits for, and what each server pays.

use crate::client::{Client, blinded};
use crate::cpu;
use crate::site::Site;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use hyper::Method;
use ring::digest::{SHA256, digest};
use shunt::model::PhoneNumber;
use shunt::seal::EpochKey;
use shunt_kit::evaluator::Evaluator;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Whole look-ups of each kind, in turns.
const LOOK_UPS: u32 = 40;
/// One-point requests to each server, for its processor time, which is counted in ticks of 10 ms.
const REQUESTS: u32 = 400;
const TOKEN: &str = "a-device-of-two";

/// One number, from its blinding to its pseudonym, each evaluator asked at once on a connection of its own.
async fn look_up(key: &EpochKey, evaluators: &[&Client], number: &PhoneNumber) -> Result<Duration> {
    let begun = Instant::now();
    let (blindings, points): (Vec<_>, Vec<_>) = evaluators.iter().map(|_| blinded(number)).unzip();
    let mut asked = tokio::task::JoinSet::new();
    for (nth, (evaluator, point)) in evaluators.iter().zip(points).enumerate() {
        let evaluator = (*evaluator).clone();
        asked.spawn(async move { (nth, evaluator.evaluate('a', &[point]).await.evaluations()) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(nth, _)| *nth);
    let answers: Vec<_> = answers.into_iter().filter_map(|(_, answers)| answers.into_iter().next()).collect();
    let transcripts: Vec<_> =
        blindings.iter().zip(&answers).map(|(blinding, answer)| blinding.transcript(answer)).collect();
    key.pseudonym(number, &transcripts, "im.example.org")?;
    Ok(begun.elapsed())
}

async fn cost(process: u32, client: &Client, point: [u8; 32]) -> Result<f64> {
    let before = cpu::time(process)?;
    for _ in 0..REQUESTS {
        ensure!(client.evaluate('a', &[point]).await.evaluations().len() == 1, "no evaluation");
    }
    Ok((cpu::time(process)? - before).as_secs_f64() * 1e3 / f64::from(REQUESTS))
}

pub(crate) async fn operators(site: &Site, program: &Path) -> Result<()> {
    let dir = TempDir::new()?;
    let evaluator = Evaluator::start(program, dir.path(), "").await?;
    let operator = Client::at(evaluator.addr(), evaluator.ca_pem(), &evaluator.token()?);
    let hash = BASE64.encode(digest(&SHA256, TOKEN.as_bytes()));
    let body = serde_json::json!({ "token": hash }).to_string();
    let path = format!("/v1/registrations/{}", BASE64URL.encode([1; 32]));
    ensure!(operator.call(Method::PUT, &path, body).await.status == 200, "no registration");
    let (first, second) = (site.device("two").await?, operator.with_token(TOKEN));

    let config = std::fs::read_to_string(site.directory.config())?;
    let voprf = config.lines().find_map(|line| line.strip_prefix("# public VOPRF key: ")).context("a key")?;
    let key = |text: &str| anyhow::Ok(<[u8; 32]>::try_from(BASE64.decode(text)?).ok().context("32 bytes")?);
    let one = EpochKey { epoch: 'a', voprf: key(voprf)?, second: None, certificate: [0; 32], enrolment: [0; 32] };
    let two = EpochKey { second: Some(key(evaluator.key())?), ..one };
    let number = PhoneNumber::from_e164("+4917699999999").ok().context("a number")?;
    let (mut by_one, mut by_two) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..LOOK_UPS {
        by_one += look_up(&one, &[&first], &number).await?;
        by_two += look_up(&two, &[&first, &second], &number).await?;
    }
    let mean = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(LOOK_UPS);
    println!(
        "a look-up, connections and Argon2id included: {:.1} ms with one evaluator, {:.1} ms with two: {:.2} ×",
        mean(by_one),
        mean(by_two),
        by_two.as_secs_f64() / by_one.as_secs_f64()
    );
    let (_, point) = blinded(&number);
    println!(
        "processor time of a look-up of one number on a connection of its own: directory {:.2} ms, second evaluator {:.2} ms",
        cost(site.directory.id(), &first, point).await?,
        cost(evaluator.id(), &second, point).await?
    );
    Ok(())
}
