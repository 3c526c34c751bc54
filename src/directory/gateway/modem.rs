//! A modem of the directory's own, through ModemManager: the same code as on phones.

use super::{Backend, GatewayError, Sms, serve};
use crate::model::{Address, Body, Line, LineId, PhoneNumber, SimState};
use crate::modem::modemmanager::{ModemManager, Options};
use crate::modem::{Modem, ModemError, ModemEvent, NewSms, Retry};
use crate::sys::forget::wipe_stack;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::LocalSet;

/// How long the bus, or a modem on it, is waited for.
const PAUSE: Duration = Duration::from_secs(5);

/// A code is worth nothing after that.
const VALIDITY_MINUTES: u32 = 10;

/// The bus and what is on it, found again when it is gone, and after each SMS: a connection goes on holding what it read
/// last, and that is the number and its code.
struct Modems {
    bus: Option<String>,
    found: Option<Found>,
}

struct Found {
    connection: zbus::Connection,
    modem: ModemManager,
    events: UnboundedReceiver<ModemEvent>,
    lines: HashMap<LineId, Line>,
}

/// On a thread of its own: nothing of the modem code may move between threads.
pub(super) fn start(bus: Option<String>, queue: mpsc::Receiver<Sms>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(wipe_stack).build()?;
    std::thread::Builder::new().name("modem".into()).spawn(move || {
        LocalSet::new().block_on(&runtime, async {
            let mut modems = Modems { bus, found: None };
            modems.idle().await;
            serve(modems, queue).await;
        });
    })?;
    Ok(())
}

async fn find(bus: Option<&str>) -> Result<Found, Box<dyn std::error::Error>> {
    let connection = match bus {
        Some(address) => zbus::connection::Builder::address(address).build().await?,
        None => zbus::Connection::system().await?,
    };
    let name = |iccid: &str| LineId(iccid.into());
    let (modem, events) = ModemManager::start(&connection, Options { enable: true }, std::rc::Rc::new(name)).await?;
    Ok(Found { connection, modem, events, lines: HashMap::new() })
}

impl Modems {
    /// A bus that was restarted leaves its old connection dead: it is asked before each SMS.
    async fn find(&mut self) {
        let alive = match &self.found {
            Some(found) => found.is_alive().await,
            None => false,
        };
        if !alive {
            self.found = None;
            match tokio::time::timeout(PAUSE, find(self.bus.as_deref())).await {
                Ok(Ok(found)) => self.found = Some(found),
                Ok(Err(error)) => log::error!("the SMS gateway has no ModemManager: {error}"),
                Err(_) => log::error!("the SMS gateway has no ModemManager: the bus does not answer"),
            }
        }
    }
}

impl Found {
    async fn is_alive(&self) -> bool {
        let ping = self.connection.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus.Peer"),
            "Ping",
            &(),
        );
        matches!(tokio::time::timeout(PAUSE, ping).await, Ok(Ok(_)))
    }

    fn note(&mut self, event: ModemEvent) {
        match event {
            ModemEvent::Line(line) => {
                self.lines.insert(line.id.clone(), line);
            }
            ModemEvent::LineGone(line) => {
                self.lines.remove(&line);
            }
            ModemEvent::Service { up: false } => self.lines.clear(),
            // Nobody reads what is sent to the gateway.
            ModemEvent::NoSim { .. }
            | ModemEvent::Received(_)
            | ModemEvent::Deleted(_)
            | ModemEvent::Report(_)
            | ModemEvent::Service { up: true } => {}
        }
    }

    fn note_all(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
        }
    }

    async fn send(self, line: LineId, sms: NewSms) -> Result<(), GatewayError> {
        let object = self.modem.create(&line, &sms).await.map_err(|error| told(&error))?;
        let sent = self.modem.send(&line, &object).await;
        if let Err(error) = self.modem.delete(&line, &object).await {
            log::warn!("an SMS of the gateway stays in ModemManager: {error}");
        }
        sent.map(drop).map_err(|error| told(&error))
    }

    /// Waits for a registered line: a modem may just have come.
    async fn line(&mut self) -> Result<LineId, GatewayError> {
        let registered = |line: &&Line| matches!(line.sim, SimState::Home | SimState::Roaming);
        loop {
            self.note_all();
            if let Some(line) = self.lines.values().find(registered) {
                return Ok(line.id.clone());
            }
            match tokio::time::timeout(PAUSE, self.events.recv()).await {
                Ok(Some(event)) => self.note(event),
                Ok(None) | Err(_) => {
                    return Err(GatewayError::Unavailable("no modem is registered on a network".into()));
                }
            }
        }
    }
}

impl Backend for Modems {
    const IDLE: Duration = Duration::from_secs(60);

    async fn send(&mut self, to: &PhoneNumber, text: &str) -> Result<(), GatewayError> {
        self.find().await;
        let none = || GatewayError::Unavailable("there is no ModemManager on the bus".into());
        let mut found = self.found.take().ok_or_else(none)?;
        let line = found.line().await?;
        let sms = NewSms {
            to: Address(to.as_e164().into()),
            body: Body(text.into()),
            report: false,
            validity_minutes: Some(VALIDITY_MINUTES),
        };
        // To its end, also when it takes longer than anybody waits: ModemManager is not to keep the number.
        let sent = tokio::task::spawn_local(found.send(line, sms));
        sent.await.unwrap_or(Err(GatewayError::Mute))
    }

    async fn idle(&mut self) {
        self.find().await;
        if let Some(found) = &mut self.found {
            found.note_all();
        }
    }
}

/// The modem's errors hold no number.
fn told(error: &ModemError) -> GatewayError {
    match error.retry() {
        Retry::Never(_) => GatewayError::Refused(error.to_string()),
        Retry::Later(_) => GatewayError::Unavailable(error.to_string()),
        Retry::Unknown(_) => GatewayError::Mute,
    }
}
