//! oFono (1.31 and later) over D-Bus: a line per SIM.
//!
//! What differs from ModemManager, and what follows from it (all measured on 1.31):
//! - **One call sends.** `SendMessage` queues and answers with a message object, which says its state
//!   alone, neither number nor text, and is gone with its end. So `create` only checks and keeps the SMS
//!   here, and after a restart nothing can be proven of an issued `send`.
//! - **oFono repeats by itself.** After a network time-out or a plain ERROR it tries three times more, 5, 10
//!   and 15 s later; while the modem is unregistered or gone it keeps the text, on disk too, and sends it
//!   when the modem is back. So `pending` proves nothing, and neither does `failed`: it stands for
//!   any CMS error without its code, 500 ("unknown") included. Therefore a modem without network is not handed
//!   a text at all, and one still pending when our patience ends is taken back with `Cancel`, lest it leave hours
//!   after the user was told that its fate is unknown. `Cancel` is granted only where no part was
//!   acknowledged and none is with the modem; an attempt before it may have left unanswered all the same.
//! - **UCS-2 only.** Characters beyond U+FFFF (most emoji) cannot be sent, and arrive cut to 16 bits.
//! - **No validity period, no status reports** on D-Bus: both wishes are passed over.
//! - **No SIM looks like one not read yet**, so only a modem that has shown none for half a minute counts as without.
//! - **Incoming texts are signals.** oFono acknowledges them to the network and keeps none: there is
//!   nothing to list or delete, and one that comes while nobody listens, or just before a crash, is lost to us.

mod bus;
mod line;
mod reading;
mod watch;

use super::{
    IncomingSms, Modem, ModemError, ModemEvent, NameLine, NewSms, Outcome, Sent, SmsObject,
    bus::{PROMPT, Place},
    failure,
    follow::Follower,
};
use crate::model::{Address, Body, LineId, Segments};
use bus::{MESSAGE, MESSAGES};
use futures_util::StreamExt;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};
use tokio::sync::mpsc;
use watch::{Seat, Watch};
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, message::Type};

/// The backend. It works while this is held; dropping it ends its tasks.
pub struct Ofono {
    watch: Rc<Watch>,
    tasks: [tokio::task::JoinHandle<()>; 2],
    /// SMS that were made and not sent yet.
    made: RefCell<HashMap<Box<str>, NewSms>>,
    count: Cell<u64>,
}

impl Ofono {
    /// Starts to watch oFono on a bus. Must be called within a `LocalSet`. The first event says
    /// whether the service is there; its lines follow.
    pub async fn start(
        connection: &Connection,
        name: NameLine,
    ) -> Result<(Self, mpsc::UnboundedReceiver<ModemEvent>), ModemError> {
        let (events, receiver) = mpsc::unbounded_channel();
        let (watch, tasks) = Watch::start(connection, name, events).await?;
        Ok((Self { watch, tasks, made: RefCell::default(), count: Cell::default() }, receiver))
    }

    /// The owner of the name now.
    pub(super) fn owner(&self) -> Option<Box<str>> {
        self.watch.owner()
    }

    /// Whether it has this line.
    pub(super) fn has(&self, line: &LineId) -> bool {
        self.watch.seat(line).is_some()
    }

    fn place<'a>(&'a self, seat: &'a Seat, path: &'a str) -> Place<'a> {
        Place { connection: &self.watch.connection, owner: &seat.owner, path }
    }

    /// A name that no other life of ours gave: the unique name on the bus is new each time.
    fn name(&self, seat: &Seat) -> Box<str> {
        self.count.set(self.count.get() + 1);
        let ours = self.watch.connection.unique_name().map_or("", |name| name.as_str());
        let ours = ours.trim_start_matches(':').replace('.', "_");
        format!("{}/shunt_{ours}_{}", seat.modem, self.count.get()).into()
    }

    /// Waits for a queued message's end.
    async fn ended(changes: &mut MessageStream, path: &str) -> Result<Sent, ModemError> {
        while let Some(Ok(change)) = changes.next().await {
            if change.header().path().is_none_or(|changed| changed.as_str() != path) {
                continue;
            }
            let body = change.body();
            let Ok((property, value)) = body.deserialize::<(&str, OwnedVariant)>() else { continue };
            match (property, value.downcast_ref::<&str>()) {
                ("State", Ok("sent")) => return Ok(Sent::default()),
                ("State", Ok("failed")) => return Err(ModemError::Unclear("failed, and oFono tells no reason".into())),
                ("State", Ok("cancelled")) => return Err(ModemError::Unclear("somebody cancelled it".into())),
                _ => {}
            }
        }
        Err(ModemError::Lost)
    }
}

