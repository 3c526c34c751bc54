//! The operator's commands, at a real ejabberd.

use super::BINARY;
use super::client::{Client, blinded};
use super::scram::logs_in;
use super::site::Site;
use shunt::model::{PhoneNumber, Timestamp};
use shunt::seal::{AccountFile, Identity, IdentityKey, bearer_token};
use shunt_kit::cloud::Cloud;
use shunt_kit::directory::Directory;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
    let evaluation = client.evaluate('a', &[point]).await.evaluations().remove(0);
    let key = account.keys.epoch('a').unwrap();
    let pseudonym = key.pseudonym(&peer, &[blinding.transcript(&evaluation)], account.jid.domain()).unwrap();
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

#[tokio::test]
async fn a_phone_logs_in_with_its_account_until_its_number_is_enrolled_anew() {
    let (cloud, directory) = start().await;
    let (old, new) = (identity(), identity());
    let first = enrolled(&directory, &old).await;
    assert!(logs_in(&cloud, &first).await);
    let old_phone = Client::of(&directory, &first.ca, &bearer_token(&first.secret));
    let (_, point) = blinded(&first.number);
    old_phone.evaluate('a', &[point]).await.evaluations();

    let second = enrolled(&directory, &new).await;
    assert_eq!(second.jid, first.jid, "the same number has the same address");
    second.check(&new, now()).unwrap();
    assert!(logs_in(&cloud, &second).await);
    assert!(!logs_in(&cloud, &first).await, "the old phone is out");
    assert_eq!(old_phone.evaluate('a', &[point]).await.refusal(), (401, "unknown-token"));
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"1\n");
}

#[tokio::test]
async fn a_withdrawn_account_is_gone_from_both() {
    let (cloud, directory) = start().await;
    let account = enrolled(&directory, &identity()).await;
    directory.withdraw(&account.jid.to_string()).await.unwrap();
    assert!(!logs_in(&cloud, &account).await);
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"0\n");
    let client = Client::of(&directory, &account.ca, &bearer_token(&account.secret));
    let (_, point) = blinded(&account.number);
    assert_eq!(client.evaluate('a', &[point]).await.refusal(), (401, "unknown-token"));
    let again = directory.withdraw(&account.jid.to_string()).await.unwrap_err().to_string();
    assert!(again.contains("no such account"), "{again}");
}

#[tokio::test]
async fn an_account_file_is_private_and_never_replaces_another() {
    use std::os::unix::fs::PermissionsExt;
    let (cloud, directory) = start().await;
    let phone = identity();
    let out = cloud.dir().join("phone.json");
    let (path, key) = (out.to_str().unwrap(), phone.to_text());
    let arguments = ["provision", NUMBER, "--identity", &key, "--out", path];
    assert_eq!(directory.command(&arguments).await.unwrap(), b"", "the secret is in the file alone");
    let account = AccountFile::parse(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    assert!(directory.command(&arguments).await.is_err());
    assert!(logs_in(&cloud, &account).await, "nothing was changed by the command that failed");
}

#[tokio::test]
async fn what_cannot_be_enrolled_is_refused_by_name_and_never_repeated() {
    let (_cloud, directory) = start().await;
    let key = identity().to_text();
    for (number, why) in [
        ("017612345678", "country code"),
        ("+49 30 2270", "a landline"),
        ("+49 900 1234567", "a premium-rate number"),
        ("+49 1761234567890", "numbering plan"),
    ] {
        let error = directory.provision(number, &key).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains(&number[5..]), "{error}");
    }
    for key in ["", "abc", &"A".repeat(86)[..85]] {
        let error = directory.provision(NUMBER, key).await.unwrap_err().to_string();
        assert!(error.contains("--identity") && error.contains("shuntctl identity"), "{error}");
    }
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"0\n");
}

#[tokio::test]
async fn without_the_xmpp_server_nobody_is_enrolled_and_the_next_attempt_is() {
    let (mut cloud, directory) = start().await;
    let phone = identity();
    cloud.stop().await.unwrap();
    let error = directory.provision(NUMBER, &phone.to_text()).await.unwrap_err().to_string();
    assert!(error.contains("is ejabberd running"), "{error}");
    assert_eq!(directory.command(&["accounts"]).await.unwrap(), b"0\n");
    cloud.restart().await.unwrap();
    assert!(logs_in(&cloud, &enrolled(&directory, &phone).await).await);
}

#[tokio::test]
async fn a_configuration_that_phones_would_refuse_is_told_before_anything_is_changed() {
    let site = Site::start().await;
    let config = std::fs::read_to_string(site.directory.config()).unwrap();
    for (right, wrong, named) in [("[\"127.0.0.1:9\"]", "[\"nowhere\"]", "servers"), ("/ca.pem", "/key.pem", "ca")] {
        assert!(config.contains(right));
        std::fs::write(site.directory.config(), config.replace(right, wrong)).unwrap();
        let error = site.directory.provision(NUMBER, &identity().to_text()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("`{named}`")), "{error}");
    }
}

#[tokio::test]
async fn a_number_on_standard_input_is_in_no_process_list() {
    let (_cloud, directory) = start().await;
    let phone = identity();
    let mut command = Command::new(BINARY);
    command.args(["provision", "-", "--identity", &phone.to_text(), "--config"]).arg(directory.config());
    let mut provision = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    provision.stdin.take().unwrap().write_all(format!("{NUMBER}\n").as_bytes()).unwrap();
    let done = provision.wait_with_output().unwrap();
    assert!(done.status.success());
    AccountFile::parse(&done.stdout).unwrap().check(&phone, now()).unwrap();
}
