//! Epochs with overlap: two are served, new accounts are made in the current one.

use super::BINARY;
use super::client::blinded;
use super::enrolment::start;
use super::phone::{NUMBER, Phone};
use super::scram::{Login, logs_in};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shunt::seal::EpochKey;
use shunt_kit::directory::Directory;
use std::process::Command;

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
