//! What a day in the life leaves at the server and in the logs.

use super::enrolment::{blank, code, enrol, enrolling, withdraw};
use super::{ALICE, BOB, world};
use shunt_kit::phone::Phone;
use shunt_kit::world::{GATEWAY, go_off, go_online};

const TEXTS: [&str; 5] = ["day one quokka", "day two wombat", "day three numbat", "day four bilby", "day five potoroo"];

/// IM both ways, a recipient who is away, back again, off.
async fn day_in_the_life(alice: &Phone, bob: &Phone) {
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let say = async |from: &Phone, to: &Phone, text: &str| {
        from.shunt().send(to.number(), text).await.unwrap();
        to.shunt().wait_received(|got| got.text == text).await.unwrap().bearer
    };
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    assert_eq!(say(alice, bob, TEXTS[0]).await, "im");
    assert_eq!(say(bob, alice, TEXTS[1]).await, "im");
    go_off(bob.shunt()).await.unwrap();
    assert_eq!(say(alice, bob, TEXTS[2]).await, "sms");
    go_online(bob.shunt()).await.unwrap();
    assert_eq!(say(alice, bob, TEXTS[3]).await, "im");
    go_off(alice.shunt()).await.unwrap();
    assert_eq!(say(alice, bob, TEXTS[4]).await, "sms");
    go_off(bob.shunt()).await.unwrap();
}

/// The number's significant digits, as any spelling of it contains them.
fn digits(number: &str) -> String {
    number.trim_start_matches("+49").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_nothing_but_verifiers_and_public_keys() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    day_in_the_life(&alice, &bob).await;
    let rows = |tables: &[shunt_kit::cloud::Table]| -> Vec<(String, usize)> {
        let kept = tables.iter().filter(|table| table.on_disk && !table.rows.is_empty());
        kept.map(|table| (table.name.clone(), table.rows.len())).collect()
    };
    let tables = world.cloud.stored().await.unwrap();
    // SCRAM verifiers, and PEP: a node a phone, its state, its one item.
    let known = ["passwd", "pubsub_node", "pubsub_state", "pubsub_item", "pubsub_index", "pubsub_last_item"];
    for (table, count) in rows(&tables) {
        assert!(known.contains(&table.as_str()), "the server keeps {count} rows in {table}");
    }
    assert!(rows(&tables).contains(&("passwd".to_owned(), 2)));
    for needle in TEXTS.iter().map(|text| (*text).to_owned()).chain([digits(ALICE), digits(BOB)]) {
        assert_eq!(world.cloud.files_containing(needle.as_bytes()).unwrap(), [] as [std::path::PathBuf; 0], "{needle}");
        let in_tables = tables.iter().flat_map(|table| &table.rows).any(|row| row.contains(&needle));
        assert!(!in_tables, "{needle} is in a table");
    }
    // The search finds what is there.
    world.cloud.register("quokka-control", "secret-of-control").await.unwrap();
    let tables = world.cloud.stored().await.unwrap();
    assert!(tables.iter().flat_map(|table| &table.rows).any(|row| row.contains("quokka-control")));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_shows_a_number_a_text_or_a_secret_at_debug_level() {
    let world = enrolling().await;
    // One account by a code, with all that follows; one by the operator's hand, whose secret is known here.
    let alice = blank(&world, ALICE).await;
    enrol(alice.shunt(), ALICE).await.unwrap();
    let sms = world.smsc.wait_for_text("the code", |sms| sms.to == ALICE).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    let mut bob = world.builder(BOB).start().await.unwrap();
    bob.start_shunt(world.config()).await.unwrap();
    let bobs_key = bob.shunt().identity().await.unwrap();
    let file = world.directory.provision(BOB, &bobs_key).await.unwrap();
    std::fs::write(bob.path("account.json"), &file).unwrap();
    bob.shunt().import(&bob.path("account.json")).await.unwrap();
    let account = shunt::seal::AccountFile::parse(&file).unwrap();

    let mut secrets: Vec<String> = TEXTS.iter().map(|text| (*text).to_owned()).collect();
    secrets.extend([code(&sms.text.unwrap()), bobs_key, alice.shunt().identity().await.unwrap()]);
    secrets.extend([account.secret.to_string(), shunt::seal::bearer_token(&account.secret).to_string()]);
    let gateway = world.gateway().unwrap();
    for phone in [&alice, &bob, gateway] {
        let identity = phone.modem().identity();
        secrets.extend([digits(phone.number()), identity.imei.clone(), identity.imsi.clone(), identity.iccid.clone()]);
    }
    assert_eq!(gateway.number(), GATEWAY);

    day_in_the_life(&alice, &bob).await;
    go_online(alice.shunt()).await.unwrap();
    assert_eq!(withdraw(alice.shunt()).await, Ok(()));

    let files = std::fs::read_dir(world.cloud.dir().join("log")).unwrap().map(|entry| entry.unwrap().path());
    let ejabberd: String =
        files.map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()).collect();
    let logs = [
        ("the phones'", [alice.shunt_log(), bob.shunt_log()].concat(), "the code came by SMS"),
        ("the directory's with its gateway's", world.directory.log().unwrap(), "a code was sent"),
        // At the level of the shipped configuration, which is silent on a good day.
        ("ejabberd's", ejabberd, ""),
    ];
    let shown = |logs: &str| -> Vec<String> {
        let runs = |secret: &String| -> bool {
            let all_digits = secret.bytes().all(|byte| byte.is_ascii_digit());
            let length = if all_digits && secret.len() > 8 { 6 } else { secret.len() };
            secret.as_bytes().windows(length).any(|run| logs.contains(std::str::from_utf8(run).unwrap()))
        };
        secrets.iter().filter(|secret| runs(secret)).cloned().collect()
    };
    for (whose, log, said) in &logs {
        assert!(log.contains(said), "{whose} day left a log: {log}");
        assert_eq!(shown(log), [] as [String; 0], "{whose}");
        for secret in &secrets {
            let told = shown(&format!("{log}\nfrom 0{secret}"));
            assert!(told.contains(secret), "the search finds what is there");
        }
    }
}
