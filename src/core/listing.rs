//! `Messaging.List`: the newest texts that a filter lets through, oldest first.

use crate::bus::{Direction, Filter};
use crate::model::{Address, TextId, Timestamp};
use crate::store::{Cursor, StoreError, Tx};

/// Rows read at a time.
const PAGE: u32 = 200;

struct Row {
    at: Timestamp,
    id: TextId,
    peer: Address,
}

/// Ids that the filter lets through. `peer` is the filter's, as records name it.
pub(super) fn list(tx: &Tx<'_>, filter: &Filter, peer: Option<&Address>) -> Result<Vec<TextId>, StoreError> {
    let incoming = filter.direction != Some(Direction::Outgoing);
    let outgoing = filter.direction != Some(Direction::Incoming) && !filter.unacknowledged;
    let mut rows = Vec::new();
    if incoming && filter.unacknowledged {
        // Few by nature: apps take what came.
        let waiting = tx.waiting_arrived()?;
        rows.extend(waiting.into_iter().map(|text| Row { at: text.at, id: text.id, peer: text.from }));
        rows.retain(|row| fits(row, filter, peer));
    } else if incoming {
        rows.extend(newest(filter, peer, |before| {
            let page = tx.list_arrived(before, PAGE)?;
            Ok(page.into_iter().map(|(at, text)| (at, Row { at: text.at, id: text.id, peer: text.from })).collect())
        })?);
    }
    if outgoing {
        rows.extend(newest(filter, peer, |before| {
            let page = tx.list_texts(before, PAGE)?;
            let row = |text: crate::model::Text| {
                let peer = text.peer.map_or(text.to, |number| Address(number.as_e164().into()));
                Row { at: text.at, id: text.id, peer }
            };
            Ok(page.into_iter().map(|(at, text)| (at, row(text))).collect())
        })?);
    }
    rows.sort_by_key(|row| (row.at, row.id));
    if let Some(after) = filter.after
        && let Some(place) = rows.iter().position(|row| row.id == after)
    {
        rows.drain(..=place);
    }
    let surplus = rows.len().saturating_sub(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    Ok(rows.into_iter().skip(surplus).map(|row| row.id).collect())
}

/// Pages from the newest back, until enough fit or the filter's time is passed.
fn newest(
    filter: &Filter,
    peer: Option<&Address>,
    mut page: impl FnMut(Option<Cursor>) -> Result<Vec<(Cursor, Row)>, StoreError>,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut before = None;
    loop {
        let read = page(before)?;
        let Some((last, oldest)) = read.last().map(|(cursor, row)| (*cursor, row.at)) else { return Ok(rows) };
        rows.extend(read.into_iter().map(|(_, row)| row).filter(|row| fits(row, filter, peer)));
        let enough = rows.len() >= usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let passed = filter.since.is_some_and(|since| oldest < since)
            || filter.after.is_some_and(|after| rows.iter().any(|row| row.id == after));
        if enough || passed {
            return Ok(rows);
        }
        before = Some(last);
    }
}

fn fits(row: &Row, filter: &Filter, peer: Option<&Address>) -> bool {
    filter.since.is_none_or(|since| row.at >= since) && peer.is_none_or(|peer| row.peer == *peer)
}
