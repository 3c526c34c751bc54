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
        let mut now = ask(&connection).await;
        loop {
            if now != last {
                last = now;
                if tell.send(now).is_err() {
                    return;
                }
            }
            let Some(Ok(signal)) = signals.next().await else { return };
            now = match signal.header().member().map(|member| member.as_str()) {
                Some("NameOwnerChanged") => ask(&connection).await,
                _ => changed(&signal).unwrap_or(last),
            };
        }
    });
    Ok(told)
}

/// Asks the service by its unique name: a call to it would start it.
async fn ask(connection: &Connection) -> bool {
    let read = async {
        let owner = connection.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetNameOwner", &SERVICE);
        let owner: String = owner.await?.body().deserialize()?;
        let value = connection.call_method(Some(owner), PATH, Some(PROPERTIES), "Get", &(SERVICE, "Metered"));
        let value: OwnedVariant = value.await?.body().deserialize()?;
        zbus::Result::Ok(judge(&value))
    };
    // Not there, or of a kind that does not know.
    read.await.unwrap_or(false)
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
    fn a_guess_counts_and_the_unknown_is_free() {
        let judged = |value: u32| judge(&OwnedVariant::try_from(zbus::Variant::from(value)).unwrap());
        assert_eq!([0, 1, 2, 3, 4, 5].map(judged), [false, true, false, true, false, false]);
        assert!(!judge(&OwnedVariant::try_from(zbus::Variant::from("yes")).unwrap()));
    }
}
