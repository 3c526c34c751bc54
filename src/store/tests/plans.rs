use super::*;

/// The store's own sources, `wipe` apart, which is to read everything once.
const SOURCES: &[&str] = &[
    include_str!("../arrived.rs"),
    include_str!("../blobs.rs"),
    include_str!("../ledger.rs"),
    include_str!("../open.rs"),
    include_str!("../peers.rs"),
    include_str!("../purge.rs"),
    include_str!("../switches.rs"),
    include_str!("../texts.rs"),
];

/// What may be read from end to end: indexes and tables whose size does not follow the number of messages, and
/// the lists that a user asks for whole.
const BOUNDED: &[&str] = &[
    // What is unsettled, and what no app has taken yet.
    "SCAN texts USING INDEX texts_live",
    "SCAN arrived USING INDEX arrived_waiting",
    // An export, which reads everything, counts the rows of those.
    "SCAN ordinals",
    "SCAN shown USING COVERING INDEX shown_at",
    "SCAN im_seen USING COVERING INDEX im_seen_at",
    "SCAN sms_seen USING COVERING INDEX sms_seen_at",
    "SCAN sms_references",
    "SCAN released",
    "SCAN sessions USING COVERING INDEX sqlite_autoindex_sessions_1",
    // A hundred rows at most.
    "SCAN switches",
    // One row a kind of frame.
    "SCAN ledger_totals",
    // `Peers.List`.
    "SCAN peers",
    // Opening counts the tables; the daily purge looks for what lost its reason.
    "SCAN sqlite_master",
    "SCAN sessions",
    "SCAN envelopes",
];

fn statements() -> Vec<&'static str> {
    let literals = SOURCES.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];
    literals.filter(|literal| verbs.iter().any(|verb| literal.starts_with(verb))).collect()
}

#[test]
fn no_statement_reads_a_growing_table_from_end_to_end() {
    let home = Home::new();
    let store = home.open().unwrap();
    let statements = statements();
    assert!(statements.len() > 40, "the sources are read wrongly: {} statements", statements.len());
    for sql in statements {
        let mut plan = store.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            let bounded = BOUNDED.iter().any(|allowed| step == *allowed);
            assert!(!step.contains("SCAN") || step == "SCAN CONSTANT ROW" || bounded, "{sql}\n{step}");
            assert!(!step.contains("TEMP B-TREE"), "{sql}\nsorts: {step}");
        }
    }
}

#[test]
fn the_store_takes_little_memory_and_waits_for_the_disk() {
    let home = Home::new();
    let store = home.open().unwrap();
    let pragma = |name: &str| -> String {
        store
            .db
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| match value {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })
            .unwrap()
    };
    let expected = [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("secure_delete", "1"),
        ("foreign_keys", "1"),
        ("cache_size", "-256"),
        ("mmap_size", "0"),
        ("temp_store", "2"),
        ("locking_mode", "exclusive"),
    ];
    for (name, value) in expected {
        assert_eq!(pragma(name), value, "{name}");
    }
    assert!(!home.state().join("store.db-shm").exists(), "no memory is shared, so none is mapped");
}

#[test]
fn every_upgrade_path_ends_in_the_same_schema() {
    let schema_of = |steps: &[i64]| {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        for pair in steps.windows(2) {
            let tx = db.transaction().unwrap();
            schema::upgrade(&tx, pair[0], pair[1]).unwrap();
            tx.commit().unwrap();
            assert_eq!(schema::version(&db).unwrap(), pair[1]);
        }
        let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<Vec<(String, Option<String>)>, _>>().unwrap()
    };
    for to in 1..=schema::newest() {
        let fresh = schema_of(&[0, to]);
        assert!(!fresh.is_empty());
        for from in 0..to {
            assert_eq!(schema_of(&[0, from, to]), fresh, "from {from} to {to}");
        }
    }
}
