//! What the errors of ModemManager, oFono and the bus prove.

use super::ModemError;
use zbus::{DBusError, Error, fdo};

/// Reads an error of a call. Its message is looked at for a code only, and kept nowhere.
pub(super) fn read(error: &Error) -> ModemError {
    match error {
        Error::MethodError(name, message, _) => named(name.as_str(), message.as_deref().unwrap_or_default()),
        Error::FDO(error) => bus(error),
        // The connection to the bus broke, or the bus hung up.
        Error::InputOutput(_) | Error::Connection(..) => ModemError::Lost,
        _ => ModemError::Unclear("unreadable answer".into()),
    }
}

/// Errors of the bus itself.
fn bus(error: &fdo::Error) -> ModemError {
    match error {
        fdo::Error::ServiceUnknown(_)
        | fdo::Error::NameHasNoOwner(_)
        | fdo::Error::UnknownMethod(_)
        | fdo::Error::UnknownObject(_)
        | fdo::Error::UnknownInterface(_) => ModemError::Gone,
        fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) | fdo::Error::InteractiveAuthorizationRequired(_) => {
            ModemError::Denied
        }
        // The bus says so when the service leaves before it answered.
        fdo::Error::NoReply(_) | fdo::Error::Disconnected(_) => ModemError::Lost,
        fdo::Error::Timeout(_) | fdo::Error::TimedOut(_) => ModemError::Mute,
        // More bytes or signatures than the bus carries: not delivered.
        fdo::Error::InvalidArgs(_) | fdo::Error::InvalidSignature(_) => ModemError::NotSendable,
        fdo::Error::ZBus(error) => read(error),
        other => ModemError::Unclear(other.name().as_str().into()),
    }
}

/// The services' own errors, by name; those that ModemManager has no name for carry a code in the message.
fn named(name: &str, message: &str) -> ModemError {
    if let Some(own) = name.strip_prefix("org.freedesktop.ModemManager1.Error.") {
        modemmanager(own, message)
    } else if let Some(own) = name.strip_prefix("org.ofono.Error.") {
        ofono(own)
    } else {
        ModemError::Unclear(name.into())
    }
}

fn modemmanager(own: &str, message: &str) -> ModemError {
    match own {
        // CMS errors (TS 27.005 §3.2.5) and their kin of TS 27.007 §9.2.
        "Message.NoNetwork" | "MobileEquipment.NoNetwork" | "MobileEquipment.NetworkNotAllowed" => {
            ModemError::NoNetwork
        }
        "Message.NetworkTimeout" | "MobileEquipment.NetworkTimeout" => ModemError::NetworkTimeout,
        "Message.SimNotInserted"
        | "Message.SimPin"
        | "Message.PhSimPin"
        | "Message.SimBusy"
        | "Message.SimWrong"
        | "Message.SimPuk"
        | "Message.SimPin2"
        | "Message.SimPuk2" => ModemError::NoSim,
        "MobileEquipment.SimNotInserted"
        | "MobileEquipment.SimPin"
        | "MobileEquipment.SimPuk"
        | "MobileEquipment.PhSimPin"
        | "MobileEquipment.SimWrong"
        | "Core.WrongSimState" => ModemError::NoSim,
        "Message.NotAllowed" | "Message.NotSupported" | "Message.SmscAddressUnknown" => ModemError::Refused,
        "Message.InvalidPduParameter" | "Message.InvalidTextParameter" | "Core.InvalidArgs" => ModemError::NotSendable,
        "Message.Unknown" | "MobileEquipment.Unknown" => code(message).map_or_else(|| unclear(own), network),
        "Serial.ResponseTimeout" | "Core.Timeout" => ModemError::Mute,
        // The port closed under the command, or the modem was removed.
        "Core.Connected" | "Core.Cancelled" | "Core.Aborted" | "Serial.OpenFailed" | "Serial.SendFailed" => {
            ModemError::Lost
        }
        "Core.Unauthorized" => ModemError::Denied,
        // The question whether we may comes before anything else.
        "Core.Failed" if message.starts_with("PolicyKit authorization") => ModemError::NoAuthority,
        // Not enabled or not registered: the service refused before it asked the modem.
        "Core.WrongState" => ModemError::NoNetwork,
        "Core.Unsupported" => ModemError::Refused,
        "Core.NotFound" => ModemError::Gone,
        _ => unclear(own),
    }
}

