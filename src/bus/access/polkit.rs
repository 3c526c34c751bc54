//! Asking polkit (`org.freedesktop.PolicyKit1.Authority.CheckAuthorization`).

use crate::bus::error_name;
use std::collections::HashMap;
use std::time::Duration;
use zbus::{Connection, Variant};

/// polkit's name on the bus.
pub(crate) const NAME: &str = "org.freedesktop.PolicyKit1";
/// The interface whose signal `Changed` ends every answer that we remember.
pub(crate) const AUTHORITY: &str = "org.freedesktop.PolicyKit1.Authority";
/// Its object.
pub(crate) const PATH: &str = "/org/freedesktop/PolicyKit1/Authority";

/// What polkit said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes.
    Allowed,
    /// No, or the user failed to authenticate.
    Refused,
    /// The user would have to authenticate, and the caller did not ask for that.
    Challenge,
    /// There is no polkit on this bus, and none can be started.
    Absent,
    /// It is there, but does not answer us.
    Mute,
}

/// A user needs time to type; polkit itself does not.
const TYPING: Duration = Duration::from_secs(180);
const ANSWERING: Duration = Duration::from_secs(10);

/// May the connection `name` do `action`? The subject is the bus name, so that a recycled pid fools nobody.
pub(crate) async fn check(bus: &Connection, name: &str, action: &str, interactive: bool) -> Answer {
    let subject = ("system-bus-name", HashMap::from([("name", Variant::from(name))]));
    let question = (subject, action, HashMap::<&str, &str>::new(), u32::from(interactive), "");
    let call = bus.call_method(Some(NAME), PATH, Some(AUTHORITY), "CheckAuthorization", &question);
    let patience = if interactive { TYPING } else { ANSWERING };
    let reply = match tokio::time::timeout(patience, call).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) if is_absent(&error) => return Answer::Absent,
        Ok(Err(error)) => {
            log::warn!("polkit did not judge {action}: {error}");
            return Answer::Mute;
        }
        Err(_) => {
            log::warn!("polkit did not answer about {action} in {} s", patience.as_secs());
            return Answer::Mute;
        }
    };
    match reply.body().deserialize::<((bool, bool, HashMap<String, String>),)>() {
        Ok(((true, _, _),)) => Answer::Allowed,
        Ok(((false, true, _),)) => Answer::Challenge,
        Ok(((false, false, _),)) => Answer::Refused,
        Err(error) => {
            log::warn!("polkit's answer about {action} is not one: {error}");
            Answer::Mute
        }
    }
}

fn is_absent(error: &zbus::Error) -> bool {
    let name = error_name(error);
    matches!(
        name.as_deref(),
        Some("org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner")
    )
}
