//! What each call means, whoever keeps the accounts.

use super::*;
use rusqlite::Connection;
use std::sync::Arc;
use tempfile::TempDir;

const NOW: i64 = 1_800_000_000;
const TOKEN: TokenHash = [7; 32];

fn account<'a>(token: &'a TokenHash) -> Account<'a> {
    Account { pseudonym: "aexample", token, certificate: b"certificate" }
}

fn open(dir: &TempDir) -> Accounts {
    Accounts::open(&dir.path().join("directory.db")).unwrap()
}

#[tokio::test]
async fn an_unknown_token_finds_nobody() {
    let dir = TempDir::new().unwrap();
    assert_eq!(open(&dir).find(&TOKEN).await.unwrap(), None);
}

#[tokio::test]
async fn a_restart_keeps_the_budget() {
    let dir = TempDir::new().unwrap();
    let accounts = open(&dir);
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    let row = accounts.find(&TOKEN).await.unwrap().unwrap();
    accounts.charge(row, 1_000, NOW).await.unwrap().unwrap().unwrap();
    drop(accounts);
    let accounts = open(&dir);
    let row = accounts.find(&TOKEN).await.unwrap().unwrap();
    assert_eq!(accounts.charge(row, 2, NOW + 900).await.unwrap(), Some(Err(Overdrawn { wait: 900 })));
}

#[tokio::test]
async fn enrolling_again_ends_the_old_token_and_refills_nothing() {
    let dir = TempDir::new().unwrap();
    let accounts = open(&dir);
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    let row = accounts.find(&TOKEN).await.unwrap().unwrap();
    accounts.charge(row, 990, NOW).await.unwrap().unwrap().unwrap();
    accounts.put(&account(&[8; 32]), NOW).await.unwrap();
    assert_eq!(accounts.find(&TOKEN).await.unwrap(), None);
    let row = accounts.find(&[8; 32]).await.unwrap().unwrap();
    assert_eq!(accounts.charge(row, 10, NOW).await.unwrap().unwrap().unwrap().left(NOW), 0);
    assert_eq!(accounts.count().await.unwrap(), 1);
}

#[tokio::test]
async fn two_processes_never_overspend_together() {
    let dir = TempDir::new().unwrap();
    let accounts = open(&dir);
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    let row = accounts.find(&TOKEN).await.unwrap().unwrap();
    let both = [Arc::new(accounts), Arc::new(open(&dir))];
    let spenders = both.into_iter().flat_map(|accounts| [Arc::clone(&accounts), accounts]).map(async |accounts| {
        let mut granted = 0;
        for _ in 0..40 {
            granted += usize::from(accounts.charge(row, 10, NOW).await.unwrap().unwrap().is_ok());
        }
        granted
    });
    assert_eq!(futures_util::future::join_all(spenders).await.into_iter().sum::<usize>(), 100);
}

#[tokio::test]
async fn a_removed_account_is_gone_from_the_file_too() {
    let dir = TempDir::new().unwrap();
    let accounts = open(&dir);
    accounts.put(&account(&TOKEN), NOW).await.unwrap();
    assert!(accounts.remove("aexample").await.unwrap());
    assert!(!accounts.remove("aexample").await.unwrap());
    assert_eq!(accounts.count().await.unwrap(), 0);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"aexample"));
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    let path = dir.path().join("directory.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Accounts::open(&path), Err(AccountsError::Newer { found: 99, known: 1 })));
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    open(&dir).put(&account(&TOKEN), NOW).await.unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
