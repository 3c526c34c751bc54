//! The operator's commands, at a real ejabberd.

use super::BINARY;
use super::client::{Client, blinded};
use shunt::model::{PhoneNumber, Timestamp};
use shunt::seal::{AccountFile, Identity, IdentityKey, bearer_token};
use shunt_kit::cloud::Cloud;
use shunt_kit::directory::Directory;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const NUMBER: &str = "+4917612345678";

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

fn identity() -> IdentityKey {
    Identity::new(now()).key()
}

async fn start() -> (Cloud, Directory) {
    let cloud = Cloud::start().await.unwrap();
    let directory = cloud.start_directory(Path::new(BINARY)).await.unwrap();
    (cloud, directory)
}

async fn enrolled(directory: &Directory, identity: &IdentityKey) -> AccountFile {
    let file = directory.provision(NUMBER, &identity.to_text()).await.unwrap();
    AccountFile::parse(&file).unwrap()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn a_provisioned_number_is_an_account_that_its_phone_and_its_peers_believe() {
    let (cloud, directory) = start().await;
    let identity = identity();
    let account = enrolled(&directory, &identity).await;

    account.check(&identity, now()).unwrap();
    assert_eq!(account.number.as_e164(), NUMBER);
    assert_eq!(account.directory, directory.url());
    assert_eq!(account.servers, [cloud.xmpp_addr().to_string()]);
    assert_eq!(account.ca, cloud.ca_pem());
    let days = (account.certificate.expires.seconds() - account.certificate.issued.seconds()) / 86_400;
    assert_eq!(days, 30);

    let client = Client::of(&directory, &account.ca, bearer_token(&account.secret).as_str());
    let peer = PhoneNumber::from_e164("+4917699999999").unwrap();
    let (blinding, point) = blinded(&peer);
    let (evaluated, proof) = client.evaluate('a', &[point]).await.evaluations().remove(0);
    let key = account.keys.epoch('a').unwrap();
    let (pseudonym, transcript) = blinding.finish(evaluated, proof, key, account.jid.domain()).unwrap();
    assert_eq!(transcript.verify(&peer, key, account.jid.domain()).unwrap(), pseudonym);
    assert_ne!(pseudonym, *account.jid.pseudonym());
}

#[tokio::test]
async fn what_the_directory_keeps_holds_neither_number_nor_secret() {
    let (_cloud, mut directory) = start().await;
    let identity = identity();
    let account = enrolled(&directory, &identity).await;
    let token = bearer_token(&account.secret);
    let client = Client::of(&directory, &account.ca, &token);
    let (_, point) = blinded(&account.number);
    client.evaluate('a', &[point]).await.evaluations();
    directory.stop().await.unwrap();

    let digits = NUMBER.trim_start_matches("+49");
    let jid = account.jid.pseudonym().as_str();
    let files = files_below(directory.dir());
    let holding = |needle: &[u8]| files.iter().filter(|file| contains(&std::fs::read(file).unwrap(), needle)).count();
    assert!(holding(jid.as_bytes()) > 0, "the search finds what is there");
    assert_eq!(holding(digits.as_bytes()), 0);
    assert_eq!(holding(account.secret.as_bytes()), 0);
    assert_eq!(holding(token.as_bytes()), 0);
    assert_eq!(holding(&point), 0);
    assert!(!directory.log().unwrap().contains(jid));
}
