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

/// Until the bus or ModemManager is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// A code is worth nothing after that.
const VALIDITY_MINUTES: u32 = 10;

struct Modems {
    modem: ModemManager,
    events: UnboundedReceiver<ModemEvent>,
    lines: HashMap<LineId, Line>,
}

/// On a thread of its own: nothing of the modem code may move between threads.
pub(super) fn start(bus: Option<String>, queue: mpsc::Receiver<Sms>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(wipe_stack).build()?;
    std::thread::Builder::new().name("modem".into()).spawn(move || {
        LocalSet::new().block_on(&runtime, async {
            let modems = loop {
                match connect(bus.as_deref()).await {
                    Ok(modems) => break modems,
                    Err(error) => log::error!("the SMS gateway has no ModemManager: {error}"),
                }
                tokio::time::sleep(PAUSE).await;
            };
            serve(modems, queue).await;
        });
    })?;
    Ok(())
}

async fn connect(bus: Option<&str>) -> Result<Modems, Box<dyn std::error::Error>> {
    let connection = match bus {
        Some(address) => zbus::connection::Builder::address(address).build().await?,
        None => zbus::Connection::system().await?,
    };
    let name = |iccid: &str| LineId(iccid.into());
    let (modem, events) = ModemManager::start(&connection, Options { enable: true }, std::rc::Rc::new(name)).await?;
    Ok(Modems { modem, events, lines: HashMap::new() })
}

impl Modems {
    fn note(&mut self, event: ModemEvent) {
        match event {
            ModemEvent::Line(line) => {
                self.lines.insert(line.id.clone(), line);
            }
            ModemEvent::LineGone(line) => {
                self.lines.remove(&line);
            }
            // Nobody reads what is sent to the gateway.
            ModemEvent::NoSim | ModemEvent::Received(_) | ModemEvent::Report(_) | ModemEvent::Service { .. } => {}
        }
    }

    /// Waits for a registered line: a modem may just have come.
    async fn line(&mut self) -> Result<LineId, GatewayError> {
        let registered = |line: &&Line| matches!(line.sim, SimState::Home | SimState::Roaming);
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.note(event);
            }
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
        let line = self.line().await?;
        let sms = NewSms {
            to: Address(to.as_e164().into()),
            body: Body(text.into()),
            report: false,
            validity_minutes: Some(VALIDITY_MINUTES),
        };
        let object = self.modem.create(&line, &sms).await.map_err(|error| told(&error))?;
        let sent = self.modem.send(&line, &object).await;
        // Whatever became of it: ModemManager is not to keep the number.
        if let Err(error) = self.modem.delete(&line, &object).await {
            log::warn!("an SMS of the gateway stays in ModemManager: {error}");
        }
        sent.map(drop).map_err(|error| told(&error))
    }

    async fn idle(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
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
