//! What a phone does with its account, at a real ejabberd.

use super::client::blinded;
use super::enrolment::kept;
use super::kept::{Kept, on_both};
use super::phone::{Enrolled, NUMBER, Phone, now};
use super::scram::{Login, logs_in};
use hyper::Method;
use rand_core::OsRng;
use shunt::seal::{Answer as Sealed, Certificate, Identity, NewSecret, Renewal, SessionId, bearer_token, new_secret};
use shunt_kit::directory::Directory;

async fn set(directory: &Directory, column: &str, days_ago: i64) {
    let day = now().seconds() / 86_400 - days_ago;
    directory.sql(&format!("UPDATE account SET {column} = {day}")).await.unwrap();
}

async fn renew(phone: &Phone, enrolled: &Enrolled, renewal: &[u8]) -> super::client::Answer {
    phone.device(enrolled).field(Method::POST, "/v1/certificate", "renewal", renewal).await
}

async fn a_certificate_is_renewed_by_its_key_for_ninety_days_and_then_by_a_fresh_sms(on: Kept) {
    let (cloud, directory, mut provider) = kept(on, "").await;
    let mut phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let enrolled = phone.enrol(&mut provider).await;
    let certificate = &enrolled.account.certificate;
    let renewal = Renewal::sign(&phone.identity, certificate, now()).unwrap();
    let renewed = Certificate::decode(&renew(&phone, &enrolled, &renewal).await.field("certificate")).unwrap();
    assert!(renewed.jid == enrolled.jid && renewed.identity == phone.identity.key());
    renewed.not_older_than(certificate.issued).unwrap();

    let other = Identity::new(now());
    let stolen = Renewal::sign(&other, certificate, now()).unwrap();
    assert_eq!(renew(&phone, &enrolled, &stolen).await.refusal(), (400, "bad-request"), "another key signed it");
    let late = Renewal::sign(&phone.identity, certificate, now().minus(std::time::Duration::from_secs(200_000)));
    assert_eq!(renew(&phone, &enrolled, &late.unwrap()).await.refusal(), (403, "clock"));
    let strange = phone.client.field(Method::POST, "/v1/certificate", "renewal", &renewal).await;
    assert_eq!(strange.refusal(), (401, "unknown-token"));

    set(&directory, "proven", 89).await;
    renew(&phone, &enrolled, &renewal).await.field("certificate");
    set(&directory, "proven", 90).await;
    assert_eq!(renew(&phone, &enrolled, &renewal).await.refusal(), (403, "proof-needed"));

    phone.anew();
    let code = phone.code(&mut provider).await;
    let unknown = new_secret(&mut OsRng).unwrap();
    assert_eq!(phone.prove(code, &unknown).await.0.refusal(), (401, "unknown-token"));
    let (answer, key) = phone.prove(code, &bearer_token(&enrolled.account.secret)).await;
    let Ok(Sealed::Renewed(fresh)) = Sealed::open(&phone.session, &key, &answer.field("sealed")) else {
        panic!("no certificate")
    };
    assert!(fresh.jid == enrolled.jid && fresh.identity == phone.identity.key());
    renew(&phone, &enrolled, &renewal).await.field("certificate");
    assert!(logs_in(&cloud, &Login::of(&enrolled, cloud.ca_pem())).await, "the account is the same");
}

async fn a_new_secret_ends_the_old_one_and_a_lost_answer_is_found_out_by_trying(on: Kept) {
    let (cloud, directory, mut provider) = kept(on, "").await;
    let phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let enrolled = phone.enrol(&mut provider).await;
    let secret = new_secret(&mut OsRng).unwrap();
    let request = NewSecret(secret.clone()).seal(SessionId::new(&mut OsRng), phone.identity.key(), &phone.key).unwrap();
    let change = async |client: &super::client::Client| {
        client.field(Method::PUT, "/v1/account/secret", "sealed", request.as_bytes()).await
    };
    assert_eq!(change(&phone.client).await.refusal(), (401, "unknown-token"));
    assert_eq!(change(&phone.device(&enrolled)).await.status, 200);
    let old = Login::of(&enrolled, cloud.ca_pem());
    let new = Login { secret: secret.clone(), ..old.clone() };
    assert!(logs_in(&cloud, &new).await);
    assert!(!logs_in(&cloud, &old).await);
    assert_eq!(change(&phone.device(&enrolled)).await.refusal(), (401, "unknown-token"));
    let device = phone.client.with_token(&bearer_token(&secret));
    assert_eq!(change(&device).await.status, 200, "the same again");
    let (_, point) = blinded(&phone.number);
    device.evaluate('a', &[point]).await.evaluations();
    let theirs = NewSecret(secret).seal(SessionId::new(&mut OsRng), Identity::new(now()).key(), &phone.key).unwrap();
    let theirs = device.field(Method::PUT, "/v1/account/secret", "sealed", theirs.as_bytes()).await;
    assert_eq!(theirs.refusal(), (400, "bad-request"), "another phone's key");
}

async fn a_withdrawn_or_long_unseen_account_is_gone_from_both(on: Kept) {
    let (cloud, mut directory, mut provider) = kept(on, "").await;
    let first = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let enrolled = first.enrol(&mut provider).await;
    let device = first.device(&enrolled);
    assert_eq!(first.client.call(Method::DELETE, "/v1/account", "").await.refusal(), (401, "unknown-token"));
    assert_eq!(device.call(Method::DELETE, "/v1/account", "").await.status, 200);
    assert!(!logs_in(&cloud, &Login::of(&enrolled, cloud.ca_pem())).await);
    assert_eq!(device.call(Method::DELETE, "/v1/account", "").await.refusal(), (401, "unknown-token"));
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"0\n");

    let second = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let enrolled = second.enrol(&mut provider).await;
    let login = Login::of(&enrolled, cloud.ca_pem());
    set(&directory, "seen", 179).await;
    directory.stop().await.unwrap();
    directory.restart().await.unwrap();
    let (_, point) = blinded(&second.number);
    second.device(&enrolled).evaluate('a', &[point]).await.evaluations();
    set(&directory, "seen", 180).await;
    directory.stop().await.unwrap();
    directory.restart().await.unwrap();
    while directory.command(&["accounts"]).await.unwrap() != b"0\n" {}
    assert!(!logs_in(&cloud, &login).await);
}

on_both!(
    a_certificate_is_renewed_by_its_key_for_ninety_days_and_then_by_a_fresh_sms,
    a_new_secret_ends_the_old_one_and_a_lost_answer_is_found_out_by_trying,
    a_withdrawn_or_long_unseen_account_is_gone_from_both,
);
