//! What a withdrawal leaves on the disk.

use super::*;

fn tables(store: &Store) -> Vec<String> {
    let mut names = store.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Those with anything in them, by name.
fn filled(store: &Store) -> Vec<String> {
    let any = |table: &String| {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        store.db.query_row(&sql, [], |row| row.get::<_, bool>(0)).unwrap()
    };
    tables(store).into_iter().filter(any).collect()
}

/// Every cell of every table that is long enough to be told from chance.
fn cells(store: &Store) -> Vec<Vec<u8>> {
    let mut cells = Vec::new();
    for table in tables(store).iter().filter(|table| *table != "meta") {
        let mut statement = store.db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let blobs = (0..columns).filter_map(|n| row.get::<_, Vec<u8>>(n).ok());
            cells.extend(blobs.filter(|cell| cell.len() >= 16));
        }
    }
    cells
}

/// All bytes of all files.
fn bytes(dir: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes(&path) } else { std::fs::read(path).unwrap() });
    }
    all
}

/// A cell's two ends: what lies between may be spread over pages.
fn ends(cell: &[u8]) -> [&[u8]; 2] {
    [&cell[..16], &cell[cell.len() - 16..]]
}

fn windows(bytes: &[u8]) -> std::collections::HashSet<&[u8]> {
    bytes.windows(16).collect()
}

fn arrived(n: u64, acknowledged: bool) -> Arrived {
    Arrived {
        id: id(n),
        line: LineId("line-1".into()),
        from: Address("+491710000002".into()),
        body: Body(format!("text number {n}").into()),
        bearer: Bearer::Im,
        sent: NOW,
        at: NOW,
        acknowledged,
    }
}

#[test]
fn no_byte_of_what_a_withdrawal_forgets_is_left_on_the_disk() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            for n in 1..100 {
                tx.put_text(&Text { state: State::SmsSent, ..text(n) })?;
                tx.put_arrived(&arrived(1000 + n, true))?;
                tx.put_envelope(id(n), &[7; 400])?;
                tx.put_peer(&number(n), &PeerRecord { wrote_to: true, ..PeerRecord::default() })?;
                tx.put_sessions(&number(n), &[vec![1_u8; 3000]])?;
                let entry = LedgerEntry { at: NOW, kind: "send".into(), pseudonym: "a2b".into(), size: 1 };
                tx.ledger_append(&[entry])?;
            }
            // Damaged ones, set aside.
            tx.run("UPDATE texts SET live = 2 WHERE seq % 10 = 0", [])?;
            tx.run("UPDATE arrived SET acknowledged = 2 WHERE seq % 10 = 0", [])?;
            tx.log_switch(&Switch { on: true, switched: None })?;
            tx.put_blob(Blob::Identity, &[3; 5000])?;
            tx.put_blob(Blob::Account, &[4; 5000])
        })
        .unwrap();
    let waiting = arrived(1, false);
    let under_way = text(5000);
    store
        .transaction(|tx| {
            tx.put_arrived(&waiting)?;
            tx.put_text(&under_way)
        })
        .unwrap();
    std::fs::create_dir(home.state().join("aside-1")).unwrap();
    std::fs::write(home.state().join("aside-1/store.db"), b"an older store's bytes").unwrap();

    for table in ["blobs", "envelopes", "ledger", "ledger_totals", "ordinals", "peers", "sessions", "switches"] {
        assert!(filled(&store).iter().any(|filled| filled == table), "{table} has nothing to be wiped");
    }
    let before = cells(&store);
    assert!(before.len() > 500, "{}", before.len());
    let found = bytes(home.root.path());
    let found = windows(&found);
    assert!(before.iter().all(|cell| found.contains(ends(cell)[0])), "the search finds what is there");

    let gone: std::collections::HashSet<TextId> = store.transaction(|tx| tx.wipe()).unwrap().into_iter().collect();
    let expected = (1..100).flat_map(|n| [id(n), id(1000 + n)]).collect();
    assert_eq!(gone, expected, "and neither what no app has taken nor what is under way");
    store.compact().unwrap();
    assert_eq!(filled(&store), ["arrived", "im_seen", "meta", "sqlite_sequence", "texts"], "nothing else is kept");
    let kept = cells(&store);
    let texts = |table| store.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    assert_eq!((texts("texts").unwrap(), texts("arrived").unwrap()), (1, 1));
    let left = bytes(home.root.path());
    let left = windows(&left);
    for cell in before.iter().filter(|cell| !kept.contains(cell)) {
        assert!(ends(cell).iter().all(|end| !left.contains(end)), "a cell of {} bytes is left", cell.len());
    }
    assert!(!home.state().join("aside-1").exists());
    // The other way round: of what is kept, a few rows say anything at all.
    assert!(kept.len() < before.len() / 2);

    drop(store);
    let mut store = home.open().unwrap();
    store
        .transaction(|tx| {
            assert_eq!(tx.arrived(waiting.id)?.as_ref(), Some(&waiting));
            assert_eq!(tx.live_texts()?.as_slice(), std::slice::from_ref(&under_way));
            assert!(tx.peers()? == AllPeers::default() && tx.switches()?.is_empty() && tx.ledger_totals()?.is_empty());
            assert!(tx.blob(Blob::Identity)?.is_none() && tx.im_seen(waiting.id)?);
            assert!(!tx.switch()?.on);
            Ok(())
        })
        .unwrap();
}
