//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// Documented here once, for `--help` and the man page alike; [`super::Failure`] keeps to it.
const EXIT_STATUS: &str = "Exit status:
  0  done
  1  failed; the message says why and what to do (doctor: it found a problem)
  2  usage: an argument is wrong, or is not a phone number
  3  the daemon is not there
  4  denied: the caller has not the right
  5  no cloud is configured, the phone holds no account, or the switch is off
  6  the text's outcome is uncertain: it may have arrived; don't send it again unasked
  7  the text is held until `shuntctl resolve` or `shuntctl cancel`
  8  the time given by --timeout is over; the daemon goes on";

/// Asks and directs the shunt daemon: texts go by instant message where the recipient is online, else by SMS.
#[derive(Debug, Parser)]
#[command(name = "shuntctl", version, after_help = EXIT_STATUS, arg_required_else_help = true)]
pub(super) struct Cli {
    /// Write one JSON document to standard output (`watch`: one a line); where it fails, one with `error` and `message`,
    /// and the `id` of a text that was handed over.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// D-Bus address to use instead of the system bus.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(super) address: Option<String>,
    /// The address is the daemon's own socket, not a bus.
    #[arg(long, global = true, requires = "address")]
    pub(super) peer_to_peer: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows the switch, the connection, lines, settings, and what the confinement lacks.
    Status,
    /// Shows in one screen what is wrong with this installation, and what to do; works while the daemon is down.
    Doctor,
    /// Turns the switch on.
    On {
        /// Id and version of the consent text that the user agreed to.
        #[arg(long, value_name = "ID")]
        consent: Option<String>,
        /// The locale it was shown in.
        #[arg(long, requires = "consent")]
        locale: Option<String>,
    },
    /// Turns the switch off, and waits until no process of ours has a network socket.
    Off {
        /// How long to wait for that, in seconds.
        #[arg(long, default_value_t = 30, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Hands over a text.
    Send(Send),
    /// Explains which way a text would go now, and why; sends nothing.
    Route {
        /// Whom to.
        number: String,
        /// From which line.
        #[arg(long)]
        line: Option<String>,
        /// A text, to be told its size as SMS.
        #[arg(long)]
        text: Option<String>,
    },
    /// Shows a number's route, and each change of it, until interrupted.
    Watch {
        /// Whom to.
        number: String,
    },
    /// Shows incoming texts that no app has taken.
    Inbox {
        /// Take them: they are not shown again.
        #[arg(long)]
        ack: bool,
    },
    /// Shows texts, both ways, oldest first.
    List {
        /// Only from or to this number.
        #[arg(long)]
        peer: Option<String>,
        /// Only one direction.
        #[arg(long)]
        direction: Option<Direction>,
        /// Only so long ago or less, such as 30m, 12h or 7d.
        #[arg(long, value_name = "AGE", value_parser = age)]
        since: Option<u64>,
    },
    /// Shows what is known of peers, or sets the policy towards one.
    Peers {
        #[command(subcommand)]
        action: Option<Peers>,
    },
    /// Shows every frame that was handed towards the cloud, and the totals.
    Ledger {
        /// Only so long ago or less, such as 30m, 12h or 7d.
        #[arg(long, value_name = "AGE", value_parser = age)]
        since: Option<u64>,
        /// Only the totals.
        #[arg(long)]
        totals: bool,
    },
    /// Shows this phone's public identity key, for `shunt-directory provision`.
    Identity,
    /// Takes an account file.
    Import {
        /// The file that `shunt-directory provision` wrote.
        file: PathBuf,
    },
    /// Enrols this phone: its number is proven by a code that comes by SMS.
    Enrol {
        /// The number, where the SIM does not know it.
        number: Option<String>,
        /// Id and version of the consent text that the user agreed to; asked here otherwise.
        #[arg(long, value_name = "ID")]
        consent: Option<String>,
        /// The locale it was shown in.
        #[arg(long, requires = "consent")]
        locale: Option<String>,
    },
    /// Ends the account, turns the switch off and forgets everything but texts that no app has taken.
    Withdraw {
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Writes all that this phone holds about its user, as JSON.
    Export {
        /// A new file; - is standard output.
        file: PathBuf,
    },
    /// Doesn't send a text after all, if nothing of it can have left.
    Cancel {
        /// The text, as `send` and `list` show it.
        id: String,
    },
    /// Decides on a held text.
    Resolve {
        /// The text, as `send` and `list` show it.
        id: String,
        /// Go on waiting for im, or let it go by sms.
        bearer: BearerArg,
    },
    /// Writes a shell's completions to standard output.
    Completions {
        /// Which shell's.
        shell: Shell,
    },
    /// Writes the man page to standard output.
    Man,
}

#[derive(Debug, Args)]
pub(super) struct Send {
    /// Whom to: as dialled at home, or + and the country code.
    pub(super) number: String,
    /// What; several words become one text. A single - reads it from standard input.
    #[arg(required = true)]
    pub(super) text: Vec<String>,
    /// Only by that bearer.
    #[arg(long)]
    pub(super) bearer: Option<BearerArg>,
    /// From which line.
    #[arg(long)]
    pub(super) line: Option<String>,
    /// A repeated token is the same text: it is not sent twice.
    #[arg(long)]
    pub(super) token: Option<String>,
    /// Ask for a delivery report.
    #[arg(long)]
    pub(super) report: bool,
    /// Wait until the text is delivered, sent, failed, uncertain or held.
    #[arg(long)]
    pub(super) wait: bool,
    /// Wait so many seconds at most.
    #[arg(long, requires = "wait", value_name = "SECONDS")]
    pub(super) timeout: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Peers {
    /// Shows who was refused lately, by pseudonym: why, how often, when last.
    Unverified,
    /// Sets the policy towards a number.
    Policy {
        /// Whom.
        number: String,
        /// auto: by IM when online; im-only: never by SMS unasked; sms-only: never by IM.
        policy: PolicyArg,
    },
    /// Refuses a number's instant messages, as if this phone were offline; its SMS still come.
    Block {
        /// Whom.
        number: String,
    },
    /// Takes that back.
    Unblock {
        /// Whom.
        number: String,
    },
    /// Shows the safety number with a peer, to be compared with what its phone shows.
    Safety {
        /// Whom.
        number: String,
    },
    /// Notes that you compared safety numbers and they were equal.
    Verify {
        /// Whom.
        number: String,
        /// Take that back.
        #[arg(long)]
        undo: bool,
    },
    /// Confirms a peer's changed key, and shows its safety number; a peer that was verified needs `verify` too.
    Accept {
        /// Whose.
        number: String,
    },
    /// Hands contacts over, for the presence policy mutual, instead of those handed over before.
    Contacts {
        /// A file with a number a line; - reads standard input.
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum BearerArg {
    Im,
    Sms,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Direction {
    Incoming,
    Outgoing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PolicyArg {
    Auto,
    ImOnly,
    SmsOnly,
}

/// The token that the daemon knows a value by: the one that is typed.
pub(super) fn token(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Milliseconds of an age such as `90s`, `30m`, `12h` or `7d`.
fn age(typed: &str) -> Result<u64, String> {
    let (count, unit) = typed.split_at(typed.find(|c: char| !c.is_ascii_digit()).unwrap_or(typed.len()));
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("write a number and s, m, h or d, such as 12h".into()),
    };
    let count: u64 = count.parse().map_err(|_| "write a number and s, m, h or d, such as 12h".to_owned())?;
    count.checked_mul(unit).ok_or_else(|| "that is too long ago".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ages_are_read_with_their_unit() {
        assert_eq!(age("90s"), Ok(90_000));
        assert_eq!(age("12h"), Ok(43_200_000));
        for bad in ["", "12", "h", "1.5h", "-1d", "12 h", "12ü", "99999999999999999d"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_what_the_contract_says() {
        assert_eq!(token(BearerArg::Im), "im");
        assert_eq!(token(PolicyArg::ImOnly), "im-only");
        assert_eq!(token(Direction::Incoming), "incoming");
    }

    #[test]
    fn a_text_that_looks_like_an_option_goes_after_two_dashes() {
        let cli = Cli::try_parse_from(["shuntctl", "send", "+4917100", "--", "--wait", "a"]).unwrap();
        let Command::Send(send) = cli.command else { panic!() };
        assert!(!send.wait);
        assert_eq!(send.text, ["--wait", "a"]);
    }
}
