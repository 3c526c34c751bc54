//! The command line.

use super::accounts::Accounts;
use super::config::{Config, ConfigError};
use super::database::DatabaseError;
use super::enrol::{Enrolling, EnrollingError};
use super::evaluate::Directory;
use super::evaluator::{EvaluatorConfig, Role, RoleError};
use super::files::NewFile;
use super::keys::{self, KeyError};
use super::listen::{self, ServeError};
use super::number;
use super::provision::{ProvisionError, provision};
use super::service::{Service, now};
use super::unseen;
use crate::seal::{BadJid, IdentityError, IdentityKey, Jid};
use crate::sys::forget;
use clap::{Parser, Subcommand};
use log::LevelFilter;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

/// The directory of a Shunt cloud: evaluates blinded numbers for enrolled phones, and enrols them.
#[derive(Debug, Parser)]
#[command(name = "shunt-directory", version)]
struct Cli {
    /// What is told on stderr: off, error, warn, info, debug. Never a number, a token or a point.
    #[arg(long, global = true, default_value = "info", value_parser = level)]
    log: LevelFilter,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an epoch's secret keys, as files that nobody else may read; never overwrites.
    Keygen {
        /// Where to put them.
        #[arg(long)]
        dir: PathBuf,
        /// The epoch's name: one lower-case letter.
        #[arg(long)]
        epoch: char,
        /// For a second evaluator: its one key.
        #[arg(long)]
        evaluator: bool,
    },
    /// Make this operator's token at a second evaluator, and print the line for that one's configuration.
    OperatorToken {
        /// The file to write; it must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Be the second evaluator of another operator's directory, until SIGTERM; SIGHUP reads the TLS certificate again.
    ServeEvaluator {
        /// The configuration; config/evaluator.toml explains it.
        #[arg(long)]
        config: PathBuf,
    },
    /// Serve phones until SIGTERM; SIGHUP reads the TLS certificate again.
    Serve {
        /// The configuration; config/directory.toml explains it.
        #[arg(long)]
        config: PathBuf,
    },
    /// Enrol a number by hand: make its account and write its account file.
    Provision {
        /// The number with + and country code; `-` reads it from standard input.
        number: String,
        /// The phone's identity key, as `shuntctl identity` prints it.
        #[arg(long, allow_hyphen_values = true)]
        identity: String,
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
        /// The account file to write; it must not exist. Without it: standard output.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// End an account, here and at the XMPP server.
    Withdraw {
        /// The account.
        jid: String,
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print how many accounts there are.
    Accounts {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Why a command failed: each says what to do.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Enrolling(#[from] EnrollingError),
    #[error(transparent)]
    Role(#[from] RoleError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Number(#[from] number::NumberError),
    #[error("--identity: {0}")]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Jid(#[from] BadJid),
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error("{path}: can't be made: {source}")]
    Out { path: PathBuf, source: io::Error },
    #[error("there is no such account")]
    NoAccount,
    #[error("the account is of another domain than {0}")]
    OtherDomain(String),
    #[error("can't listen on {0}: {1}")]
    Listen(std::net::SocketAddr, io::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn level(text: &str) -> Result<LevelFilter, &'static str> {
    text.parse().map_err(|_| "one of off, error, warn, info, debug")
}

/// Runs one command line. Exit code 0: done; 1: failed, and stderr says why; 2: not understood.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    super::logger::start(cli.log);
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let _ = writeln!(io::stderr(), "shunt-directory: {failed}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failed> {
    match command {
        Command::Keygen { dir, epoch, evaluator: false } => Ok(say(&keys::keygen(&dir, epoch)?)?),
        Command::Keygen { dir, epoch, evaluator: true } => Ok(say(&keys::keygen_evaluator(&dir, epoch)?)?),
        Command::OperatorToken { out } => Ok(say(&keys::operator_token(&out)?)?),
        Command::ServeEvaluator { config } => serve_evaluator(&EvaluatorConfig::load(&config)?),
        Command::Serve { config } => serve(&Config::load(&config)?),
        Command::Provision { number, identity, config, out } => enrol(&number, &identity, &config, out.as_deref()),
        Command::Withdraw { jid, config } => withdraw(&jid, &Config::load(&config)?),
        Command::Accounts { config } => {
            let config = Config::load(&config)?;
            let count = async { Accounts::open(&config.database).await?.count().await };
            Ok(say(&format!("{}\n", current_thread()?.block_on(count)?))?)
        }
    }
}

fn serve(config: &Config) -> Result<(), Failed> {
    service_runtime()?.block_on(async {
        let directory = Arc::new(Directory::open(config).await?);
        tokio::spawn(unseen::keep_forgetting(Arc::clone(&directory)));
        tokio::spawn(directory.accounts.clone().keep_forgetting());
        let start = |enrolment| Enrolling::start(enrolment, &directory, config.current_epoch).map(Arc::new);
        let enrolling = config.enrolment.as_ref().map(start).transpose()?;
        if let Some(enrolling) = &enrolling {
            tokio::spawn(Arc::clone(enrolling).keep_forgetting(directory.accounts.database().clone()));
        }
        let router = Service::new(directory, enrolling, Duration::from_secs(config.limits.read_timeout)).router();
        let listener = TcpListener::bind(config.listen).await.map_err(|why| Failed::Listen(config.listen, why))?;
        Ok(listen::serve(listener, &config.tls, router, config.limits).await?)
    })
}

fn serve_evaluator(config: &EvaluatorConfig) -> Result<(), Failed> {
    service_runtime()?.block_on(async {
        let role = Role::open(config).await?;
        tokio::spawn(role.forgetting());
        let router = role.router();
        let listener = TcpListener::bind(config.listen).await.map_err(|why| Failed::Listen(config.listen, why))?;
        Ok(listen::serve(listener, &config.tls, router, config.limits).await?)
    })
}

fn enrol(number: &str, identity: &str, config: &Path, out: Option<&Path>) -> Result<(), Failed> {
    let identity = IdentityKey::from_text(identity.trim())?;
    let number = match number {
        "-" => number::parse(&Zeroizing::new(io::read_to_string(io::stdin())?))?,
        number => number::parse(number)?,
    };
    let config = Config::load(config)?;
    let refused = |path: &Path| {
        let path = path.into();
        move |source| Failed::Out { path, source }
    };
    // Made first: a place that can't be written to must not cost the old phone its account.
    let file = out.map(|path| NewFile::create(path).map_err(refused(path))).transpose()?;
    let account = current_thread()?.block_on(provision(&config, &number, &identity, now()))?;
    match (file, out) {
        (Some(file), Some(path)) => file.finish(account.as_bytes()).map_err(refused(path)),
        _ => Ok(say(&account)?),
    }
}

fn withdraw(jid: &str, config: &Config) -> Result<(), Failed> {
    let jid = Jid::parse(jid)?;
    if jid.domain() != config.domain {
        return Err(Failed::OtherDomain(config.domain.clone()));
    }
    let end = async { Directory::open(config).await?.end(jid.pseudonym().as_str(), async || Ok(true)).await };
    if current_thread()?.block_on(end)? { Ok(()) } else { Err(Failed::NoAccount) }
}

/// What both services run on: out of dumps and swap, and an idle thread's stack is wiped.
fn service_runtime() -> io::Result<tokio::runtime::Runtime> {
    if !forget::keep_out_of_dumps_and_swap()? {
        log::warn!("memory could not be locked: run with LimitMEMLOCK=infinity or without swap");
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(forget::wipe_stack).build()
}

fn current_thread() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
