//! Several instances behind one balancer: they share keys and a database, and nothing else.

use super::BINARY;
use super::client::{Client, blinded};
use super::enrolment::{kept, site, site_at};
use super::kept::{Kept, on_both};
use super::phone::{NUMBER, Phone, other};
use super::scram::{Login, logs_in};
use super::site::{Site, TOKEN, number};
use shunt_kit::Postgres;
use shunt_kit::directory::Directory;

/// The same phone, sent to another instance.
fn at(phone: Phone, directory: &Directory, ca: &str) -> Phone {
    Phone { client: Client::of(directory, ca, "nobody"), ..phone }
}

async fn an_enrolment_begun_at_one_is_confirmed_at_the_other(on: Kept) {
    let (cloud, mut first, mut provider) = kept(on, "").await;
    let second = first.another("second").await.unwrap();
    let phone = Phone::new(&first, cloud.ca_pem(), NUMBER);
    let request = phone.request();
    assert_eq!(phone.put(&request).await.status, 202);
    let code = shunt::seal::CodeSms::parse(&provider.sms().await.unwrap().text).unwrap().code;

    let phone = at(phone, &second, cloud.ca_pem());
    assert_eq!(phone.put(&request).await.status, 202, "known there too: no second SMS");
    let confirmation = phone.confirmation(code);
    let answer = phone.post(&confirmation.request).await.field("sealed");
    let enrolled = phone.believe(&confirmation, &answer);
    assert!(logs_in(&cloud, &Login::of(&enrolled, cloud.ca_pem())).await);

    let phone = at(phone, &first, cloud.ca_pem());
    assert_eq!(phone.post(&confirmation.request).await.field("sealed"), answer, "asked again, byte for byte");
    assert_eq!(phone.confirm(code).await.refusal(), (409, "session-conflict"), "one account a code");
    let (_, point) = blinded(&phone.number);
    phone.device(&enrolled).evaluate('a', &[point]).await.evaluations();
    let mut phone = at(phone, &second, cloud.ca_pem());
    phone.device(&enrolled).evaluate('a', &[point]).await.evaluations();

    // Begun before a crash, confirmed after it.
    phone = at(phone, &first, cloud.ca_pem());
    phone.anew();
    let confirmation = phone.confirmation(phone.code(&mut provider).await);
    first.crash().await.unwrap();
    first.restart().await.unwrap();
    let answer = phone.post(&confirmation.request).await.field("sealed");
    phone.believe(&confirmation, &answer);
    assert!(!logs_in(&cloud, &Login::of(&enrolled, cloud.ca_pem())).await, "the account is the new phone's");
}

async fn a_code_is_guessed_five_times_in_all(on: Kept) {
    let (site, mut provider, _dir) = site(on, "", "").await;
    let second = site.directory.another("second").await.unwrap();
    let ca = &site.pki.ca_pem;
    let mut phone = Phone::new(&site.directory, ca, NUMBER);
    let code = phone.code(&mut provider).await;
    for turn in 0..4 {
        phone = at(phone, if turn % 2 == 0 { &second } else { &site.directory }, ca);
        assert_eq!(phone.confirm(other(code)).await.refusal(), (403, "code-wrong"));
    }
    phone = at(phone, &second, ca);
    assert_eq!(phone.confirm(other(code)).await.refusal(), (410, "code-spent"));
    phone = at(phone, &site.directory, ca);
    assert_eq!(phone.confirm(code).await.refusal(), (410, "code-spent"), "the right one comes too late");
}

async fn a_budget_spent_at_both_counts_once(on: Kept) {
    let site = Site::kept(on, "").await;
    let second = site.directory.another("second").await.unwrap();
    site.leave(4).await;
    let (_, point) = blinded(&number());
    let clients = [site.client.clone(), Client::of(&second, &site.pki.ca_pem, TOKEN)];
    let mut asking = tokio::task::JoinSet::new();
    for turn in 0..8 {
        let client = clients[turn % 2].clone();
        asking.spawn(async move { client.evaluate('a', &[point]).await.status.as_u16() });
    }
    let mut answers = asking.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 200, 200, 200, 429, 429, 429, 429]);
}

async fn code_sms_are_counted_for_all_instances_together(on: Kept) {
    let (site, mut provider, _dir) = site(on, "", "[enrolment.limits]\nnumber_per_day = 1\n").await;
    let second = site.directory.another("second").await.unwrap();
    let mut phone = Phone::new(&site.directory, &site.pki.ca_pem, NUMBER);
    phone.code(&mut provider).await;
    for directory in [&second, &site.directory] {
        phone = at(phone, directory, &site.pki.ca_pem);
        phone.anew();
        assert_eq!(phone.start().await.refusal(), (429, "enrolment-limit"));
    }
}

on_both!(
    an_enrolment_begun_at_one_is_confirmed_at_the_other,
    a_code_is_guessed_five_times_in_all,
    a_budget_spent_at_both_counts_once,
    code_sms_are_counted_for_all_instances_together,
);

#[tokio::test]
async fn while_postgresql_is_away_everything_is_unavailable_and_goes_on_when_it_is_back() {
    let mut postgres = Postgres::start().await.unwrap();
    let (site, mut provider, _dir) = site_at(&postgres.database().await.unwrap(), "", "").await;
    let mut phone = Phone::new(&site.directory, &site.pki.ca_pem, NUMBER);
    let code = phone.code(&mut provider).await;
    assert_eq!(phone.confirm(other(code)).await.refusal(), (403, "code-wrong"));
    site.leave(1).await;
    let (_, point) = blinded(&number());

    postgres.crash().unwrap();
    let health = async || site.client.call(hyper::Method::GET, "/v1/health", "").await;
    assert_eq!(health().await.refusal(), (503, "unavailable"));
    assert_eq!(site.client.evaluate('a', &[point]).await.refusal(), (503, "unavailable"));
    assert_eq!(phone.confirm(other(code)).await.refusal(), (503, "unavailable"));
    let (session, early) = (phone.session, phone.start().await.refusal().1.to_owned());
    assert_eq!(early, "unavailable");
    let log = site.directory.log().unwrap();
    assert!(log.contains("PostgreSQL can't be reached"), "{log}");
    let failed =
        std::process::Command::new(BINARY).args(["accounts", "--config"]).arg(site.directory.config()).output();
    let failed = failed.unwrap();
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stderr).contains("is it running"));

    postgres.restart().await.unwrap();
    while health().await.status != 200 {}
    phone.session = session;
    for _ in 0..3 {
        assert_eq!(phone.confirm(other(code)).await.refusal(), (403, "code-wrong"), "no attempt was lost");
    }
    assert_eq!(phone.confirm(other(code)).await.refusal(), (410, "code-spent"));
    assert_eq!(site.client.evaluate('a', &[point]).await.evaluations().len(), 1);
    assert_eq!(site.client.evaluate('a', &[point]).await.refusal(), (429, "budget"));
}
