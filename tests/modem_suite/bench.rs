//! What a modem backend is tried on: the trait, its events, and a hand on the simulated modem.

use shunt::model::{Address, Body, Line, LineId, SimState};
use shunt::modem::{IncomingSms, Modem, ModemError, ModemEvent, NewSms, Sent, SmsObject, StatusReport};
use shunt_kit::phone::PhoneBuilder;
use shunt_kit::{Phone, Smsc};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const ALICE: &str = "+4915112345601";
pub(crate) const BOB: &str = "+4915112345602";

/// Nothing here waits this long unless it hangs.
const HANG: Duration = Duration::from_secs(60);

/// By what the outcome of an issued `send` is proven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing.
    None,
    /// The object's name alone, which no other ever has.
    Name,
    /// The object's owner, number and text.
    Text,
}

/// A modem service and the backend for it.
pub(crate) trait Service {
    type Backend: Modem;
    /// What else of the service runs in the test.
    type Rest;

    /// Whether characters beyond UCS-2 survive.
    const EMOJI: bool;
    /// What its objects prove.
    const PROOF: Proof;
    /// Whether it keeps what came in until somebody deletes it.
    const KEEPS: bool;
    /// Whether it goes on listing a modem whose port is lost.
    const LISTS_LOST: bool;
    /// Whether it counts as there while no SIM is.
    const UP_WITHOUT_SIM: bool;

    /// Puts the service on a phone.
    fn on(phone: PhoneBuilder) -> PhoneBuilder {
        phone
    }

    /// Starts the backend on a connection of its own, as in the core.
    async fn backend(phone: &Phone) -> (Self::Backend, UnboundedReceiver<ModemEvent>, Self::Rest);

    /// Ends the service as a crash does.
    async fn stop(phone: &mut Phone, _rest: &mut Self::Rest) {
        phone.stop_modem_service().await;
    }

    /// Ends the service as a crash does, if it is there, and starts it.
    async fn restart(phone: &mut Phone, _rest: &mut Self::Rest) {
        phone.restart_modem_service().await.unwrap();
    }
}

/// A phone with a modem service, and the backend under test on its bus.
pub(crate) struct Bench<S: Service> {
    pub(crate) smsc: Smsc,
    pub(crate) phone: Phone,
    pub(crate) modem: S::Backend,
    pub(crate) rest: S::Rest,
    events: UnboundedReceiver<ModemEvent>,
    /// Events that came while others were waited for.
    passed: Vec<ModemEvent>,
}

impl<S: Service> Bench<S> {
    /// Alice's phone, its modem registered, the backend started after it.
    pub(crate) async fn new() -> Self {
        Self::with(|phone| phone).await
    }

    /// The same with a phone put together otherwise.
    pub(crate) async fn with(change: impl FnOnce(PhoneBuilder) -> PhoneBuilder) -> Self {
        let smsc = Smsc::new();
        let phone = change(S::on(Phone::builder(&smsc, ALICE))).start().await.unwrap();
        Self::on(smsc, phone).await
    }

    /// The backend started on a phone that is there.
    pub(crate) async fn on(smsc: Smsc, phone: Phone) -> Self {
        let parts = S::backend(&phone).await;
        Self::of(smsc, phone, parts)
    }

    pub(crate) fn of(
        smsc: Smsc,
        phone: Phone,
        (modem, events, rest): (S::Backend, UnboundedReceiver<ModemEvent>, S::Rest),
    ) -> Self {
        Self { smsc, phone, modem, rest, events, passed: Vec::new() }
    }

    /// Ends the service as a crash does, if it is there, and starts it.
    pub(crate) async fn restart(&mut self) {
        S::restart(&mut self.phone, &mut self.rest).await;
    }

    /// The first event that fits; those before it are kept for later questions.
    pub(crate) async fn event<T>(&mut self, what: &str, fits: impl Fn(&ModemEvent) -> Option<T>) -> T {
        if let Some(at) = self.passed.iter().position(|event| fits(event).is_some()) {
            return fits(&self.passed.remove(at)).unwrap();
        }
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the backend ended");
                match fits(&event) {
                    Some(found) => return found,
                    None => self.passed.push(event),
                }
            }
        };
        match tokio::time::timeout(HANG, wait).await {
            Ok(found) => found,
            Err(_elapsed) => panic!("waited in vain for {what}; what came: {:?}", self.passed),
        }
    }

    /// All that was told and not asked for so far.
    pub(crate) fn unasked(&mut self) -> Vec<ModemEvent> {
        while let Ok(event) = self.events.try_recv() {
            self.passed.push(event);
        }
        std::mem::take(&mut self.passed)
    }

    /// Waits for a line that is as told.
    pub(crate) async fn line_where(&mut self, what: &str, fits: impl Fn(&Line) -> bool) -> Line {
        self.event(what, |event| match event {
            ModemEvent::Line(line) if fits(line) => Some(line.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the line to be registered at home.
    pub(crate) async fn line(&mut self) -> LineId {
        self.line_where("the line", |line| line.sim == SimState::Home).await.id
    }

    pub(crate) async fn received(&mut self) -> IncomingSms {
        self.event("an SMS", |event| match event {
            ModemEvent::Received(sms) => Some(sms.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn report(&mut self) -> StatusReport {
        self.event("a status report", |event| match event {
            ModemEvent::Report(report) => Some(report.clone()),
            _ => None,
        })
        .await
    }

    /// Makes an SMS to Bob and sends it.
    pub(crate) async fn text(&self, line: &LineId, text: &str) -> Result<(SmsObject, Sent), ModemError> {
        let sms = self.modem.create(line, &to_bob(text)).await?;
        let sent = self.modem.send(line, &sms).await?;
        Ok((sms, sent))
    }
}

/// Those texts that a service can express.
pub(crate) fn expressible<'t, S: Service>(texts: &[&'t str]) -> Vec<&'t str> {
    texts.iter().copied().filter(|text| S::EMOJI || text.chars().all(|c| c <= '\u{ffff}')).collect()
}

/// An SMS to Bob.
pub(crate) fn to_bob(text: &str) -> NewSms {
    NewSms { to: Address(BOB.into()), body: Body(text.into()), report: false, validity_minutes: None }
}

/// The line's name, as the core would digest it.
pub(crate) fn name(iccid: &str) -> LineId {
    LineId(format!("line-{}", iccid.len()).into())
}

/// Runs a test on one thread, as the core runs.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}
