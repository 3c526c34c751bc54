//! The switch.

use super::client::{Client, Options, ROOT, SETTINGS, is};
use super::failure::Failure;
use super::output::{document, human, string, table, time, write};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) async fn status(client: &Client, json: bool) -> Result<(), Failure> {
    let mut all = client.properties(ROOT).await?;
    all.insert("Settings".into(), Value::Object(client.properties(SETTINGS).await?));
    let all = Value::Object(all);
    if json {
        return document(&all);
    }
    let settings = all.get("Settings").unwrap_or(&Value::Null);
    let property = |name: &str| human(all.get(name).unwrap_or(&Value::Null));
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let on = settings.get("Enabled").and_then(Value::as_bool).unwrap_or(false);
    let mut rows = vec![
        row("switch", if on { "on" } else { "off" }.into()),
        row("state", format!("{} {}", property("State"), property("StateReason"))),
        row("version", property("Version")),
        row("confinement", lacks(&all)),
    ];
    if let Some(Value::Array(last)) = settings.get("LastSwitch")
        && let [Value::Number(at), uid, unit, consent, locale] = last.as_slice()
        && at.as_i64().is_some_and(|at| at > 0)
    {
        let at = time(at.as_i64().unwrap_or(0));
        rows.push(row("switched", format!("{at} by uid {uid} {} {} {}", human(unit), human(consent), human(locale))));
    }
    for line in all.get("Lines").and_then(Value::as_array).into_iter().flatten() {
        let cell = |n: usize| line.get(n).map(human).unwrap_or_default();
        let enrolled = if line.get(3) == Some(&Value::Bool(true)) { "enrolled" } else { "not enrolled" };
        rows.push(row("line", format!("{} {} {} {enrolled}", cell(0), cell(1), cell(2))));
    }
    for (name, value) in settings.as_object().into_iter().flatten() {
        if name != "Enabled" && name != "LastSwitch" {
            rows.push(row(name, human(value)));
        }
    }
    write(&table(&rows))
}

fn lacks(all: &Value) -> String {
    match all.get("Confinement") {
        Some(Value::Array(lacks)) if lacks.is_empty() => "complete".into(),
        Some(lacks) => format!("lacks {}", human(lacks)),
        None => "unknown".into(),
    }
}

pub(super) async fn on(
    client: &Client,
    json: bool,
    consent: &Option<String>,
    locale: &Option<String>,
) -> Result<(), Failure> {
    let mut options = Options::new();
    options.extend(consent.as_deref().map(|text| ("consent", text.into())));
    options.extend(locale.as_deref().map(|text| ("locale", text.into())));
    let () = client.call(SETTINGS, "Enable", &(options,)).await?;
    tell(client, json).await
}

pub(super) async fn off(client: &Client, json: bool, timeout: u64) -> Result<(), Failure> {
    let mut signals = client.listen().await?;
    client.set(SETTINGS, "Enabled", false.into()).await?;
    let closed = async {
        while client.property(ROOT, "State").await? != "off" {
            // Whatever changed: the state is read again.
            while !is(&signals.next().await?, "org.freedesktop.DBus.Properties", "PropertiesChanged") {}
        }
        Ok::<_, Failure>(())
    };
    tokio::time::timeout(Duration::from_secs(timeout), closed).await.map_err(|_| Failure::Timeout(timeout))??;
    tell(client, json).await
}

async fn tell(client: &Client, json: bool) -> Result<(), Failure> {
    let enabled = client.property(SETTINGS, "Enabled").await?;
    let (state, reason) = (client.property(ROOT, "State").await?, client.property(ROOT, "StateReason").await?);
    let all = json!({ "enabled": enabled, "state": state, "reason": reason });
    if json {
        return document(&all);
    }
    let switch = if enabled == true { "on" } else { "off" };
    write(format!("{switch}: {} {}", string(&all, "state"), string(&all, "reason")).trim_end())
}
