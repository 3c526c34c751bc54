//! Whom the user texts, and what left the phone.

use super::args::{Peers, token};
use super::client::{Client, LEDGER, PEERS};
use super::failure::Failure;
use super::output::{self, document, plain, time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What one `Read` answers at most.
const PAGE: usize = 10_000;

pub(super) async fn peers(client: &Client, json: bool, action: &Option<Peers>) -> Result<(), Failure> {
    match action {
        None => {}
        Some(Peers::Unverified) => return show_unverified(client, json).await,
        Some(Peers::Policy { number, policy }) => {
            let () = client.call(PEERS, "SetPolicy", &(number, token(*policy))).await?;
        }
        Some(Peers::Block { number }) => {
            let () = client.call(PEERS, "Block", &(number, true)).await?;
        }
        Some(Peers::Unblock { number }) => {
            let () = client.call(PEERS, "Block", &(number, false)).await?;
        }
        Some(Peers::Safety { number }) => return show_safety(json, number, &safety(client, number).await?),
        Some(Peers::Verify { number, undo }) => {
            let () = client.call(PEERS, "Verify", &(number, !undo)).await?;
        }
        Some(Peers::Accept { number }) => {
            let digits = safety(client, number).await?;
            let () = client.call(PEERS, "Accept", &(number, &digits)).await?;
            if !json {
                show_safety(json, number, &digits)?;
            }
        }
        Some(Peers::Contacts { file }) => {
            let text = match file.as_os_str() == "-" {
                true => std::io::read_to_string(std::io::stdin())?,
                false => std::fs::read_to_string(file)?,
            };
            let numbers: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let () = client.call(PEERS, "SetContacts", &(numbers,)).await?;
        }
    }
    if action.is_some() && !json {
        return Ok(());
    }
    let peers: Vec<(String, String, String)> = client.call(PEERS, "List", &()).await?;
    if json {
        let peer = |(number, policy, known): &(String, String, String)| json!({ "number": number, "policy": policy, "known": known });
        return document(&peers.iter().map(peer).collect());
    }
    let rows: Vec<_> =
        peers.iter().map(|(number, policy, known)| [number, policy, known].map(|c| plain(c)).into()).collect();
    output::rows(&rows)
}

/// Pseudonym, why, how often, when last.
type Refused = (String, String, u32, u64);

async fn show_unverified(client: &Client, json: bool) -> Result<(), Failure> {
    let refused: Vec<Refused> = client.call(PEERS, "Unverified", &()).await?;
    if json {
        let sender = |(pseudonym, reason, times, at): &Refused| json!({ "pseudonym": pseudonym, "reason": reason, "times": times, "last": at });
        return document(&refused.iter().map(sender).collect());
    }
    let row = |(pseudonym, reason, times, at): &Refused| {
        vec![plain(pseudonym), plain(reason), times.to_string(), time(i64::try_from(*at).unwrap_or(i64::MAX))]
    };
    output::rows(&refused.iter().map(row).collect::<Vec<_>>())
}

async fn safety(client: &Client, number: &str) -> Result<String, Failure> {
    client.call(PEERS, "SafetyNumber", &(number,)).await
}

/// Shows a safety number in groups, as people read it out.
fn show_safety(json: bool, number: &str, digits: &str) -> Result<(), Failure> {
    if json {
        return document(&json!({ "number": number, "safety": digits }));
    }
    let groups: Vec<String> =
        digits.as_bytes().chunks(5).map(|five| String::from_utf8_lossy(five).into_owned()).collect();
    let lines: Vec<Vec<String>> = groups.chunks(4).map(<[String]>::to_vec).collect();
    output::rows(&lines)
}

/// Time, kind, pseudonym, bytes.
type Frame = (u64, String, String, u32);

pub(super) async fn ledger(client: &Client, json: bool, since: Option<u64>, only_totals: bool) -> Result<(), Failure> {
    let frames = if only_totals { Vec::new() } else { read(client, super::ago(since)).await? };
    let totals: BTreeMap<String, u64> = client.call(LEDGER, "Totals", &()).await?;
    if json {
        let frame = |(at, kind, pseudonym, size): &Frame| json!({ "time": at, "kind": kind, "pseudonym": pseudonym, "bytes": size });
        let mut all = json!({ "totals": totals });
        if let (Value::Object(all), false) = (&mut all, only_totals) {
            all.insert("frames".into(), frames.iter().map(frame).collect());
        }
        return document(&all);
    }
    let frame = |(at, kind, pseudonym, size): &Frame| {
        vec![time(i64::try_from(*at).unwrap_or(i64::MAX)), plain(kind), size.to_string(), plain(pseudonym)]
    };
    let mut rows: Vec<_> = frames.iter().map(frame).collect();
    rows.extend(totals.iter().map(|(name, sum)| vec!["total".into(), plain(name), sum.to_string()]));
    output::rows(&rows)
}

/// Page by page: a page begins at the time the last one ended at, and repeats that time's frames.
async fn read(client: &Client, mut since: u64) -> Result<Vec<Frame>, Failure> {
    let mut frames: Vec<Frame> = Vec::new();
    loop {
        let page: Vec<Frame> = client.call(LEDGER, "Read", &(since,)).await?;
        let full = page.len() >= PAGE;
        let known = frames.iter().rev().take_while(|frame| frame.0 == since).count();
        let before = frames.len();
        frames.extend(page.into_iter().skip(known));
        match frames.last() {
            Some(last) if full && frames.len() > before => since = last.0,
            _ => return Ok(frames),
        }
    }
}
