//! The core: it holds modem, bus, store, keys and router, and no network socket.
//!
//! One loop takes one [`Event`](event::Event) at a time. Each is a *turn*: one transaction in which
//! the store is read, the router decides and everything is written; then, after the commit, the
//! turn's effects. What waits (the modem, the bus, hashing) runs beside the loop and comes back as
//! an event.
//!
//! | file | topic |
//! | --- | --- |
//! | `driver` | the loop, transactions, effects |
//! | `storage` | what lasts, and what happens when the store fails |
//! | `start` | the process's entry |
//! | `requests`, `send`, `watches`, `listing` | what is asked over D-Bus |
//! | `sms`, `jobs` | SMS both ways, addresses; what the modem is asked to do |
//! | `lines` | the lines, and which has the account's number |
//! | `door` | texts that apps wrote to the modem service, and what their doors ask |
//! | `reach`, `evaluate`, `outbox`, `inbox` | peers: finding them, letters out, letters in |
//! | `link` | the switch, the uplink and the link |
//! | `rest` | sleep and waking |
//! | `ledger` | what left for the uplink |
//! | `diagnosis` | what is told of the daemon's own health |
//! | `export` | all that is held about the user |
//! | `wire` | the wall's end in the loop |
//! | `enrol`, `ended`, `own`, `secret`, `withdraw` | how the phone gets its account, keeps it and ends it |
//! | `account`, `peers`, `contacts` | what is kept about us and others |
//! | `roots` | what the config's cloud is trusted by |
//! | `trust` | safety numbers, and keys that change |

mod account;
mod contacts;
mod diagnosis;
mod door;
mod driver;
mod ended;
mod enrol;
mod enrolment;
mod evaluate;
mod event;
mod export;
mod inbox;
mod jobs;
#[cfg(feature = "leak")]
mod leak;
mod ledger;
mod lines;
mod link;
mod listing;
mod outbox;
mod own;
mod peers;
mod reach;
mod requests;
mod rest;
mod roots;
mod secret;
mod send;
mod sms;
mod start;
mod storage;
mod strangers;
mod trust;
mod turn;
mod unverified;
mod watches;
mod wire;
mod withdraw;

pub use start::{Args, run};

