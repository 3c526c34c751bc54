//! What goes wrong, and the exit status that says so (documented in `args`).

use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Refused or failed by the daemon.
    #[error("{message}")]
    Daemon {
        /// The D-Bus error's name.
        name: String,
        /// What it says to do.
        message: String,
    },
    /// An argument is wrong.
    #[error("{0}")]
    Usage(String),
    /// No daemon to talk to.
    #[error("shuntd is not there: {0}. Is the service running, and this the right bus?")]
    Absent(String),
    /// It ended while we waited.
    #[error("shuntd went away. What it had answered is kept: see `shuntctl list` when it is back")]
    Gone,
    /// What it answered is not in the contract.
    #[error("shuntd answered something this shuntctl does not understand ({0}): are both of one version?")]
    Answer(String),
    /// The time is over.
    #[error("not finished in {0} s; the daemon goes on")]
    Timeout(u64),
    /// A text's outcome is unknown.
    #[error("uncertain ({0}): it may have arrived")]
    Uncertain(String),
    /// A text waits for a decision.
    #[error("held ({0}): decide with `shuntctl resolve` or `shuntctl cancel`")]
    Held(String),
    /// A text did not leave.
    #[error("not sent ({0})")]
    Failed(String),
    /// What became of a text that was handed over.
    #[error("{failure}")]
    Of {
        /// The text.
        id: String,
        /// What went wrong with it.
        failure: Box<Self>,
    },
    /// An enrolment ended without an account.
    #[error("not enrolled ({0}): `shuntctl enrol` begins anew")]
    NotEnrolled(String),
    /// Doctor's findings are written.
    #[error("problems: {0}")]
    Unwell(usize),
    /// A local file.
    #[error("{0}: {1}")]
    File(String, #[source] std::io::Error),
    /// Standard output is closed.
    #[error("standard output can't be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Daemon { name, .. } => daemon_code(name),
            Self::Of { failure, .. } => failure.code(),
            Self::Answer(_)
            | Self::Failed(_)
            | Self::Unwell(_)
            | Self::NotEnrolled(_)
            | Self::File(..)
            | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Absent(_) | Self::Gone => 3,
            Self::Uncertain(_) => 6,
            Self::Held(_) => 7,
            Self::Timeout(_) => 8,
        }
    }

    pub(super) fn exit(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The same, of a text.
    pub(super) fn of(self, id: &str) -> Self {
        Self::Of { id: id.to_owned(), failure: Box::new(self) }
    }

    /// The text that it is about.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Of { id, .. } => Some(id),
            _ => None,
        }
    }

    /// A name for `--json`: the daemon's error name, or one like it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Daemon { name, .. } => name,
            Self::Of { failure, .. } => failure.name(),
            Self::Usage(_) => "usage",
            Self::Absent(_) => "absent",
            Self::Gone => "gone",
            Self::Answer(_) => "answer",
            Self::Timeout(_) => "timeout",
            Self::Uncertain(_) => "uncertain",
            Self::Held(_) => "held",
            Self::Failed(_) => "failed",
            Self::NotEnrolled(_) => "not-enrolled",
            Self::File(..) => "file",
            Self::Output(_) => "output",
            Self::Unwell(_) => "unwell",
        }
    }
}

fn daemon_code(name: &str) -> u8 {
    if let Some(ours) = name.strip_prefix("org.shunt.Error.") {
        return match ours {
            "BadArgument" | "BadNumber" => 2,
            "Stopping" => 3,
            "Denied" => 4,
            "NotConfigured" | "NotEnrolled" | "SwitchOff" => 5,
            _ => 1,
        };
    }
    match name.strip_prefix("org.freedesktop.DBus.Error.").unwrap_or_default() {
        "InvalidArgs" => 2,
        "ServiceUnknown" | "NameHasNoOwner" | "Disconnected" | "NoServer" | "NoReply" => 3,
        "AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired" => 4,
        _ => 1,
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        let (name, message) = match &error {
            zbus::Error::MethodError(name, message, _) => (name.to_string(), message.clone().unwrap_or_default()),
            zbus::Error::FDO(fdo) => (zbus::DBusError::name(&**fdo).to_string(), fdo.to_string()),
            zbus::Error::InputOutput(error) => return Self::Absent(error.to_string()),
            other => return Self::Answer(other.to_string()),
        };
        match daemon_code(&name) {
            3 => Self::Absent(message),
            _ => Self::Daemon { name, message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_the_exit_status_that_the_help_names() {
        let of = |name: &str| Failure::Daemon { name: name.into(), message: String::new() }.code();
        assert_eq!(of("org.shunt.Error.BadNumber"), 2);
        assert_eq!(of("org.shunt.Error.Denied"), 4);
        assert_eq!(of("org.freedesktop.DBus.Error.AccessDenied"), 4);
        assert_eq!(of("org.shunt.Error.NotConfigured"), 5);
        assert_eq!(of("org.shunt.Error.NotEnrolled"), 5);
        assert_eq!(of("org.shunt.Error.NoModem"), 1);
        assert_eq!(of("org.example.Other"), 1);
        assert_eq!(Failure::Uncertain(String::new()).code(), 6);
        assert_eq!(Failure::Held(String::new()).code(), 7);
        assert_eq!(Failure::Timeout(1).code(), 8);
    }
}
