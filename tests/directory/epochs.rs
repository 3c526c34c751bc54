//! Epochs with overlap: two are served, new accounts are made in the current one.

use super::BINARY;
use super::client::{Client, blinded};
use super::enrolment::start;
use super::phone::{NUMBER, Phone};
use super::scram::{Login, logs_in};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use rand_core::OsRng;
use shunt::seal::{EpochKey, NewSecret, SessionId, bearer_token, new_secret};
use shunt_kit::directory::Directory;
use std::process::Command;
use zeroize::Zeroizing;

/// Adds an epoch as an operator does, and gives back its public keys.
async fn add(directory: &mut Directory, epoch: char) -> EpochKey {
    let made = Command::new(BINARY)
        .args(["keygen", "--epoch", &epoch.to_string(), "--dir"])
        .arg(directory.dir().join("keys"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let told = String::from_utf8(made.stdout).unwrap();
    let config = std::fs::read_to_string(directory.config()).unwrap();
    let config = config.replace("current_epoch = \"a\"", &format!("current_epoch = \"{epoch}\""));
    std::fs::write(directory.config(), format!("{config}{told}")).unwrap();
    directory.stop().await.unwrap();
    directory.restart().await.unwrap();
    let key = |name| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        BASE64.decode(line).unwrap().try_into().unwrap()
    };
    EpochKey {
        epoch,
        voprf: key("# public VOPRF key: "),
        second: None,
        certificate: key("# public certificate key: "),
        enrolment: key("# public enrolment key: "),
    }
}

#[tokio::test]
async fn a_phone_that_moves_keeps_its_account_of_the_old_epoch_until_it_has_the_new_ones_secret() {
    let (cloud, mut directory, mut provider) = start("").await;
    let mut phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let first = phone.enrol(&mut provider).await;
    let old = Login::of(&first, cloud.ca_pem());
    phone.key = add(&mut directory, 'b').await;
    // One answer is lost; the next one comes.
    let mut second = None;
    for _ in 0..2 {
        phone.anew();
        second = Some(phone.enrol(&mut provider).await);
        assert!(logs_in(&cloud, &old).await, "it may never learn of the new one");
    }
    let second = second.unwrap();
    // Its secret in the old epoch may be changed meanwhile: that tells nothing of the new one.
    let (status, changed) = new_secret_of(&phone, &phone.device(&first)).await;
    assert_eq!((status, directory.command(&["accounts"]).await.unwrap()), (200, b"2\n".to_vec()));
    let (old, token) = (Login { secret: changed.clone(), ..old }, bearer_token(&changed));
    assert!(logs_in(&cloud, &old).await);
    assert_eq!(new_secret_of(&phone, &phone.device(&second)).await.0, 200);
    let (_, point) = blinded(&phone.number);
    assert_eq!(phone.client.with_token(&token).evaluate('a', &[point]).await.refusal(), (401, "unknown-token"));
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"1\n");
    assert!(!logs_in(&cloud, &old).await);
}

/// Changes the secret of a device's account; to what.
async fn new_secret_of(phone: &Phone, device: &Client) -> (u16, Zeroizing<String>) {
    let secret = new_secret(&mut OsRng).unwrap();
    let request = NewSecret(secret.clone()).seal(SessionId::new(&mut OsRng), phone.identity.key(), &phone.key).unwrap();
    let changed = device.field(Method::PUT, "/v1/account/secret", "sealed", request.as_bytes()).await;
    (changed.status.as_u16(), secret)
}

#[tokio::test]
async fn withdrawing_ends_what_the_phone_has_left_in_another_epoch_too() {
    let (cloud, mut directory, mut provider) = start("").await;
    let mut phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let old = Login::of(&phone.enrol(&mut provider).await, cloud.ca_pem());
    phone.key = add(&mut directory, 'b').await;
    phone.anew();
    let second = phone.enrol(&mut provider).await;
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"2\n");
    assert_eq!(phone.device(&second).call(Method::DELETE, "/v1/account", "").await.status, 200);
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"0\n");
    assert!(!logs_in(&cloud, &old).await);
}

#[tokio::test]
async fn an_account_of_the_old_epoch_lives_on_until_its_number_enrols_in_the_new_one() {
    let (cloud, mut directory, mut provider) = start("").await;
    let old = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let first = old.enrol(&mut provider).await;
    let login = Login::of(&first, cloud.ca_pem());
    let key = add(&mut directory, 'b').await;
    let (_, point) = blinded(&old.number);
    for epoch in ['a', 'b'] {
        old.device(&first).evaluate(epoch, &[point]).await.evaluations();
    }
    assert!(logs_in(&cloud, &login).await);

    let mut new = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    new.key = key;
    let second = new.enrol(&mut provider).await;
    assert_eq!((first.jid.epoch(), second.jid.epoch()), ('a', 'b'));
    assert!(logs_in(&cloud, &Login::of(&second, cloud.ca_pem())).await);
    assert!(!logs_in(&cloud, &login).await, "the old epoch's account has ended");
    assert_eq!(old.device(&first).evaluate('a', &[point]).await.refusal(), (401, "unknown-token"));
    new.device(&second).evaluate('b', &[point]).await.evaluations();
    let database = rusqlite::Connection::open(directory.database()).unwrap();
    let budgets: u32 = database.query_row("SELECT count(*) FROM spent", [], |row| row.get(0)).unwrap();
    assert_eq!(budgets, 1, "both accounts' look-ups are counted as one number's");
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"1\n");
}
