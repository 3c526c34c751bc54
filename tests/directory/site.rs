//! A directory without an XMPP server: its accounts are put into its database.

use super::BINARY;
use super::client::Client;
use super::kept::Kept;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{SHA256, digest};
use shunt::directory::{Account, Accounts, TokenHash};
use shunt::model::PhoneNumber;
use shunt::seal::EpochKey;
use shunt_kit::cloud::Pki;
use shunt_kit::directory::{Around, Directory};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The bearer token of the site's one device.
pub(super) const TOKEN: &str = "the-token-of-a-device";

pub(super) struct Site {
    pub(super) directory: Directory,
    pub(super) client: Client,
    pub(super) pki: Pki,
    _dir: TempDir,
}

pub(super) fn seconds() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn hash(token: &str) -> TokenHash {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().unwrap()
}

pub(super) fn number() -> PhoneNumber {
    PhoneNumber::from_e164("+4917699999999").unwrap()
}

impl Site {
    pub(super) async fn start() -> Self {
        Self::with("").await
    }

    /// With further lines of configuration.
    pub(super) async fn with(more: &str) -> Self {
        Self::kept(Kept::InAFile, more).await
    }

    pub(super) async fn kept(kept: Kept, more: &str) -> Self {
        Self::at(&kept.database().await, more).await
    }

    pub(super) async fn at(database: &str, more: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let pki = Pki::generate("im.example.org", dir.path()).unwrap();
        let around = Around {
            binary: Path::new(BINARY),
            dir: dir.path(),
            pki: &pki,
            domain: "im.example.org",
            api: "http://127.0.0.1:9/api",
            xmpp: ([127, 0, 0, 1], 9).into(),
            database,
            second: None,
            more,
        };
        let directory = Directory::start(&around).await.unwrap();
        let account = Account { pseudonym: "aexample", token: &hash(TOKEN), budget: &hash("budget"), certificate: b"" };
        accounts(&directory).await.put(&account, seconds()).await.unwrap();
        let client = Client::of(&directory, &pki.ca_pem, TOKEN);
        Self { directory, client, pki, _dir: dir }
    }

    /// Leaves `left` evaluations in the device's bucket.
    pub(super) async fn leave(&self, left: u32) {
        let accounts = accounts(&self.directory).await;
        let there = accounts.charge(&hash(TOKEN), 0, seconds()).await.unwrap().unwrap().unwrap().left(seconds());
        accounts.charge(&hash(TOKEN), (there - left) as usize, seconds()).await.unwrap().unwrap().unwrap();
    }

    pub(super) fn epoch_key(&self) -> EpochKey {
        epoch_key(&self.directory)
    }
}

/// Its accounts, by a process beside it.
async fn accounts(directory: &Directory) -> Accounts {
    Accounts::open(&directory.database().to_owned().into()).await.unwrap()
}

/// The public keys as `keygen` told them to the operator.
pub(super) fn epoch_key(directory: &Directory) -> EpochKey {
    let config = std::fs::read_to_string(directory.config()).unwrap();
    let key = |name| {
        let line = config.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        BASE64.decode(line).unwrap().try_into().unwrap()
    };
    EpochKey {
        epoch: 'a',
        voprf: key("# public VOPRF key: "),
        second: None,
        certificate: key("# public certificate key: "),
        enrolment: key("# public enrolment key: "),
    }
}
