//! The account's secret is replaced by one that nobody else has seen, whatever is cut off meanwhile.

use super::withdrawal::in_ledger;
use super::{ALICE, BOB, programs, world};
use rusqlite::TransactionBehavior;
use serde_json::json;
use shunt::seal::AccountFile;
use shunt_kit::log::Log;
use shunt_kit::phone::{Phone, ShuntConfig};
use shunt_kit::proxy::{Mode, Proxy};
use shunt_kit::world::{World, go_online};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Made by `tests/packages test`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/phones/relay.py");
/// Nothing here takes so long; it only keeps a fault from hanging the run.
const PATIENCE: Duration = Duration::from_secs(60);
const CHANGED: &str = "the account has a new secret";

/// A phone with an imported account, and the account file.
async fn imported(world: &World, number: &str, config: ShuntConfig) -> (Phone, AccountFile) {
    let mut phone = world.builder(number).start().await.unwrap();
    phone.start_shunt(config).await.unwrap();
    let identity = phone.shunt().identity().await.unwrap();
    let file = world.directory.provision(number, &identity).await.unwrap();
    let path = phone.path("account.json");
    std::fs::write(&path, &file).unwrap();
    phone.shunt().import(&path).await.unwrap();
    (phone, AccountFile::parse(&file).unwrap())
}

/// Whether the secret of that file logs in, by an independent client.
async fn logs_in(world: &World, file: &AccountFile) -> bool {
    let xmpp = world.cloud.xmpp_addr();
    let mut client = tokio::process::Command::new(PYTHON);
    client.arg(SCRIPT).arg(xmpp.ip().to_string()).arg(xmpp.port().to_string()).arg(file.jid.to_string());
    client.arg(file.secret.as_str()).arg(world.cloud.ca_path());
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let output = client.spawn().expect("run `tests/packages test`").wait_with_output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("the client ends").unwrap();
    assert_eq!(output.status.success(), output.stdout.starts_with(b"{\"online\""), "{output:?}");
    output.status.success()
}

/// By what the directory knows its accounts. What is being written is waited for: a write is seen in the log's file
/// before a reader sees it.
fn tokens(world: &World) -> Vec<Vec<u8>> {
    let mut database = rusqlite::Connection::open(world.directory.database()).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    let locked = database.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let mut tokens = locked.prepare("SELECT token FROM account ORDER BY rowid").unwrap();
    tokens.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_an_imported_account_is_replaced_and_logs_nobody_in_any_more() {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    let (mut alice, file) = imported(&world, ALICE, world.config()).await;
    assert!(logs_in(&world, &file).await, "the operator has seen it");
    go_online(bob.shunt()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    alice.logged(CHANGED, 1).await.unwrap();
    assert!(!logs_in(&world, &file).await);
    // Imported again it changes nothing.
    alice.shunt().import(&alice.path("account.json")).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.stop_shunt().await.unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "to the same account").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "to the same account").await.unwrap().bearer, "im");
    assert!(!alice.shunt_log().contains(CHANGED), "once is enough");

    // A server that forgets the change, as one does that crashes too soon.
    let user = file.jid.pseudonym().as_str();
    let back = json!({ "user": user, "host": world.cloud.domain(), "newpass": file.secret.as_str() });
    world.cloud.call("change_password", back).await.unwrap();
    assert!(logs_in(&world, &file).await);
    world.cloud.kick(user).await.unwrap();
    alice.shunt().wait_service_state(&["waiting"]).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    assert!(!logs_in(&world, &file).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_costs_nobody_the_account_whether_the_core_lives_or_dies() {
    let world = world().await;
    let mut directory = Proxy::start(world.directory.addr()).unwrap();
    let (domain, xmpp, ca) = (world.cloud.domain(), world.cloud.xmpp_addr().to_string(), world.cloud.ca_pem());
    let config = || ShuntConfig::new(programs()).cloud(domain, &xmpp, &directory.addr().to_string(), ca);
    let (alice, alices) = imported(&world, ALICE, config()).await;
    let (mut bob, bobs) = imported(&world, BOB, config()).await;
    let again = config();
    let before = tokens(&world);
    directory.set(Mode::LoseAnswers).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    // Each change of the database is written to its log.
    let log = Log::watch(Path::new(&format!("{}-wal", world.directory.database()))).unwrap();
    let both = log.until(|_| tokens(&world).iter().all(|token| !before.contains(token)).then_some(()));
    tokio::time::timeout(PATIENCE, both).await.expect("the directory was told both").unwrap();
    // Both are changed, and neither phone knows.
    bob.kill_core().await.unwrap();
    assert!(!alice.shunt_log().contains(CHANGED) && !bob.shunt_log().contains(CHANGED));
    directory.set(Mode::Pass).await.unwrap();
    directory.cut();
    bob.start_shunt(again).await.unwrap();
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    bob.logged(CHANGED, 1).await.unwrap();
    alice.logged(CHANGED, 1).await.unwrap();
    assert!(!logs_in(&world, &alices).await && !logs_in(&world, &bobs).await);
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    alice.shunt().send(BOB, "still there").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "still there").await.unwrap().bearer, "im");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_never_got_there_is_made_after_the_restart() {
    let mut world = world().await;
    let (mut alice, file) = imported(&world, ALICE, world.config()).await;
    let (before, mut proxy) = (tokens(&world), Proxy::start(world.cloud.xmpp_addr()).unwrap());
    world.directory.crash().await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    in_ledger(&alice, "new-secret").await;
    alice.kill_core().await.unwrap();
    // Neither the directory nor the server can be reached at first.
    proxy.set(Mode::Refuse).await.unwrap();
    alice.start_shunt(world.config_via(proxy.addr())).await.unwrap();
    alice.shunt().wait_reason("unreachable").await.unwrap();
    world.directory.restart().await.unwrap();
    proxy.set(Mode::Pass).await.unwrap();
    alice.logged(CHANGED, 1).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    assert!(!logs_in(&world, &file).await);
    assert_ne!(tokens(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_every_log_in_breaks_off_for_finds_out_that_its_account_has_ended() {
    let world = world().await;
    let proxy = Proxy::start(world.cloud.xmpp_addr()).unwrap();
    let (alice, file) = imported(&world, ALICE, world.config_via(proxy.addr())).await;
    go_online(alice.shunt()).await.unwrap();
    alice.logged(CHANGED, 1).await.unwrap();
    let cutting = async {
        loop {
            proxy.until_open(1).await;
            proxy.cut();
            proxy.until_open(0).await;
        }
    };
    let ending = async {
        alice.shunt().wait_reason("broken").await.unwrap();
        world.directory.withdraw(&file.jid.to_string()).await.unwrap();
        alice.shunt().wait_reason("signed-out").await.unwrap();
    };
    tokio::select! {
        () = cutting => {}
        () = ending => {}
    }
}