/// oFono answers a call with an error only where it did nothing: what fails later is told by a message's
/// state.
fn ofono(own: &str) -> ModemError {
    match own {
        "InvalidFormat" | "InvalidArguments" => ModemError::NotSendable,
        "NotAllowed" | "AccessDenied" => ModemError::Denied,
        "SimNotReady" => ModemError::NoSim,
        "NotRegistered" | "NotAttached" => ModemError::NoNetwork,
        "NotFound" => ModemError::Gone,
        "NotImplemented" | "NotSupported" => ModemError::Refused,
        // "Failed", "InProgress", "NotAvailable" and their like.
        _ => ModemError::Busy,
    }
}

fn unclear(own: &str) -> ModemError {
    ModemError::Unclear(own.into())
}

/// The code at the end of "Unknown message error: 38".
fn code(message: &str) -> Option<u16> {
    message.rsplit([' ', '(']).next()?.trim_end_matches(')').parse().ok()
}

/// CMS errors below 300 are the network's own answer to the submission (TS 24.011 §8.2.5.4 and annex
/// E-2; 128 and up: TS 23.040 §9.2.3.22): it was refused, so it did not leave. Codes from 300 on that
/// ModemManager has no name for, 500 among them, prove nothing.
fn network(code: u16) -> ModemError {
    match code {
        // Unassigned, barred, rejected, unknown or unidentified subscriber, facility rejected or not subscribed.
        1 | 8 | 10 | 21 | 28 | 29 | 30 | 50 | 69 => ModemError::Refused,
        // No SC subscription, invalid or barred destination, TP-PID or DCS or validity not supported.
        128..=130 | 143..=145 | 159..=161 | 175..=177 | 193 | 195 | 196 | 198 | 199 => ModemError::Refused,
        // Destination or network out of order, temporary failure, congestion, no resources; SC busy.
        27 | 38 | 41 | 42 | 47 | 192 => ModemError::Busy,
        // 197 says that the SC has it already; protocol errors and the rest say nothing certain.
        _ => ModemError::Unclear(format!("code {code}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Cause, modem::Retry};

    fn after(name: &str, message: &str) -> Retry {
        named(&format!("org.freedesktop.ModemManager1.Error.{name}"), message).retry()
    }

    #[test]
    fn only_what_proves_that_nothing_left_is_retried() {
        assert_eq!(after("Message.NoNetwork", ""), Retry::Later(Cause::NoNetwork));
        assert_eq!(after("Message.NetworkTimeout", ""), Retry::Unknown(Cause::NetworkTimeout));
        assert_eq!(after("Message.SimNotInserted", ""), Retry::Later(Cause::NoSim));
        assert_eq!(after("Core.Connected", "forced close"), Retry::Unknown(Cause::ModemLost));
        assert_eq!(after("Core.Unauthorized", ""), Retry::Never(Cause::Denied));
        assert_eq!(after("Serial.ResponseTimeout", ""), Retry::Unknown(Cause::ModemMute));
        for name in ["MobileEquipment.Unknown", "Message.Unknown", "Core.Failed", "Message.MeFailure", "Something.New"]
        {
            assert!(matches!(after(name, "Unknown error"), Retry::Unknown(_)), "{name}");
        }
    }

    #[test]
    fn the_networks_refusal_is_told_from_an_unknown_error() {
        let refused = |code: u16| after("Message.Unknown", &format!("Unknown message error: {code}"));
        assert_eq!(refused(21), Retry::Never(Cause::Refused));
        assert_eq!(refused(38), Retry::Later(Cause::Refused));
        assert!(matches!(refused(500), Retry::Unknown(_)));
        assert!(matches!(refused(197), Retry::Unknown(_)), "the SC has it already");
    }

    #[test]
    fn what_ofono_refuses_has_not_left() {
        let refused = |own: &str| named(&format!("org.ofono.Error.{own}"), "").retry();
        assert_eq!(refused("InvalidFormat"), Retry::Never(Cause::NotSendable));
        assert_eq!(refused("InProgress"), Retry::Later(Cause::Refused));
        assert_eq!(refused("NotRegistered"), Retry::Later(Cause::NoNetwork));
    }

    #[test]
    fn foreign_errors_prove_nothing() {
        assert!(matches!(named("com.example.Odd", "21").retry(), Retry::Unknown(_)));
    }
}
