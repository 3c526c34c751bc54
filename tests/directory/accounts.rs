//! What each call on the accounts means, whichever database they are in.

use super::kept::{Kept, on_both};
use shunt::directory::{Account, Accounts, DatabaseError, Location, Overdrawn, Server, TokenHash};
use shunt_kit::Postgres;
use shunt_kit::postgres::{PASSWORD, psql};
use std::path::Path;
use tempfile::TempDir;

const NOW: i64 = 1_800_000_000;
const TOKEN: TokenHash = [7; 32];

fn account<'a>(token: &'a TokenHash) -> Account<'a> {
    Account { pseudonym: "aexample", token, budget: &[9; 32], certificate: b"certificate" }
}

/// A new database, which may be opened more than once.
struct Place {
    location: Location,
    dir: TempDir,
}

impl Place {
    async fn new(kept: Kept) -> Self {
        let dir = TempDir::new().unwrap();
        let location = match kept {
            Kept::InAFile => Location::File(dir.path().join("directory.db")),
            Kept::InPostgresql => kept.database().await.into(),
        };
        Self { location, dir }
    }

    async fn open(&self) -> Accounts {
        Accounts::open(&self.location).await.unwrap()
    }
}

async fn an_unknown_token_is_nobody_s(kept: Kept) {
    let accounts = Place::new(kept).await.open().await;
    assert!(!accounts.knows_token(&TOKEN).await.unwrap());
    assert_eq!(accounts.charge(&TOKEN, 1, NOW).await.unwrap(), None);
}

async fn a_restart_keeps_the_budget(kept: Kept) {
    let place = Place::new(kept).await;
    let accounts = place.open().await;
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    accounts.charge(&TOKEN, 1_000, NOW).await.unwrap().unwrap().unwrap();
    drop(accounts);
    let charged = place.open().await.charge(&TOKEN, 2, NOW + 900).await.unwrap();
    assert_eq!(charged, Some(Err(Overdrawn { wait: 900 })));
}

async fn enrolling_again_ends_the_old_token_and_refills_nothing(kept: Kept) {
    let accounts = Place::new(kept).await.open().await;
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    accounts.charge(&TOKEN, 990, NOW).await.unwrap().unwrap().unwrap();
    accounts.put(&account(&[8; 32]), NOW).await.unwrap();
    assert!(!accounts.knows_token(&TOKEN).await.unwrap());
    assert_eq!(accounts.charge(&[8; 32], 10, NOW).await.unwrap().unwrap().unwrap().left(NOW), 0);
    assert_eq!(accounts.count().await.unwrap(), 1);
}

async fn neither_withdrawing_nor_another_epoch_refills_anything(kept: Kept) {
    let accounts = Place::new(kept).await.open().await;
    let left = async |token, points, now| {
        accounts.charge(token, points, now).await.unwrap().unwrap().map(|bucket| bucket.left(now))
    };
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    assert_eq!(left(&TOKEN, 990, NOW).await, Ok(10));
    assert!(accounts.remove("aexample").await.unwrap());
    accounts.forget_full(NOW).await.unwrap();
    accounts.put(&account(&[8; 32]), NOW).await.unwrap();
    assert_eq!(left(&[8; 32], 4, NOW).await, Ok(6), "withdrawn and enrolled again");
    accounts.put(&Account { pseudonym: "bexample", ..account(&TOKEN) }, NOW).await.unwrap();
    assert_eq!(left(&TOKEN, 6, NOW).await, Ok(0), "in another epoch");
    assert_eq!(left(&[8; 32], 1, NOW).await, Err(Overdrawn { wait: 900 }));
    let other = Account { pseudonym: "cexample", budget: &[1; 32], ..account(&[3; 32]) };
    accounts.put(&other, NOW).await.unwrap();
    assert_eq!(left(&[3; 32], 1, NOW).await, Ok(999), "another number's");
}

/// What a withdrawn account leaves behind lasts no longer than its bucket takes to fill.
async fn what_is_full_again_is_forgotten(kept: Kept) {
    let accounts = Place::new(kept).await.open().await;
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    accounts.charge(&TOKEN, 2, NOW).await.unwrap().unwrap().unwrap();
    accounts.forget_full(NOW + 1_799).await.unwrap();
    assert_eq!(accounts.charge(&TOKEN, 999, NOW).await.unwrap().unwrap(), Err(Overdrawn { wait: 900 }));
    accounts.forget_full(NOW + 1_800).await.unwrap();
    // By a clock of before: only a row could tell.
    assert_eq!(accounts.charge(&TOKEN, 1_000, NOW).await.unwrap().unwrap().unwrap().left(NOW), 0);
}

