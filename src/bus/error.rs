//! The errors that a caller of our D-Bus API can meet: `org.shunt.Error.*`.

use zbus::DBusError;
use zbus::message::{Header, Message};
use zbus::names::ErrorName;

/// Why a call was refused or failed. Each message says what to do; none carries a number or a text,
/// as error messages end up in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No cloud in the config and no account that brings one.
    #[error("no cloud is configured: set [cloud] in /etc/shunt/shunt.toml.d, or import an account file")]
    NotConfigured,
    /// This phone holds no account.
    #[error("this phone has no account: enrol with `shuntctl enrol`, or take one with `shuntctl import FILE`")]
    NotEnrolled,
    /// It holds one already.
    #[error("this phone is enrolled: withdraw first with `shuntctl withdraw`")]
    AlreadyEnrolled,
    /// No code is waited for.
    #[error("no enrolment waits for a code: begin one with `shuntctl enrol`")]
    NoEnrolment,
    /// The directory says that the code is another.
    #[error("not the right code: read the SMS again; after five wrong ones a new one is needed")]
    WrongCode,
    /// The enrolment ended without an account.
    #[error("the enrolment is over: {0}")]
    EnrolmentEnded(&'static str),
    /// What is asked needs the network.
    #[error("the switch is off, and this needs the network: turn it on first with `shuntctl on`")]
    SwitchOff,
    /// Texts stand in the way of a withdrawal.
    #[error("texts are under way or held: wait for them, or use `shuntctl resolve` or `cancel`, then withdraw again")]
    Unsettled,
    /// The network does not get there.
    #[error("the directory cannot be reached now: check the network; StateReason tells when that changes")]
    Unreachable,
    /// The caller may not do this.
    #[error("not allowed: {0}")]
    Denied(&'static str),
    /// Not a number that could be sent to.
    #[error("not a phone number: write + and the country code, such as +49, or the number as dialled at home")]
    BadNumber,
    /// Longer than a multipart SMS can be.
    #[error("the text is longer than 255 SMS segments: send it in parts")]
    TooLong,
    /// No modem or no SIM to send by.
    #[error("no usable modem or SIM: check `shuntctl status`, insert or unlock the SIM")]
    NoModem,
    /// No such text, line or peer.
    #[error("not found: {0}")]
    NotFound(&'static str),
    /// An argument or option is unknown or out of range.
    #[error("bad argument: {0}")]
    BadArgument(&'static str),
    /// The text's state does not allow it any more (or yet).
    #[error("too late: {0}")]
    TooLate(&'static str),
    /// A diverted text may have arrived, or may still arrive; nobody can say now.
    #[error("the text may have arrived, or may still arrive: send it again only if that does no harm")]
    Uncertain,
    /// A diverted text did not leave, and will not.
    #[error("the text was not sent: {0}")]
    Failed(&'static str),
    /// The account file is not one, or does not fit.
    #[error("the account file cannot be used: {0}")]
    BadAccount(&'static str),
    /// The store is unusable; texts go by SMS as if Shunt were not there.
    #[error("the store cannot be used, texts go by SMS: {0}")]
    Store(&'static str),
    /// The caller holds as much as one caller may.
    #[error("too many at once: {0}")]
    TooMany(&'static str),
    /// The daemon is ending.
    #[error("shuntd is stopping: call again when org.shunt.Shunt1 is back on the bus")]
    Stopping,
}

impl Error {
    /// The D-Bus error name; part of the contract (`config/org.shunt.Shunt1.xml`).
    #[must_use]
    pub const fn dbus_name(self) -> &'static str {
        match self {
            Self::NotConfigured => "org.shunt.Error.NotConfigured",
            Self::NotEnrolled => "org.shunt.Error.NotEnrolled",
            Self::AlreadyEnrolled => "org.shunt.Error.AlreadyEnrolled",
            Self::NoEnrolment => "org.shunt.Error.NoEnrolment",
            Self::WrongCode => "org.shunt.Error.WrongCode",
            Self::EnrolmentEnded(_) => "org.shunt.Error.EnrolmentEnded",
            Self::SwitchOff => "org.shunt.Error.SwitchOff",
            Self::Unsettled => "org.shunt.Error.Unsettled",
            Self::Unreachable => "org.shunt.Error.Unreachable",
            Self::Denied(_) => "org.shunt.Error.Denied",
            Self::BadNumber => "org.shunt.Error.BadNumber",
            Self::TooLong => "org.shunt.Error.TooLong",
            Self::NoModem => "org.shunt.Error.NoModem",
            Self::NotFound(_) => "org.shunt.Error.NotFound",
            Self::BadArgument(_) => "org.shunt.Error.BadArgument",
            Self::TooLate(_) => "org.shunt.Error.TooLate",
            Self::Uncertain => "org.shunt.Error.Uncertain",
            Self::Failed(_) => "org.shunt.Error.Failed",
            Self::BadAccount(_) => "org.shunt.Error.BadAccount",
            Self::Store(_) => "org.shunt.Error.Store",
            Self::TooMany(_) => "org.shunt.Error.TooMany",
            Self::Stopping => "org.shunt.Error.Stopping",
        }
    }
}

impl DBusError for Error {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.dbus_name()).build(&(self.to_string(),))
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.dbus_name())
    }

    fn description(&self) -> Option<&str> {
        None
    }
}

/// The D-Bus name of an error that a call of ours got, whichever way zbus keeps it.
pub(in crate::bus) fn error_name(error: &zbus::Error) -> Option<String> {
    match error {
        zbus::Error::MethodError(name, _, _) => Some(name.as_str().to_owned()),
        zbus::Error::FDO(error) => Some(error.name().as_str().to_owned()),
        zbus::Error::DBus(error) => Some(error.name().as_str().to_owned()),
        _ => None,
    }
}
