//! `shuntctl doctor`: what is wrong with an installation, in one screen. It looks from outside, so that it
//! works while the daemon is down, and says what its user can't see.

mod finding;
mod judge;
mod look;
mod sight;

use super::args::Cli;
use super::failure::Failure;
use super::output::{document, plain, table, write};
use finding::{Finding, Verdict};
use judge::judge;
use serde_json::{Value, json};

pub(super) async fn doctor(cli: &Cli) -> Result<(), Failure> {
    let findings = judge(&look::look(cli).await);
    if cli.json {
        let one = |f: &Finding| json!({ "what": f.what, "verdict": f.verdict.token(), "text": f.text });
        document(&Value::Array(findings.iter().map(one).collect()))?;
    } else {
        let row = |f: &Finding| vec![f.verdict.token().to_owned(), f.what.to_owned(), plain(&f.text)];
        write(&table(&findings.iter().map(row).collect::<Vec<_>>()))?;
    }
    match findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count() {
        0 => Ok(()),
        problems => Err(Failure::Unwell(problems)),
    }
}