async fn two_processes_never_overspend_together(kept: Kept) {
    let place = Place::new(kept).await;
    let (first, second) = (place.open().await, place.open().await);
    first.put(&account(&TOKEN), NOW).await.unwrap();
    let spend = async |accounts: &Accounts| {
        let mut granted = 0;
        for _ in 0..40 {
            granted += usize::from(accounts.charge(&TOKEN, 10, NOW).await.unwrap().unwrap().is_ok());
        }
        granted
    };
    let granted = tokio::join!(spend(&first), spend(&second), spend(&first), spend(&second));
    assert_eq!(granted.0 + granted.1 + granted.2 + granted.3, 100);
}

async fn a_removed_account_is_gone(kept: Kept) {
    let place = Place::new(kept).await;
    let accounts = place.open().await;
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    assert!(accounts.remove("aexample").await.unwrap());
    assert!(!accounts.remove("aexample").await.unwrap());
    assert_eq!(accounts.count().await.unwrap(), 0);
    for entry in std::fs::read_dir(place.dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"aexample"), "not from the file");
    }
}

async fn instances_that_start_together_make_one_schema(kept: Kept) {
    let place = Place::new(kept).await;
    let all = tokio::join!(place.open(), place.open(), place.open());
    all.0.put(&account(&TOKEN), NOW).await.unwrap();
    assert_eq!(all.2.count().await.unwrap(), 1);
}

on_both!(
    an_unknown_token_is_nobody_s,
    a_restart_keeps_the_budget,
    enrolling_again_ends_the_old_token_and_refills_nothing,
    neither_withdrawing_nor_another_epoch_refills_anything,
    what_is_full_again_is_forgotten,
    two_processes_never_overspend_together,
    a_removed_account_is_gone,
    instances_that_start_together_make_one_schema,
);

fn server(url: &str, password: Option<&Path>, ca: Option<&Path>) -> Location {
    Location::Server(Server { url: url.into(), password: password.map(Into::into), ca: ca.map(Into::into) })
}

#[tokio::test]
async fn a_newer_schema_in_postgresql_is_left_alone() {
    let url = Kept::InPostgresql.database().await;
    drop(Accounts::open(&server(&url, None, None)).await.unwrap());
    psql(&url, "INSERT INTO schema_version VALUES (99)").await.unwrap();
    let error = Accounts::open(&server(&url, None, None)).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Newer { found: 99, known: 1 }), "{error}");
}

#[tokio::test]
async fn postgresql_elsewhere_is_asked_over_tls_by_its_own_ca_alone() {
    use std::os::unix::fs::PermissionsExt;
    let postgres = Postgres::shared().await.unwrap();
    let url = postgres.on_loopback(&postgres.database().await.unwrap());
    let dir = TempDir::new().unwrap();
    let (password, wrong) = (dir.path().join("password"), dir.path().join("wrong"));
    for (file, text) in [(&password, PASSWORD), (&wrong, "another")] {
        std::fs::write(file, format!("{text}\n")).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let other = shunt_kit::cloud::Pki::generate("localhost", dir.path()).unwrap();

    let accounts = Accounts::open(&server(&url, Some(&password), Some(postgres.ca()))).await.unwrap();
    assert_eq!(accounts.count().await.unwrap(), 0);
    let refused = async |password: &Path, ca: Option<&Path>, url: &str| {
        Accounts::open(&server(url, Some(password), ca)).await.unwrap_err().to_string()
    };
    let error = refused(&password, Some(&other.ca), &url).await;
    assert!(error.contains("TLS"), "{error}");
    let error = refused(&wrong, Some(postgres.ca()), &url).await;
    assert!(error.contains("28P01"), "{error}");
    let error = refused(&password, None, &url).await;
    assert!(error.contains("pg_hba.conf") && error.contains("no encryption"), "{error}");
    let error = refused(&password, None, &format!("{url}?sslmode=require")).await;
    assert!(error.contains("postgresql.ca"), "{error}");
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&password, Some(postgres.ca()), &url).await;
    assert!(error.contains("chmod 600"), "{error}");
}
