//! The loop: one event a turn, one transaction a turn, then the effects.

use super::Core;
use super::event::Event;
use super::jobs;
use super::ledger::entries;
use super::turn::{Effect, ModemJob, Turn};
use super::wire::Wall;
use crate::bus::{Bus, Reply, Request, SendOptions, Settlement, Sleep};
use crate::model::{Address, Body, Instant, Reason, TextId};
use crate::modem::{Modem, ModemEvent};
use crate::router::SwitchInput;
use crate::store::{OnMark, Store, StoreError, Unusable};
use crate::sys::{control, now, unmap_unused, warden};
use crate::wall::FromUplink;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Frames from the uplink that may wait for the core; then the uplink waits.
const RECEIVED: usize = 64;
/// With nothing to do for so long, what ran last won't be run again soon. Costs one wake-up after each burst.
const QUIET: Duration = Duration::from_secs(5);
/// How often an unusable store is looked at again where nothing else happens.
const LOOK_UNASKED: Duration = Duration::from_secs(60);

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// SIGTERM.
    #[error("asked to end")]
    Asked,
    /// The bus went away.
    #[error("the bus is gone; init starts the set again")]
    BusLost,
    /// The warden went away.
    #[error(transparent)]
    Warden(#[from] warden::WardenError),
    /// The store that could not be used can be used now.
    #[error("the store can be used again; init starts the set again")]
    StoreBack,
}

/// Opens a store; `None` where only a new start can.
pub(super) type Reopen = Rc<dyn Fn() -> Result<Option<Store>, Unusable>>;

/// The core with everything that it acts through.
pub(super) struct Daemon<M> {
    pub(super) core: Core,
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) modem: Rc<M>,
    pub(super) warden: warden::WardenHandle,
    /// Opens the store that was in use.
    pub(super) own: Option<Reopen>,
    /// Opens a store that could not be used, where waiting may help.
    pub(super) reopen: Option<Reopen>,
    pub(super) looked: Instant,
    /// Without it the switch counts as off.
    pub(super) mark: OnMark,
    /// This turn's Off lasts, whatever becomes of the store.
    pub(super) off_lasts: bool,
    pub(super) purged: Option<Instant>,
    pub(super) wall: Option<Wall>,
    pub(super) lives: u64,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) received: mpsc::Sender<(u64, Option<FromUplink>)>,
    sleep: Sleep,
}

/// What the loop listens to.
pub(super) struct Inputs {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) modem: mpsc::UnboundedReceiver<ModemEvent>,
    pub(super) metered: mpsc::UnboundedReceiver<bool>,
    sleep: mpsc::UnboundedReceiver<bool>,
    events: mpsc::UnboundedReceiver<Event>,
    received: mpsc::Receiver<(u64, Option<FromUplink>)>,
}

