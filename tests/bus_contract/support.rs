//! A bus, our objects on it, and a core that notes what it is asked.

use shunt::bus::access::Rules;
use shunt::bus::{
    Bus, Diagnosis, DoorOutcome, Error, ExportPart, LineEntry, Published, Record, Refusal, Request, RouteAnswer,
    Setting, Settlement, UnverifiedEntry,
};
use shunt::model::{Address, Arrived, Bearer, Body, LineId, PhoneNumber, Reason, SimState, TextId, Timestamp};
use shunt::store::Inbox;
use shunt_kit::phone::PhoneBuilder;
use shunt_kit::{Phone, Smsc};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use zbus::{Connection, Message, OwnedVariant, Variant};

pub(crate) const SERVICE: &str = "org.shunt.Shunt1";
pub(crate) const PATH: &str = "/org/shunt/Shunt1";
pub(crate) const SETTINGS: &str = "org.shunt.Shunt1.Settings";
pub(crate) const MESSAGING: &str = "org.shunt.Shunt1.Messaging";
pub(crate) const DOOR: &str = "org.shunt.Shunt1.Door";
pub(crate) const PEERS: &str = "org.shunt.Shunt1.Peers";
pub(crate) const LEDGER: &str = "org.shunt.Shunt1.Ledger";
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// A user without any right.
pub(crate) const NOBODY: u32 = 65534;
/// The number of the only line; no other value may contain it.
pub(crate) const OWN: &str = "+491700000001";
/// A wait that ends in a failure: a hang, not a measure.
const HANG: Duration = Duration::from_secs(60);

/// A bus and polkitd; nothing here needs a modem.
pub(crate) fn phone() -> PhoneBuilder {
    Phone::builder(&Smsc::new(), OWN).without_modem_manager()
}

/// The core's uid on a phone.
pub(crate) fn core_uid(phone: &Phone) -> u32 {
    let users = std::fs::read_to_string(phone.path("passwd")).unwrap();
    let line = users.lines().find(|line| line.starts_with("shunt-core:")).unwrap().to_owned();
    line.split(':').nth(2).unwrap().parse().unwrap()
}

/// Our objects, served; and what the stub core was asked, as it was asked.
pub(crate) struct Served {
    pub(crate) bus: Arc<Bus>,
    pub(crate) asked: mpsc::UnboundedReceiver<String>,
    pub(crate) client: Connection,
}

impl Served {
    /// On the test's own runtime: one thread, as on the device.
    pub(crate) async fn as_root(phone: &Phone) -> Self {
        let builder = zbus::connection::Builder::address(phone.bus().address());
        Self::on(phone, builder.build().await.unwrap(), Rules::default()).await
    }

    pub(crate) async fn as_core(phone: &Phone) -> Self {
        Self::with(phone, Rules::default()).await
    }

    pub(crate) async fn with(phone: &Phone, rules: Rules) -> Self {
        Self::on(phone, phone.bus().connect_now(Some(core_uid(phone))).unwrap(), rules).await
    }

    async fn on(phone: &Phone, connection: Connection, rules: Rules) -> Self {
        let (bus, requests) = Bus::serve(&connection, rules, published()).await.unwrap();
        let bus = Arc::new(bus);
        let (tell, asked) = mpsc::unbounded_channel();
        tokio::spawn(core(bus.clone(), requests, tell));
        Self { bus, asked, client: phone.bus().connect_now(None).unwrap() }
    }

    pub(crate) async fn introspect(&self) -> String {
        let interface = "org.freedesktop.DBus.Introspectable";
        call(&self.client, interface, "Introspect", &()).await.unwrap().body().deserialize().unwrap()
    }

    /// The next thing that the core was asked.
    pub(crate) async fn next_asked(&mut self) -> String {
        tokio::time::timeout(HANG, self.asked.recv()).await.expect("the core is asked something").unwrap()
    }
}

pub(crate) fn published() -> Published {
    let number = PhoneNumber::from_e164(OWN).ok();
    let line = LineEntry { id: LineId("line-a".into()), number, sim: SimState::Home, enrolled: false, modem: None };
    Published { lines: vec![line], ..Published::default() }
}

pub(crate) fn id(n: u8) -> TextId {
    TextId([n; 16])
}

pub(crate) fn arrived(n: u8, text: &str) -> Arrived {
    Arrived {
        id: id(n),
        line: LineId("line-a".into()),
        from: Address("+491700000002".into()),
        body: Body(text.into()),
        bearer: Bearer::Im,
        sent: Timestamp(1_000),
        at: Timestamp(2_000),
        acknowledged: false,
    }
}

