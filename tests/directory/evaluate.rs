//! Look-ups: what a device gets, and for how many numbers.

use super::client::blinded;
use super::kept::{Kept, on_both};
use super::site::{Site, number, seconds};
use hyper::header;
use shunt::seal::{Blinding, EpochKey};

fn points(count: usize) -> Vec<[u8; 32]> {
    let (_, point) = blinded(&number());
    vec![point; count]
}

#[tokio::test]
async fn each_point_is_evaluated_with_a_proof_of_its_own_that_holds_under_the_pinned_key_alone() {
    let site = Site::start().await;
    let told = site.directory.command(&["accounts"]).await.unwrap();
    assert_eq!(told, b"1\n");
    let (first, second) = (blinded(&number()), blinded(&number()));
    assert_ne!(first.1, second.1, "the same number looks different each time");

    let answer = site.client.evaluate('a', &[first.1, second.1]).await;
    let evaluations = answer.evaluations();
    assert_eq!(evaluations.len(), 2);
    let pinned = site.epoch_key();
    let of = |key: &EpochKey, blinding: &Blinding, evaluation| {
        key.pseudonym(&number(), &[blinding.transcript(evaluation)], "im.example.org")
    };
    let pseudonyms: Vec<_> = [first.0, second.0]
        .iter()
        .zip(&evaluations)
        .map(|(blinding, evaluation)| of(&pinned, blinding, evaluation).unwrap())
        .collect();
    assert_eq!(pseudonyms[0], pseudonyms[1], "and has one pseudonym");

    let (blinding, point) = blinded(&number());
    let evaluation = site.client.evaluate('a', &[point]).await.evaluations().remove(0);
    let other = EpochKey { voprf: evaluation.0, ..pinned };
    assert!(of(&other, &blinding, &evaluation).is_err());
}

#[tokio::test]
async fn an_unknown_token_gets_nothing_and_is_told_before_anything_else() {
    let site = Site::start().await;
    let stranger = site.client.with_token("another-token");
    assert_eq!(stranger.evaluate('a', &points(1)).await.refusal(), (401, "unknown-token"));
    assert_eq!(stranger.evaluate('z', &[[0; 32]]).await.refusal(), (401, "unknown-token"));
    assert_eq!(site.client.with_token("").evaluate('a', &points(1)).await.refusal(), (401, "unknown-token"));
}

async fn a_budget_that_is_used_up_says_when_to_come_again_and_grants_no_part(on: Kept) {
    let site = Site::kept(on, "").await;
    let before = seconds();
    site.leave(3).await;
    let refused = site.client.evaluate('a', &points(5)).await;
    assert_eq!(refused.refusal(), (429, "budget"));
    let wait: i64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    let passed = seconds() - before;
    assert!((1_800 - passed..=1_800).contains(&wait), "two points are missing, {passed} s have passed: {wait}");

    assert_eq!(site.client.evaluate('a', &points(3)).await.evaluations().len(), 3);
    assert_eq!(site.client.evaluate('a', &points(1)).await.refusal(), (429, "budget"));
}

#[tokio::test]
async fn a_request_refused_for_its_content_costs_nothing() {
    let site = Site::start().await;
    site.leave(1).await;
    let identity = [0; 32];
    let mut negative = points(1)[0];
    negative[0] ^= 1;
    for bad in [identity, [0xff; 32], negative] {
        assert_eq!(site.client.evaluate('a', &[bad]).await.refusal(), (400, "bad-point"));
        assert_eq!(site.client.evaluate('a', &[points(1)[0], bad]).await.refusal(), (400, "bad-point"));
    }
    assert_eq!(site.client.evaluate('z', &points(1)).await.refusal(), (404, "unknown-epoch"));
    assert_eq!(site.client.evaluate('a', &points(0)).await.refusal(), (400, "bad-request"));
    assert_eq!(site.client.evaluate('a', &points(101)).await.refusal(), (400, "bad-request"));
    assert_eq!(site.client.evaluate('a', &points(1)).await.evaluations().len(), 1);
}

async fn a_crash_gives_nothing_back(on: Kept) {
    let mut site = Site::kept(on, "").await;
    site.leave(2).await;
    assert_eq!(site.client.evaluate('a', &points(2)).await.evaluations().len(), 2);
    site.directory.crash().await.unwrap();
    site.directory.restart().await.unwrap();
    assert_eq!(site.client.evaluate('a', &points(1)).await.refusal(), (429, "budget"));
}

async fn requests_at_once_never_overspend_together(on: Kept) {
    let site = Site::kept(on, "").await;
    site.leave(4).await;
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let client = site.client.clone();
            tokio::spawn(async move { client.evaluate('a', &points(1)).await.status.as_u16() })
        })
        .collect();
    let mut answers = Vec::new();
    for asker in askers {
        answers.push(asker.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [200, 200, 200, 200, 429, 429, 429, 429]);
}

on_both!(
    a_budget_that_is_used_up_says_when_to_come_again_and_grants_no_part,
    a_crash_gives_nothing_back,
    requests_at_once_never_overspend_together,
);