impl<M: Modem + 'static> Daemon<M> {
    pub(super) fn new(
        core: Core,
        (store, mark): (Store, OnMark),
        (bus, requests): (Bus, mpsc::Receiver<Request>),
        (modem, modem_events): (M, mpsc::UnboundedReceiver<ModemEvent>),
        metered: mpsc::UnboundedReceiver<bool>,
        warden: warden::WardenHandle,
        (sleep, sleep_told): (Sleep, mpsc::UnboundedReceiver<bool>),
    ) -> (Self, Inputs) {
        let (events, to_loop) = mpsc::unbounded_channel();
        let (received, from_wall) = mpsc::channel(RECEIVED);
        let daemon = Self {
            core,
            store,
            bus,
            modem: Rc::new(modem),
            warden,
            own: None,
            reopen: None,
            looked: now().mono,
            mark,
            off_lasts: false,
            purged: None,
            wall: None,
            lives: 0,
            events,
            received,
            sleep,
        };
        let (modem, sleep) = (modem_events, sleep_told);
        (daemon, Inputs { requests, modem, metered, sleep, events: to_loop, received: from_wall })
    }

    /// Runs until something ends it.
    pub(super) async fn run(&mut self, mut inputs: Inputs) -> Ended {
        let mut term = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(term) => term,
            Err(error) => return Ended::Warden(error.into()),
        };
        self.turn(Event::Tick);
        let mut leaving = false;
        let mut stirred = Some(now().mono);
        loop {
            let quiet = stirred.map(|at| at.plus(QUIET));
            let unusable = self.reopen.as_ref().map(|_| self.looked.plus(LOOK_UNASKED));
            let deadline = self.core.deadline().into_iter().chain(unusable).min();
            let event = tokio::select! {
                Some(request) = inputs.requests.recv() => Event::Request(Box::new(request)),
                Some(event) = inputs.events.recv() => event,
                Some((life, frame)) = inputs.received.recv() => match self.judged(life, frame) {
                    Some(event) => event,
                    None => continue,
                },
                Some(event) = inputs.modem.recv() => Event::Modem(event),
                Some(metered) = inputs.metered.recv() => Event::Metered(metered),
                Some(sleeps) = inputs.sleep.recv() => Event::Sleep(sleeps),
                event = self.warden.event() => match event {
                    Ok(warden::Event::Stopped | warden::Event::Died(_)) if leaving => return Ended::Asked,
                    Ok(event) => self.warden_event(event),
                    Err(error) => return error.into(),
                },
                () = sleep_until(deadline) => Event::Tick,
                () = sleep_until(quiet) => {
                    unmap_unused();
                    stirred = None;
                    continue;
                }
                () = self.bus.lost() => return Ended::BusLost,
                // A second SIGTERM, or no uplink that could take leave: the warden kills one that takes a second for it.
                _ = term.recv() => match self.wall {
                    Some(_) if !leaving => {
                        leaving = true;
                        Event::Leave
                    }
                    _ => return Ended::Asked,
                },
            };
            self.turn(event);
            stirred = Some(now().mono);
            if self.store_is_back() {
                return Ended::StoreBack;
            }
        }
    }

    /// One turn.
    pub(super) fn turn(&mut self, event: Event) {
        let now = now();
        self.off_lasts = false;
        let event = match event {
            // The icon: answered from memory, without a transaction.
            Event::Request(request) => match *request {
                Request::Route { to, options, reply } if !self.core.peers.may_be_unreadable() => {
                    // A caller that left needs no answer.
                    let _left = reply.send(self.core.route_answer(now, &to, &options));
                    return;
                }
                Request::Ask { to, modem, reply } if !self.core.peers.may_be_unreadable() => {
                    // A caller that left needs no answer.
                    let _left = reply.send(self.core.worth_diverting(now, &to, modem.as_deref()));
                    return;
                }
                Request::Divert { to, modem, reply, .. } if self.core.is_emergency_in(&to, modem.as_deref()) => {
                    // A caller that left needs no answer.
                    let _left = reply.send(Ok(Settlement::theirs(Reason::Emergency)));
                    return;
                }
                Request::Send { to, text, options, reply, .. } if self.core.is_emergency(&to, &options) => {
                    return self.emergency(to, text, options, reply);
                }
                request => match self.mark_switch(request) {
                    Some(request) => Event::Request(Box::new(request)),
                    None => return,
                },
            },
            event => event,
        };
        let sent = matches!(event, Event::Sms(..));
        let written = if let Event::Request(request) = &event { request.writes() } else { None };
        let core = &mut self.core;
        core.bound_sessions();
        let mut effects = Vec::new();
        let committed = self.store.transaction(|tx| {
            let mut turn = Turn::new(tx, now);
            core.handle(&mut turn, event)?;
            core.withdrawal_step(&mut turn)?;
            core.refresh_watches(&mut turn);
            core.keep_sessions(&mut turn)?;
            let ledger = entries(&turn);
            effects = turn.effects;
            for write in turn.writes {
                write(tx)?;
            }
            if ledger.is_empty() { Ok(()) } else { tx.ledger_append(&ledger) }
        });
        match committed {
            Ok(()) => {
                if self.core.degraded.is_none() {
                    self.core.unkept.clear();
                }
                effects.sort_by_key(Effect::rank);
                effects.into_iter().for_each(|effect| self.perform(effect));
                // Who waits for an answer goes on only when this turn is over.
                self.bus.publish(self.core.published(), written);
            }
            // Its turn of its own publishes.
            Err(error) => self.degrade(error, effects),
        }
        // While the switch is off there is nobody to take leave of.
        self.sleep.want(self.core.enabled);
        self.purge(now.mono);
        // An outcome has a reference in it, which an early report may have named.
        let reports = if sent { std::mem::take(&mut self.core.early_reports) } else { Vec::new() };
        for report in reports {
            self.turn(Event::Modem(ModemEvent::Report(report)));
        }
        for request in self.core.early() {
            self.turn(Event::Request(Box::new(request)));
        }
    }

    /// An emergency text goes to the modem before the store, the switch or any queue could delay it;
    /// then it is recorded like any other.
    fn emergency(&mut self, to: Address, body: Body, options: SendOptions, reply: Reply<TextId>) {
        match self.core.emergency_text(now().wall, to, body, options) {
            Ok(text) => {
                let sms = Core::new_sms(&text, false);
                self.modem_job(ModemJob::Now { id: text.id, line: text.line.clone(), sms });
                // A caller that left needs no answer.
                let _left = reply.send(Ok(text.id));
                self.turn(Event::Emergency(Box::new(text)));
            }
            // A caller that left needs no answer.
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Frame(frame) => self.write_frame(frame),
            Effect::Answer(answer) => answer(),
            Effect::Promise(answer) => answer(self.lasting()),
            Effect::Changed(text) => self.bus.changed(&text),
            Effect::Deleted(texts) => self.bus.deleted(texts.take()),
            Effect::ReportDeleted(text) => self.bus.settled(&text),
            Effect::Received(arrived) => self.bus.received(&arrived),
            Effect::Ask(id, question) => self.bus.decision_needed(id, question),
            Effect::Route(to, bearer, reason) => self.bus.route_changed(&to, bearer, reason),
            Effect::IdentityChanged(peer) => self.bus.identity_changed(&peer),
            Effect::Modem(job) => self.modem_job(job),
            Effect::Compute(job) => {
                let events = self.events.clone();
                // The loop ends before its channel: nobody waits then.
                tokio::task::spawn_blocking(move || drop(events.send(job())));
            }
            Effect::Compact(reply) => match (self.lasting(), reply) {
                // Nothing was wiped.
                (Err(error), Some(reply)) => drop(reply.send(Err(error))),
                (_, reply) => self.compact(reply),
            },
            Effect::LetSleep => self.sleep.let_sleep(),
            Effect::StartUplink => self.ask_warden(control::Request::Start),
            Effect::StopUplink => {
                self.wall = None;
                self.ask_warden(control::Request::Stop);
            }
        }
    }

    fn ask_warden(&mut self, request: control::Request) {
        if let Err(error) = self.warden.request(request) {
            log::error!("{error}");
        }
    }

    fn modem_job(&mut self, job: ModemJob) {
        jobs::start(self.modem.clone(), self.events.clone(), job);
    }
}