impl Drop for Ofono {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Modem for Ofono {
    async fn create(&self, line: &LineId, sms: &NewSms) -> Result<SmsObject, ModemError> {
        let seat = self.watch.seat(line).ok_or(ModemError::NoModem)?;
        if sms.to.dialable().is_none() || sms.body.0.chars().any(|c| c > '\u{ffff}') {
            return Err(ModemError::NotSendable);
        }
        if Segments::of(&sms.body.0).too_long() {
            return Err(ModemError::TooLong);
        }
        let object = self.name(&seat);
        self.made.borrow_mut().insert(object.clone(), sms.clone());
        Ok(SmsObject { object, owner: seat.owner })
    }

    async fn send(&self, line: &LineId, sms: &SmsObject) -> Result<Sent, ModemError> {
        // Until SendMessage is called nothing leaves, so here no failure is of unknown outcome.
        let new = self.made.borrow_mut().remove(&sms.object).ok_or(ModemError::Gone)?;
        let seat = self.watch.seat(line).ok_or(ModemError::NoModem)?;
        if seat.owner != sms.owner {
            return Err(ModemError::Gone);
        }
        if !seat.texting || !self.watch.registered(&seat).await.map_err(|_| ModemError::Gone)? {
            return Err(ModemError::NoNetwork);
        }
        let to = new.to.dialable().ok_or(ModemError::NotSendable)?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(&*seat.owner)
            .interface(MESSAGE)
            .member("PropertyChanged")
            .build();
        let rule = rule.map_err(|_| ModemError::Gone)?;
        let changes = MessageStream::for_match_rule(rule, &self.watch.connection, None).await;
        let mut changes = changes.map_err(|_| ModemError::Gone)?;

        let modem = self.place(&seat, &seat.modem);
        let answer = modem.call(MESSAGES, "SendMessage", &(&*to, &*new.body.0), PROMPT).await?;
        let path: OwnedObjectPath = answer.body().deserialize().map_err(|error| failure::read(&error))?;
        let limit = super::patience(&new.body.0);
        tokio::select! {
            // What the modem said before it left counts.
            biased;
            ended = tokio::time::timeout(limit, Self::ended(&mut changes, path.as_str())) => match ended {
                Ok(ended) => ended,
                Err(_elapsed) => {
                    // Refused, or late: then oFono goes on by itself. Either way the fate is unknown.
                    let _unknown = self.place(&seat, path.as_str()).call(MESSAGE, "Cancel", &(), PROMPT).await;
                    Err(ModemError::Mute)
                }
            },
            () = self.watch.unseated(line, &seat) => Err(ModemError::Lost),
        }
    }

    /// oFono's objects name neither number nor text, and a sent one is gone.
    async fn outcome(&self, _line: &LineId, _sms: &SmsObject, _to: &Address, _body: &Body) -> Outcome {
        Outcome::Unknown
    }

    /// Forgets one that was made and not sent; oFono keeps no others.
    async fn delete(&self, _line: &LineId, sms: &SmsObject) -> Result<(), ModemError> {
        self.made.borrow_mut().remove(&sms.object);
        Ok(())
    }

    /// Empty: oFono hands over what comes in, and keeps none.
    async fn list(&self, line: &LineId) -> Result<Vec<IncomingSms>, ModemError> {
        self.watch.seat(line).map(|_| Vec::new()).ok_or(ModemError::NoModem)
    }
}
