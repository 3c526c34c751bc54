//! Texts, both ways.

use super::args::{BearerArg, Direction, Send, token};
use super::client::{Client, Details, MESSAGING, Options, Signals, details, is};
use super::failure::Failure;
use super::output::{self, document, plain, string, time, write};
use crate::model::TextId;
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;
use zbus::{ObjectPath, OwnedObjectPath};

/// What the daemon answers at most; then the next page is asked for.
const PAGE: usize = 1000;
const PREFIX: &str = "/org/shunt/Shunt1/message/";

pub(super) async fn send(client: &Client, json: bool, send: &Send) -> Result<(), Failure> {
    let text = match send.text.as_slice() {
        [dash] if dash == "-" => from_input()?,
        words => words.join(" "),
    };
    let mut options = Options::new();
    options.extend(send.bearer.map(|bearer| ("bearer", token(bearer).into())));
    options.extend(send.line.as_deref().map(|line| ("line", line.into())));
    options.extend(send.token.as_deref().map(|token| ("token", token.into())));
    if send.report {
        options.insert("report", true.into());
    }
    // Before Send: no change may be missed between its answer and our ear.
    let signals = if send.wait { Some(client.listen().await?) } else { None };
    let path: OwnedObjectPath = client.call(MESSAGING, "Send", &(&send.number, &text, options)).await?;
    let Some(mut signals) = signals else {
        let outcome = json!({ "id": id(&path) });
        return if json { document(&outcome) } else { write(id(&path)) };
    };
    let outcome = settled(client, &mut signals, &path, json, send.timeout).await;
    outcome.map_err(|failure| failure.of(id(&path)))
}

/// Waits for what becomes of a text, and says it.
async fn settled(
    client: &Client,
    signals: &mut Signals,
    path: &OwnedObjectPath,
    json: bool,
    timeout: Option<u64>,
) -> Result<(), Failure> {
    let settling = settle(client, signals, path, !json);
    let mut outcome = match timeout {
        None => settling.await?,
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), settling)
            .await
            .map_err(|_| Failure::Timeout(seconds))??,
    };
    let cause = string(&outcome, "cause").to_owned();
    match string(&outcome, "state") {
        "uncertain" => Err(Failure::Uncertain(cause)),
        "failed" => Err(Failure::Failed(cause)),
        "held" => Err(Failure::Held(string(&outcome, "question").to_owned())),
        _ if json => {
            if let Value::Object(all) = &mut outcome {
                all.insert("id".into(), id(path).into());
            }
            document(&outcome)
        }
        _ => Ok(()),
    }
}

fn from_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(64 * 1024).read_to_string(&mut text);
    read.map_err(|error| Failure::File("standard input".into(), error))?;
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

/// Follows a text until nothing more will be done by itself.
async fn settle(client: &Client, signals: &mut Signals, path: &OwnedObjectPath, tell: bool) -> Result<Value, Failure> {
    if tell {
        write(id(path))?;
    }
    let show = |now: &Value| if tell { write(&step(now)) } else { Ok(()) };
    // With a repeated token nothing may change any more. Signals of before are still to be read: they tell the steps.
    let found: Details = client.call(MESSAGING, "Get", &(path,)).await?;
    let now = Value::Object(details(&found));
    if is_settled(&now) {
        show(&now)?;
        return Ok(now);
    }
    loop {
        let signal = signals.next().await?;
        if is(&signal, MESSAGING, "Changed") {
            let (changed, found): (OwnedObjectPath, Details) = signal.body().deserialize()?;
            if changed == *path && found.contains_key("state") {
                let now = Value::Object(details(&found));
                show(&now)?;
                if is_settled(&now) {
                    return Ok(now);
                }
            }
        }
    }
}

/// Whether nothing more will be done about a text by itself.
fn is_settled(text: &Value) -> bool {
    let settled = ["im-delivered", "im-read", "sms-sent", "sms-delivered", "failed", "uncertain", "held"];
    settled.contains(&string(text, "state"))
}

