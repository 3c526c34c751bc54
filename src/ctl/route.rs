//! The icon: which way would a text go?

use super::client::{Client, Details, MESSAGING, Options, details, is};
use super::failure::Failure;
use super::output::{document, human, plain, table, time, write};
use serde_json::{Value, json};

pub(super) async fn route(
    client: &Client,
    json: bool,
    number: &str,
    line: &Option<String>,
    text: &Option<String>,
) -> Result<(), Failure> {
    let mut options = Options::from([("explain", true.into())]);
    options.extend(line.as_deref().map(|line| ("line", line.into())));
    options.extend(text.as_deref().map(|text| ("text", text.into())));
    let (bearer, reason, found): (String, String, Details) =
        client.call(MESSAGING, "Route", &(number, options)).await?;
    let mut all = details(&found);
    if json {
        all.insert("to".into(), number.into());
        all.insert("bearer".into(), bearer.into());
        all.insert("reason".into(), reason.into());
        return document(&Value::Object(all));
    }
    let mut lines = vec![format!("{} via {bearer}: {reason}", plain(number))];
    if let Some(ends) = all.get("lease-ends").and_then(Value::as_i64) {
        lines.push(format!("  lease until {}", time(ends)));
    }
    if let (Some(segments), Some(encoding)) = (all.get("segments"), all.get("encoding")) {
        let mark = if all.get("mark-segment") == Some(&true.into()) { ", one more with the mark" } else { "" };
        let plural = if segments == 1 { "" } else { "s" };
        lines.push(format!("  as SMS: {segments} segment{plural}, {}{mark}", human(encoding)));
    }
    if let Some(verified) = all.get("verified") {
        lines.push(format!("  verified: {}", human(verified)));
    }
    let rules = all.get("rules").and_then(Value::as_array).into_iter().flatten().map(|rule| match rule {
        Value::Array(parts) => [vec![" ".to_owned()], parts.iter().map(human).collect()].concat(),
        rule => vec![" ".to_owned(), human(rule)],
    });
    let rules: Vec<_> = rules.collect();
    if !rules.is_empty() {
        lines.push("  rules, in order:".into());
        lines.push(table(&rules).trim_end().to_owned());
    }
    write(&lines.join("\n"))
}

pub(super) async fn watch(client: &Client, json: bool, number: &str) -> Result<(), Failure> {
    let mut signals = client.listen().await?;
    let () = client.call(MESSAGING, "Watch", &(number,)).await?;
    let (bearer, reason, _): (String, String, Details) =
        client.call(MESSAGING, "Route", &(number, Options::new())).await?;
    show(json, number, &bearer, &reason)?;
    loop {
        let signal = signals.next().await?;
        if !is(&signal, MESSAGING, "RouteChanged") {
            continue;
        }
        // Only what this connection watches is told to it: one number.
        let (_, bearer, reason): (String, String, String) = signal.body().deserialize()?;
        show(json, number, &bearer, &reason)?;
    }
}

fn show(json: bool, number: &str, bearer: &str, reason: &str) -> Result<(), Failure> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    if json {
        let line = json!({ "time": now, "to": number, "bearer": bearer, "reason": reason });
        return write(&line.to_string());
    }
    write(&format!("{}  {}  {bearer}  {reason}", time(now), plain(number)))
}