/// Answers everything plausibly, and notes it.
async fn core(bus: Arc<Bus>, mut requests: mpsc::Receiver<Request>, tell: mpsc::UnboundedSender<String>) {
    while let Some(request) = requests.recv().await {
        let note = match request {
            Request::Send { to, text, options, caller, reply } => {
                let _ = reply.send(if *text.0 == *"full" { Err(Error::Store("full")) } else { Ok(id(1)) });
                format!("send {} {} {:?} uid {}", to.0, text.0, options.token, caller.uid)
            }
            Request::Route { to, options, reply } => {
                let rules = if options.explain { vec![("switch", "off")] } else { vec![] };
                let answer = RouteAnswer {
                    bearer: Bearer::Sms,
                    reason: Reason::SwitchOff,
                    segments: None,
                    mark_segment: false,
                    lease_ends: None,
                    verified: false,
                    rules,
                };
                let _ = reply.send(Ok(answer));
                format!("route {}", to.0)
            }
            Request::Watch { to, reply, .. } => answer(reply, format!("watch {}", to.0)),
            Request::Unwatch { to, reply, .. } => answer(reply, format!("unwatch {}", to.0)),
            Request::List { reply, .. } => {
                let _ = reply.send(Ok(vec![id(1), id(2)]));
                "list".into()
            }
            Request::Get { id, reply } => {
                let record = Record::Incoming(Box::new(Arrived { id, ..arrived(0, "hello") }));
                let _ = reply.send(if id == self::id(2) { Ok(record) } else { Err(Error::NotFound("no such text")) });
                "get".into()
            }
            Request::Acknowledge { reply, .. } => answer(reply, "acknowledge".into()),
            Request::Delete { reply, .. } => answer(reply, "delete".into()),
            Request::Cancel { reply, .. } => {
                let _ = reply.send(Err(Error::TooLate("it was sent")));
                "cancel".into()
            }
            Request::Resolve { bearer, reply, .. } => answer(reply, format!("resolve {}", bearer.token())),
            Request::SetEnabled { on, consent, property, caller, reply } => {
                bus.publish(Published { enabled: on, ..bus.published() }, property.then_some("Enabled"));
                let consent = consent.map(|c| format!("{} {}", c.text, c.locale));
                answer(reply, format!("enabled {on} {consent:?} uid {}", caller.uid))
            }
            Request::SetSetting { setting, reply, .. } => {
                let now = bus.published();
                bus.publish(
                    Published { settings: Setting::applied(setting, now.settings), ..now },
                    Some(setting.property()),
                );
                answer(reply, format!("{setting:?}"))
            }
            Request::Diagnose { reply } => {
                let certificate = Some(Timestamp(7));
                let found = Diagnosis { certificate, epochs: "ab".into(), epoch: Some('b'), ..Diagnosis::default() };
                let _ = reply.send(Ok(found));
                "diagnose".into()
            }
            Request::Identity { reply } => {
                let _ = reply.send(Ok("a2V5".into()));
                "identity".into()
            }
            Request::Import { file, reply, .. } => answer(reply, format!("import {} bytes", file.len())),
            Request::Enrol { number, consent, caller, reply } => {
                let consent = consent.map(|c| format!("{} {}", c.text, c.locale));
                answer(reply, format!("enrol {:?} {consent:?} uid {}", number.map(|n| n.0), caller.uid))
            }
            Request::Withdraw { reply } => answer(reply, "withdraw".into()),
            Request::ConfirmEnrolment { code, reply } => answer(reply, format!("confirm {}", *code)),
            Request::Peers { reply } => {
                let _ = reply.send(Ok(vec![]));
                "peers".into()
            }
            Request::Unverified { reply } => {
                let (pseudonym, reason, at) = ("a".repeat(33), Refusal::OtherNumber, Timestamp(2_000));
                let _ = reply.send(Ok(vec![UnverifiedEntry { pseudonym, reason, times: 3, at }]));
                "unverified".into()
            }
            Request::SetPolicy { policy, reply, .. } => answer(reply, format!("policy {}", policy.token())),
            Request::Block { blocked, reply, .. } => answer(reply, format!("block {blocked}")),
            Request::SafetyNumber { reply, .. } => {
                let _ = reply.send(Ok("12345".repeat(12)));
                "safety number".into()
            }
            Request::Verify { verified, reply, .. } => answer(reply, format!("verify {verified}")),
            Request::Accept { number, reply, .. } => answer(reply, format!("accept {number}")),
            Request::SetContacts { numbers, reply } => answer(reply, format!("{} contacts", numbers.len())),
            Request::LedgerRead { since, reply } => {
                let _ = reply.send(Ok(vec![]));
                format!("ledger {}", since.0)
            }
            Request::LedgerTotals { reply } => {
                let _ = reply.send(Ok(vec![("frames".into(), 3)]));
                "totals".into()
            }
            Request::Export { part, reply } => {
                let (text, next) = match part {
                    ExportPart::About => ("{", Some(ExportPart::Outgoing(None))),
                    _ => ("}", None),
                };
                let _ = reply.send(Ok((text.to_owned().into(), next)));
                format!("export {part:?}")
            }
            Request::Divert { to, text, options, modem, diverted, reply, .. } => {
                let settled = Settlement { outcome: DoorOutcome::Im, reason: Reason::Online, id: Some(id(1)) };
                let _ = reply.send(match &*text.0 {
                    "sms" => Ok(Settlement::theirs(Reason::SwitchOff)),
                    "unknown" => Err(Error::Uncertain),
                    _ => Ok(settled),
                });
                let sms = (&diverted.object, &diverted.owner);
                format!("divert {} {} {:?} {modem:?} {sms:?}", to.0, text.0, options.token)
            }
            Request::Ask { to, modem, reply } => {
                let _ = reply.send(Ok(true));
                format!("ask {} {modem:?}", to.0)
            }
            Request::Sent { owner, reply } => {
                let _ = reply.send(Ok(vec![]));
                format!("sent {owner}")
            }
            Request::DeleteReport { id, reply } => answer(reply, format!("delete report {}", id.to_hex())),
            Request::Inbox { after, reply, .. } => {
                let _ = reply.send(Ok(Inbox { texts: vec![(7, arrived(2, "hello"))], more: true }));
                format!("inbox {after}")
            }
            Request::Twins { owner, reply, .. } => {
                let _ = reply.send(Ok(vec!["/SMS/3".into()]));
                format!("twins {owner}")
            }
            Request::Twin { from, text, reply, .. } => {
                let _ = reply.send(Ok((true, Body("hello".into()))));
                format!("twin {} {}", from.0, text.0)
            }
            Request::Incoming { sms, reply } => {
                let _ = reply.send(Ok((false, sms.body)));
                format!("incoming {}", sms.from.0)
            }
            Request::Report { report, reply } => answer(reply, format!("report {}", report.to.0)),
            Request::CallerGone { name } => format!("gone {name}"),
        };
        if tell.send(note).is_err() {
            return;
        }
    }
}