/// A state with what explains it, such as `sms-sent  fallback`.
fn step(of: &Value) -> String {
    let parts = ["state", "bearer", "reason", "cause", "question"].map(|name| plain(string(of, name)));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

pub(super) async fn inbox(client: &Client, json: bool, ack: bool) -> Result<(), Failure> {
    let filter = || Options::from([("direction", "incoming".into()), ("unacknowledged", true.into())]);
    let texts = fetch(client, filter).await?;
    show(json, &texts)?;
    // Only what was written may be taken.
    if ack {
        for (path, _) in &texts {
            let () = client.call(MESSAGING, "Acknowledge", &(path,)).await?;
        }
    }
    Ok(())
}

pub(super) async fn list(
    client: &Client,
    json: bool,
    peer: &Option<String>,
    direction: Option<Direction>,
    since: Option<u64>,
) -> Result<(), Failure> {
    let filter = || {
        let mut filter = Options::new();
        filter.extend(peer.as_deref().map(|peer| ("peer", peer.into())));
        filter.extend(direction.map(|direction| ("direction", token(direction).into())));
        filter.extend(since.map(|_| ("since", super::ago(since).into())));
        filter
    };
    show(json, &fetch(client, filter).await?)
}

/// All texts that the filter lets through, page by page.
async fn fetch<'v>(
    client: &Client,
    filter: impl Fn() -> Options<'v>,
) -> Result<Vec<(OwnedObjectPath, Value)>, Failure> {
    let mut texts: Vec<(OwnedObjectPath, Value)> = Vec::new();
    loop {
        let mut filter = filter();
        if let Some((last, _)) = texts.last() {
            filter.insert("after", last.clone().into_inner().into());
        }
        let page: Vec<OwnedObjectPath> = client.call(MESSAGING, "List", &(filter,)).await?;
        let full = page.len() >= PAGE;
        for path in page {
            match client.call::<Details>(MESSAGING, "Get", &(&path,)).await {
                Ok(found) => {
                    let mut text = details(&found);
                    text.insert("id".into(), id(&path).into());
                    texts.push((path, Value::Object(text)));
                }
                // Deleted by somebody between List and Get.
                Err(Failure::Daemon { name, .. }) if name == "org.shunt.Error.NotFound" => {}
                Err(failure) => return Err(failure),
            }
        }
        if !full {
            return Ok(texts);
        }
    }
}

fn show(json: bool, texts: &[(OwnedObjectPath, Value)]) -> Result<(), Failure> {
    if json {
        return document(&texts.iter().map(|(_, text)| text.clone()).collect());
    }
    let row = |text: &Value| {
        let at = time(text.get("time").and_then(Value::as_i64).unwrap_or(0));
        let incoming = string(text, "direction") == "incoming";
        let (arrow, other) = if incoming { ("<", "from") } else { (">", "to") };
        let state = if incoming { string(text, "bearer").to_owned() } else { step(text) };
        // One line a text; --json has it as it is.
        let body = plain(string(text, "text")).replace('\n', " ");
        vec![string(text, "id").to_owned(), at, arrow.into(), plain(string(text, other)), state, body]
    };
    let rows: Vec<_> = texts.iter().map(|(_, text)| row(text)).collect();
    output::rows(&rows)
}

pub(super) async fn cancel(client: &Client, json: bool, id: &str) -> Result<(), Failure> {
    let () = client.call(MESSAGING, "Cancel", &(path(id)?,)).await?;
    tell(client, json, id).await
}

pub(super) async fn resolve(client: &Client, json: bool, id: &str, bearer: BearerArg) -> Result<(), Failure> {
    let () = client.call(MESSAGING, "Resolve", &(path(id)?, token(bearer))).await?;
    tell(client, json, id).await
}

/// Where a text stands now.
async fn tell(client: &Client, json: bool, id: &str) -> Result<(), Failure> {
    let found: Details = client.call(MESSAGING, "Get", &(path(id)?,)).await?;
    let text = Value::Object(details(&found));
    if json { document(&text) } else { write(&step(&text)) }
}

/// A text's id without its path.
fn id(path: &OwnedObjectPath) -> &str {
    path.as_str().strip_prefix(PREFIX).unwrap_or(path.as_str())
}

/// The inverse; a whole path is taken as well.
fn path(id: &str) -> Result<OwnedObjectPath, Failure> {
    let bare = id.strip_prefix(PREFIX).unwrap_or(id);
    TextId::from_hex(bare)
        .and_then(|_| ObjectPath::try_from(format!("{PREFIX}{bare}")).ok())
        .map(OwnedObjectPath::from)
        .ok_or_else(|| Failure::Usage("not a text's id: take one from `shuntctl list`".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_with_or_without_its_path() {
        const ID: &str = "01a205e0a6ed7e61ae9ccdb30e09941a";
        let bare = path(ID).unwrap();
        assert_eq!(bare, path(&format!("/org/shunt/Shunt1/message/{ID}")).unwrap());
        assert_eq!(id(&bare), ID);
        for other in ["not an id", "nonsense", "", "0190", "/org/shunt/Shunt1"] {
            assert!(path(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_step_says_only_what_there_is() {
        assert_eq!(step(&json!({ "state": "queued", "reason": "unknown", "bearer": "" })), "queued  unknown");
        assert_eq!(step(&json!({ "state": "failed", "bearer": "sms", "cause": "no-sim" })), "failed  sms  no-sim");
    }
}
