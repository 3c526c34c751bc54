//! `org.shunt.Shunt1.Ledger`

use crate::bus::core::Shared;
use crate::bus::{Error, Request, details, options};
use std::collections::HashMap;
use std::sync::Arc;
use zbus::interface;
use zbus::message::Header;

pub(in crate::bus) struct Ledger(pub(in crate::bus) Arc<Shared>);

/// A frame that left: time (ms since 1970), kind, pseudonym, bytes.
type Row = (u64, String, String, u32);

#[interface(name = "org.shunt.Shunt1.Ledger", introspection_docs = false)]
impl Ledger {
    /// May: send.
    #[zbus(out_args("rows"))]
    async fn read(&self, since: u64, #[zbus(header)] call: Header<'_>) -> Result<Vec<Row>, Error> {
        self.0.gate.may_send(&call).await?;
        let since = options::timestamp(since);
        let rows = self.0.ask(|reply| Request::LedgerRead { since, reply }).await?;
        Ok(rows.into_iter().map(|row| (details::ms(row.at), row.kind, row.pseudonym, row.size)).collect())
    }

    /// May: send.
    #[zbus(out_args("totals"))]
    async fn totals(&self, #[zbus(header)] call: Header<'_>) -> Result<HashMap<String, u64>, Error> {
        self.0.gate.may_send(&call).await?;
        self.0.ask(|reply| Request::LedgerTotals { reply }).await.map(|totals| totals.into_iter().collect())
    }
}