fn answer(reply: shunt::bus::Reply<()>, note: String) -> String {
    let _ = reply.send(Ok(()));
    note
}

/// Calls a method of the main object.
pub(crate) async fn call<B>(client: &Connection, interface: &str, method: &str, body: &B) -> Result<Message, Failure>
where
    B: serde::Serialize + zbus::DynamicType,
{
    let call = client.call_method(Some(SERVICE), PATH, Some(interface), method, body);
    match tokio::time::timeout(HANG, call).await.expect("an answer") {
        Ok(reply) => Ok(reply),
        Err(zbus::Error::MethodError(name, message, _)) => {
            Err(Failure { name: name.as_str().to_owned(), message: message.unwrap_or_default() })
        }
        Err(zbus::Error::FDO(error)) => {
            Err(Failure { name: zbus::DBusError::name(&*error).as_str().to_owned(), message: error.to_string() })
        }
        Err(other) => panic!("{method}: {other}"),
    }
}

/// A D-Bus error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == format!("org.shunt.Error.{name}") && !self.message.is_empty()
    }
}

pub(crate) fn none() -> HashMap<&'static str, Variant<'static>> {
    HashMap::new()
}

pub(crate) async fn set(client: &Connection, name: &str, value: impl Into<Variant<'_>>) -> Result<(), Failure> {
    call(client, PROPERTIES, "Set", &(SETTINGS, name, value.into())).await.map(drop)
}

pub(crate) async fn get(client: &Connection, interface: &str, name: &str) -> Result<OwnedVariant, Failure> {
    let reply = call(client, PROPERTIES, "Get", &(interface, name)).await?;
    Ok(reply.body().deserialize().unwrap())
}

/// A path of a text.
pub(crate) fn path(n: u8) -> zbus::OwnedObjectPath {
    format!("{PATH}/message/{}", id(n).to_hex()).try_into().unwrap()
}

/// The configuration's access section with lists only.
pub(crate) fn lists(toml: &str) -> Rules {
    shunt::config::Config::parse(toml).unwrap().access
}

/// A file with some content.
pub(crate) fn file(dir: &Path, content: &[u8]) -> std::fs::File {
    std::fs::write(dir.join("file"), content).unwrap();
    std::fs::File::open(dir.join("file")).unwrap()
}

/// Waits for something that must come.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
