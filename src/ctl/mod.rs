//! `shuntctl`: what testers type. Each command is a few calls on `config/org.shunt.Shunt1.xml`.

mod account;
mod args;
mod client;
mod doctor;
mod enrol;
mod failure;
mod manual;
mod output;
mod peers;
mod route;
mod status;
mod texts;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use client::Client;
use failure::Failure;
use serde_json::json;
use std::process::ExitCode;

/// Runs the command line, and gives the exit status that `--help` documents.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && asks_for_json() => {
            let failure = Failure::Usage(error.to_string().trim_end().to_owned());
            tell(true, &failure);
            return failure.exit();
        }
        // The rest of the usage errors, and --help, end here with clap's 2 and 0.
        Err(error) => error.exit(),
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(cli.json, &failure);
            failure.exit()
        }
    }
}

/// Whether a command line that could not be read wants JSON.
fn asks_for_json() -> bool {
    std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json")
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "shuntctl", &mut script);
            return output::write(&String::from_utf8_lossy(&script));
        }
        Command::Man => {
            return output::write(&manual::page(Cli::command())?);
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // It says what is wrong where nothing can be reached, too.
        if matches!(cli.command, Command::Doctor) {
            return doctor::doctor(cli).await;
        }
        let client = Client::connect(cli).await?;
        let json = cli.json;
        match &cli.command {
            Command::Status => status::status(&client, json).await,
            Command::On { consent, locale } => status::on(&client, json, consent, locale).await,
            Command::Off { timeout } => status::off(&client, json, *timeout).await,
            Command::Send(send) => texts::send(&client, json, send).await,
            Command::Route { number, line, text } => route::route(&client, json, number, line, text).await,
            Command::Watch { number } => route::watch(&client, json, number).await,
            Command::Inbox { ack } => texts::inbox(&client, json, *ack).await,
            Command::List { peer, direction, since } => texts::list(&client, json, peer, *direction, *since).await,
            Command::Peers { action } => peers::peers(&client, json, action).await,
            Command::Ledger { since, totals } => peers::ledger(&client, json, *since, *totals).await,
            Command::Identity => account::identity(&client, json).await,
            Command::Import { file } => account::import(&client, json, file).await,
            Command::Enrol { number, consent, locale } => {
                enrol::enrol(&client, json, number.as_deref().unwrap_or_default(), consent, locale).await
            }
            Command::Withdraw { yes } => enrol::withdraw(&client, json, *yes).await,
            Command::Export { file } => account::export(&client, json, file).await,
            Command::Cancel { id } => texts::cancel(&client, json, id).await,
            Command::Resolve { id, bearer } => texts::resolve(&client, json, id, *bearer).await,
            Command::Completions { .. } | Command::Man | Command::Doctor => Ok(()),
        }
    })
}

fn tell(json: bool, failure: &Failure) {
    use std::io::Write;
    let message = output::plain(&failure.to_string());
    // A closed pipe is no news to the one who closed it.
    if json {
        if matches!(failure, Failure::Unwell(_)) {
            // The findings are the one document.
            return;
        }
        let mut error = json!({ "error": failure.name(), "message": message });
        if let (Some(id), Some(all)) = (failure.id(), error.as_object_mut()) {
            all.insert("id".into(), id.into());
        }
        let _ = output::document(&error);
    } else {
        let _ = writeln!(std::io::stderr(), "shuntctl: {message}");
    }
}

/// Milliseconds since 1970, `age` ago.
fn ago(age: Option<u64>) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    age.map_or(0, |age| u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(age))
}