use crate::bus::Request;
use crate::config::Config;
use crate::model::{
    Address, Arrived, Instant, Line, LineId, PhoneNumber, Settings, State, Switched, TextId, Timestamp,
};
use crate::router::{Action, Granting, Input, Rest, Router, Step, Switch};
use crate::seal::{AccountFile, Identity, Session};
use crate::store::{NetworkTotals, PeerRecord, StoreError};
use crate::wall::{Counters, RequestId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use turn::{Effect, ModemJob, Turn};

/// Everything that the core knows between turns.
pub(crate) struct Core {
    config: Config,
    roots: roots::Roots,
    /// Why the store cannot be used, if so: then SMS passes and the switch counts as off.
    degraded: Option<&'static str>,
    confinement: Vec<String>,
    uplink_lacks: Vec<String>,

    enabled: bool,
    switched: Option<Switched>,
    settings: Settings,
    switch: Switch,
    router: Router,
    granting: Granting,
    rest: Rest,
    /// The ping whose answer sleep, or the first lease after it, waits for.
    rest_ping: Option<RequestId>,
    metered: bool,

    lines: BTreeMap<LineId, Line>,
    account: Option<AccountFile>,
    account_lines: lines::AccountLines,
    enrolment: Option<enrolment::Enrolment>,
    /// Why there is no account, where there is a reason.
    ended: Option<ended::Ended>,
    own: own::Own,
    secrets: secret::Secrets,
    withdrawal: Option<withdraw::Withdrawal>,
    identity: Option<Identity>,
    peers: peers::Peers,
    contacts: contacts::Contacts,
    sessions: HashMap<PhoneNumber, Vec<Session>>,
    strangers: strangers::Strangers,
    unverified: unverified::Unverified,
    reaching: reach::Reaching,
    evaluating: evaluate::Evaluating,
    watches: HashMap<PhoneNumber, watches::Watch>,
    doors: door::Doors,

    /// An uplink is there and may be written to.
    wall_open: bool,
    /// The uplink is bound to the server.
    link_up: bool,
    last_request: u64,
    /// Envelopes that may come back.
    sends: outbox::Sends,
    /// By when the uplink must have answered what it can answer by itself.
    answers_due: BTreeMap<RequestId, Instant>,
    /// What the uplinks before this one counted, and what this one has so far.
    network: NetworkTotals,
    counters: Counters,
    published_at: Option<Timestamp>,

    /// Until the texts of an earlier life are taken up: by when, at the latest, and what waits for it.
    restore_by: Option<Instant>,
    /// What the stored switch asks for, to be done in the first turn.
    first_step: Option<Step>,
    /// The emergency text that the modem has already.
    begun: Option<TextId>,
    early: Vec<Request>,
    /// Status reports of texts whose outcome the modem service has not told yet.
    early_reports: Vec<crate::modem::StatusReport>,
    /// SMS that the modem service keeps, and which texts of ours they became.
    in_modem: HashMap<crate::modem::SmsObject, TextId>,
    /// SMS that were shown and that no lasting store knows of, each with what it is told by.
    unkept: Vec<(Vec<u8>, Arrived)>,
}

impl Core {
    /// Feeds the router and carries out what it says.
    fn route(&mut self, turn: &mut Turn<'_, '_>, input: Input) -> Result<(), StoreError> {
        let actions = self.router.handle(turn.now, input);
        self.carry_out(turn, actions)
    }

    fn carry_out(&mut self, turn: &mut Turn<'_, '_>, actions: Vec<Action>) -> Result<(), StoreError> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                // The first time it was on its way before it came here.
                Action::SmsNow(text) if self.begun.take() == Some(text.id) => {}
                Action::SmsNow(text) => {
                    let job = ModemJob::Now { id: text.id, line: text.line.clone(), sms: Self::new_sms(&text, false) };
                    turn.effects.insert(0, Effect::Modem(job));
                }
                Action::Save(text) if text.state == State::Released => {
                    let at = turn.now.wall;
                    turn.write(move |tx| tx.release(&text, at));
                }
                Action::Save(text) => {
                    turn.write(move |tx| tx.put_text(&text));
                }
                Action::Announce(text) => {
                    self.answer_door(turn, &text);
                    turn.effect(Effect::Changed(text));
                }
                Action::SealText(id) => {
                    if !self.seal_text(turn, id)? {
                        actions.extend(self.router.handle(turn.now, Input::NotSealed(id)));
                    }
                }
                Action::Resend(id) => self.resend(turn, id)?,
                Action::Revoke(id) => self.revoke(turn, id)?,
                Action::Probe(peer) => self.probe(turn, &peer)?,
                Action::Find(peer) => self.find(turn, &peer)?,
                Action::SmsCreate { id, marked } => turn.effects.extend(self.sms_job(id, marked).map(Effect::Modem)),
                Action::SmsSend(id) => turn.effects.extend(self.send_job(id).map(Effect::Modem)),
                Action::SmsProve(id) => turn.effects.extend(self.prove_job(id).map(Effect::Modem)),
                Action::SmsDelete { line, sms } => {
                    let line = line.unwrap_or_else(|| self.filing_line());
                    turn.effect(Effect::Modem(self.delete_job(line, &sms)));
                }
                Action::Ask(id, question) => turn.effect(Effect::Ask(id, question)),
            }
        }
        Ok(())
    }

    /// As [`Self::named`], by the number as it is written on that line.
    fn named_as(&mut self, turn: &mut Turn<'_, '_>, to: &Address, line: Option<&LineId>) -> Result<(), StoreError> {
        let peer = self.classify(to, self.line(line)).1;
        peer.map_or(Ok(()), |peer| self.named(turn, &peer))
    }

    /// A number is named, before anything is decided or changed for it.
    fn named(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        match self.peers.named(turn.tx, peer) {
            Some(facts) => self.route(turn, Input::Peer(peer.clone(), facts)),
            None => Ok(()),
        }
    }

    /// Changes what is known of a peer; the router hears of what it decides by.
    fn change_peer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        change: impl FnOnce(&mut PeerRecord),
    ) -> Result<(), StoreError> {
        self.named(turn, peer)?;
        match self.peers.change(turn, peer, change) {
            Some(facts) => self.route(turn, Input::Peer(peer.clone(), facts)),
            None => Ok(()),
        }
    }

    /// Takes up the texts of an earlier life, once: when the modem service is there, or after a while
    /// without it. What was handed over meanwhile comes after them, in turns of its own.
    fn restore(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        if self.restore_by.take().is_none() {
            return Ok(());
        }
        let texts = turn.tx.live_texts()?;
        let classified = texts.into_iter().map(|text| {
            let class = self.classify(&text.to, self.lines.get(&text.line)).0;
            (text, class)
        });
        let texts: Vec<_> = classified.collect();
        for peer in texts.iter().filter_map(|(text, _)| text.peer.as_ref()) {
            self.named(turn, peer)?;
        }
        if !texts.is_empty() {
            log::info!("{} unsettled texts are taken up again", texts.len());
        }
        self.route(turn, Input::Restore(texts))
    }

    /// What was handed over before the texts of an earlier life were taken up. Each needs a turn of its own, which
    /// reads what that one wrote.
    fn early(&mut self) -> Vec<Request> {
        if self.restore_by.is_none() { std::mem::take(&mut self.early) } else { Vec::new() }
    }

    /// When the next turn is due by the clock.
    fn deadline(&self) -> Option<Instant> {
        let answers = self.answers_due.values().min().copied();
        let enrolment = self.enrolment.as_ref().map(enrolment::Enrolment::deadline);
        let withdrawal = self.withdrawal.as_ref().and_then(|withdrawal| withdrawal.deadline(self.wall_open));
        let (own, secret) = (self.own_deadline(), self.secrets.due());
        let others = [self.rest.deadline(), self.restore_by, answers, enrolment, withdrawal, own, secret];
        [self.router.deadline(), self.granting.deadline(), self.switch.deadline()]
            .into_iter()
            .chain(others)
            .flatten()
            .min()
    }
}

/// Random bytes; a kernel that has none has ended us at start.
fn random<const N: usize>() -> [u8; N] {
    crate::sys::random().unwrap_or_else(|error| {
        log::error!("the kernel gives no random bytes: {error}");
        std::process::exit(71)
    })
}