impl Core {
    fn handle(&mut self, turn: &mut Turn<'_, '_>, event: Event) -> Result<(), StoreError> {
        match event {
            Event::Modem(event) => self.modem_event(turn, event),
            Event::Metered(metered) => {
                self.metered = metered;
                self.refresh_conditions(turn)
            }
            Event::Sms(id, outcome) => self.route(turn, crate::router::Input::Sms(id, outcome)),
            Event::Request(request) => match *request {
                // Texts of an earlier life go first; who hands one over and leaves does both after them. Which twins
                // the modem has is known by then too.
                request @ (Request::Send { .. }
                | Request::Divert { .. }
                | Request::Twins { .. }
                | Request::CallerGone { .. })
                    if self.restore_by.is_some() =>
                {
                    self.early.push(request);
                    Ok(())
                }
                request => self.request_came(turn, request),
            },
            Event::Emergency(text) => self.emergency_begun(turn, *text),
            Event::Wall(frame) => self.uplink_said(turn, *frame),
            Event::WallClosed => self.wall_closed(turn),
            Event::UplinkStarted => self.uplink_started(turn),
            Event::Warden(event) => self.warden_event(turn, &event),
            Event::Pseudonym(peer, result) => self.pseudonym_found(turn, peer, result),
            Event::Proof(stranger, number) => self.stranger_checked(turn, *stranger, number),
            Event::Enrolled(session, file, checked) => self.enrolled(turn, session, *file, &checked),
            Event::Account(import, checked) => self.account_checked(turn, *import, &checked),
            Event::Degraded => self.switch_event(turn, SwitchInput::Set(false)),
            Event::Sleep(sleeps) => self.sleep_told(turn, sleeps),
            Event::Leave => {
                self.leave(turn);
                Ok(())
            }
            Event::Tick => self.tick(turn),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(now().mono)).await,
        None => std::future::pending().await,
    }
}
