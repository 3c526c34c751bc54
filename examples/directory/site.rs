//! A directory of its own, with accounts put into its database by the service's own code.

use crate::client::{Client, blinded};
use anyhow::Result;
use ring::digest::{SHA256, digest};
use shunt::directory::{Account, Accounts};
use shunt::model::PhoneNumber;
use shunt_kit::cloud::Pki;
use shunt_kit::directory::{Around, Directory, FILE};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

pub(crate) struct Site {
    pub(crate) directory: Directory,
    /// As many as a request may have.
    pub(crate) points: Vec<[u8; 32]>,
    client: Client,
    accounts: Accounts,
    _dir: TempDir,
}

impl Site {
    pub(crate) async fn start(program: &Path) -> Result<Self> {
        let dir = TempDir::new()?;
        let pki = Pki::generate("im.example.org", dir.path())?;
        let around = Around {
            binary: program,
            dir: dir.path(),
            pki: &pki,
            domain: "im.example.org",
            api: "http://127.0.0.1:9/api",
            xmpp: ([127, 0, 0, 1], 9).into(),
            database: FILE,
            second: None,
            more: "",
        };
        let directory = Directory::start(&around).await?;
        let client = Client::of(&directory, &pki.ca_pem, "");
        let accounts = Accounts::open(&directory.database().to_owned().into()).await?;
        let numbers = (0..100).map(|nth| PhoneNumber::from_e164(&format!("+49176{nth:08}")));
        let points = numbers.map(|number| Ok(blinded(&number?).1)).collect::<Result<_>>()?;
        Ok(Self { directory, points, client, accounts, _dir: dir })
    }

    /// Ends the account of this name.
    pub(crate) async fn end(&self, name: &str) -> Result<()> {
        anyhow::ensure!(self.accounts.remove(&format!("a{name}")).await?, "no such account");
        Ok(())
    }

    /// What the look-ups of that account are counted under: here the hash of its token, which is its name.
    pub(crate) fn budget(name: &str) -> Result<[u8; 32]> {
        Ok(digest(&SHA256, name.as_bytes()).as_ref().try_into()?)
    }

    /// Makes an account, with a full bucket if there was none of that name; its device.
    pub(crate) async fn device(&self, name: &str) -> Result<Client> {
        let token = Self::budget(name)?;
        let account = Account { pseudonym: &format!("a{name}"), token: &token, budget: &token, certificate: b"" };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().try_into()?;
        self.accounts.put(&account, now).await?;
        Ok(self.client.with_token(name))
    }
}
