//! Whether the connection costs by the byte: what NetworkManager says (its D-Bus API, `NMMetered`). Where it does
//! not run, nobody says so, and the connection counts as free.

use futures_util::{StreamExt, stream};
use std::collections::HashMap;
use tokio::sync::mpsc;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant};

const SERVICE: &str = "org.freedesktop.NetworkManager";
const PATH: &str = "/org/freedesktop/NetworkManager";
const BUS: &str = "org.freedesktop.DBus";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Tells each change, beginning from "not metered"; ends with the connection. Nothing is polled, and NetworkManager
/// is never started by this. Needs a `LocalSet`.
pub async fn metered(connection: &Connection) -> zbus::Result<mpsc::UnboundedReceiver<bool>> {
    let signal = |sender| MatchRule::builder().msg_type(Type::Signal).sender(sender);
    let owners = signal(BUS).interface(BUS).member("NameOwnerChanged").add_arg(SERVICE).build()?;
    let changes =
        signal(SERVICE).path(PATH).interface(PROPERTIES).member("PropertiesChanged").add_arg(SERVICE).build()?;
    let mut signals = stream::select(
        MessageStream::for_match_rule(owners, connection, None).await?,
        MessageStream::for_match_rule(changes, connection, None).await?,
    );
    let (tell, told) = mpsc::unbounded_channel();
    let connection = connection.clone();
    tokio::task::spawn_local(async move {
        let mut last = false;
        let (mut owner, mut now) = ask(&connection).await;
        loop {
            if now != last {
                last = now;
                if tell.send(now).is_err() {
                    return;
                }
            }
            let Some(Ok(signal)) = signals.next().await else { return };
            match news(&signal, owner.as_deref()) {
                Some(News::Owner) => (owner, now) = ask(&connection).await,
                Some(News::Metered(metered)) => now = metered,
                None => {}
            }
        }
    });
    Ok(told)
}

/// Asks the service by its unique name, which it returns: a call to it would start it.
async fn ask(connection: &Connection) -> (Option<String>, bool) {
    let owner = async {
        let owner = connection.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetNameOwner", &SERVICE);
        owner.await?.body().deserialize::<String>()
    };
    let Ok(owner) = owner.await else { return (None, false) };
    let read = async {
        let value = connection.call_method(Some(&*owner), PATH, Some(PROPERTIES), "Get", &(SERVICE, "Metered"));
        let value: OwnedVariant = value.await?.body().deserialize()?;
        zbus::Result::Ok(judge(&value))
    };
    // It may be of a kind that does not know.
    let metered = read.await.unwrap_or(false);
    (Some(owner), metered)
}

/// What a signal tells.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// The service came or went.
    Owner,
    Metered(bool),
}

/// Anybody on the bus may address a signal to us: only the bus, and the service that is known, are believed.
fn news(signal: &Message, owner: Option<&str>) -> Option<News> {
    let header = signal.header();
    let sender = header.sender()?.as_str();
    match header.member()?.as_str() {
        "NameOwnerChanged" if sender == BUS => Some(News::Owner),
        "PropertiesChanged" if Some(sender) == owner => changed(signal).map(News::Metered),
        _ => None,
    }
}

fn changed(signal: &Message) -> Option<bool> {
    let body = signal.body();
    let (_, changed, _): (&str, HashMap<&str, OwnedVariant>, Vec<&str>) = body.deserialize().ok()?;
    changed.get("Metered").map(judge)
}

/// `NM_METERED_YES` and `NM_METERED_GUESS_YES`; 0 is unknown, 2 no, 4 presumably not.
fn judge(value: &OwnedVariant) -> bool {
    matches!(value.downcast_ref::<u32>(), Ok(1 | 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bus_and_the_service_itself_are_believed() {
        let said = |sender: &str, interface: &str, member: &str| {
            let changed = HashMap::from([("Metered", zbus::Variant::from(1_u32))]);
            let signal = Message::signal(PATH, interface, member).sender(sender);
            news(&signal.build(&(SERVICE, changed, Vec::<&str>::new())).unwrap(), Some(":1.5"))
        };
        assert_eq!(said(":1.5", PROPERTIES, "PropertiesChanged"), Some(News::Metered(true)));
        assert_eq!(said(BUS, BUS, "NameOwnerChanged"), Some(News::Owner));
        for (interface, member) in [(PROPERTIES, "PropertiesChanged"), (BUS, "NameOwnerChanged")] {
            assert_eq!(said(":1.66", interface, member), None);
        }
    }

    #[test]
    fn a_guess_counts_and_the_unknown_is_free() {
        let judged = |value: u32| judge(&OwnedVariant::try_from(zbus::Variant::from(value)).unwrap());
        assert_eq!([0, 1, 2, 3, 4, 5].map(judged), [false, true, false, true, false, false]);
        assert!(!judge(&OwnedVariant::try_from(zbus::Variant::from("yes")).unwrap()));
    }
}
