//! What a day in the life leaves at the server and in the logs.

use super::{ALICE, BOB, world};
use shunt_kit::phone::Phone;
use shunt_kit::world::{World, go_off, go_online};

const TEXTS: [&str; 5] = ["day one quokka", "day two wombat", "day three numbat", "day four bilby", "day five potoroo"];

/// IM both ways, a recipient who is away, back again, off.
async fn day_in_the_life(world: &World) -> (Phone, Phone) {
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let say = async |from: &Phone, to: &Phone, text: &str| {
        from.shunt().send(to.number(), text).await.unwrap();
        to.shunt().wait_received(|got| got.text == text).await.unwrap().bearer
    };
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    assert_eq!(say(&alice, &bob, TEXTS[0]).await, "im");
    assert_eq!(say(&bob, &alice, TEXTS[1]).await, "im");
    go_off(bob.shunt()).await.unwrap();
    assert_eq!(say(&alice, &bob, TEXTS[2]).await, "sms");
    go_online(bob.shunt()).await.unwrap();
    assert_eq!(say(&alice, &bob, TEXTS[3]).await, "im");
    go_off(alice.shunt()).await.unwrap();
    assert_eq!(say(&alice, &bob, TEXTS[4]).await, "sms");
    go_off(bob.shunt()).await.unwrap();
    (alice, bob)
}

/// The number's significant digits, as any spelling of it contains them.
fn digits(number: &str) -> String {
    number.trim_start_matches("+49").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_nothing_but_verifiers_and_public_keys() {
    let world = world().await;
    let _phones = day_in_the_life(&world).await;
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
    let world = world().await;
    let (alice, bob) = day_in_the_life(&world).await;
    let logs = [alice.shunt_log(), bob.shunt_log(), world.directory.log().unwrap()].join("\n");
    assert!(logs.contains("connected"), "the day left a log");
    let mut secrets: Vec<String> = TEXTS.iter().map(|text| (*text).to_owned()).collect();
    for phone in [&alice, &bob] {
        let identity = phone.modem().identity();
        secrets.extend([digits(phone.number()), identity.imei.clone(), identity.imsi.clone(), identity.iccid.clone()]);
    }
    let shown = |logs: &str| -> Vec<String> {
        let runs = |secret: &String| -> bool {
            let all_digits = secret.bytes().all(|byte| byte.is_ascii_digit());
            let length = if all_digits { 6 } else { secret.len() };
            secret.as_bytes().windows(length).any(|run| logs.contains(std::str::from_utf8(run).unwrap()))
        };
        secrets.iter().filter(|secret| runs(secret)).cloned().collect()
    };
    assert_eq!(shown(&logs), [] as [String; 0]);
    assert!(shown(&format!("{logs}\nfrom 0{}", digits(BOB))).contains(&digits(BOB)), "the search finds what is there");
}
