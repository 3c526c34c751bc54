//! One simulated SMSC for all phones of a test: takes SMS-SUBMIT, stores and forwards
//! SMS-DELIVER, reports delivery, counts everything, and misbehaves on request.

mod fault;
mod incoming;
mod lane;
mod traffic;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use anyhow::Result;

pub use fault::Fault;
pub use incoming::Incoming;
pub use traffic::{Delivered, SubmittedPart, SubmittedText, Traffic};

use crate::background::Changes;
use crate::modem::Shared as ModemShared;
use crate::pdu::{Address, Deliver, Pdu, StatusReport, Submit};
use crate::private::note;
use lane::{Lane, Receipt, Transit};

/// A handle on the SMSC; clones are the same SMSC.
#[derive(Clone)]
pub struct Smsc(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changes: Changes,
}

#[derive(Default)]
struct State {
    modems: HashMap<String, Weak<ModemShared>>,
    lanes: BTreeMap<String, Lane>,
    faults: HashMap<String, VecDeque<Fault>>,
    paused: Vec<String>,
    traffic: Traffic,
    strips_whitespace: bool,
    next_reference: u8,
}

/// What the modem is to say to its `AT+CMGS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    TakenAfter(std::time::Duration),
    Refused(u16),
    Error,
    Silence,
}

impl Default for Smsc {
    fn default() -> Self {
        Self::new()
    }
}

impl Smsc {
    /// Its address in PDUs.
    pub const ADDRESS: &str = "+491710760000";

    /// An SMSC that knows no phone yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner { state: Mutex::new(State::default()), changes: Changes::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change, forwards what it freed, and wakes who waits.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let out = change(&mut self.state());
        self.forward();
        out
    }

    pub(crate) fn register(&self, number: &str, modem: &Arc<ModemShared>) {
        self.change(|s| s.modems.insert(number.to_owned(), Arc::downgrade(modem)));
    }

    /// That number's SIM is in no phone.
    pub(crate) fn unregister(&self, number: &str) {
        self.change(|s| s.modems.remove(number));
    }

    /// Something about a phone's attachment changed: what waits for it may go now.
    pub(crate) fn forward(&self) {
        self.state().forward();
        self.0.changes.tell();
    }

    // ---- what tests read ----

    /// A look at all traffic so far.
    pub fn traffic(&self) -> Traffic {
        self.state().traffic.clone()
    }

    /// Texts that the SMSC took, each long text once.
    pub fn submitted_total(&self) -> usize {
        self.state().traffic.texts.len()
    }

    /// Parts (PDUs) that the SMSC took.
    pub fn submitted_parts(&self) -> usize {
        self.state().traffic.parts.len()
    }

    /// Texts taken from one number.
    pub fn submitted_by(&self, number: &str) -> Vec<SubmittedText> {
        self.state().traffic.texts.iter().filter(|t| t.from == number).cloned().collect()
    }

    /// Parts that wait for a phone.
    pub fn waiting_for(&self, number: &str) -> usize {
        self.state().lanes.get(number).map_or(0, |l| l.queue.len())
    }

    /// Waits until so many parts wait for a phone.
    pub async fn until_waiting(&self, number: &str, parts: usize) -> Result<()> {
        let what = format!("{parts} parts that wait for {number}");
        self.0.changes.until(&what, || (self.waiting_for(number) >= parts).then_some(())).await
    }

    /// Waits until the traffic is as told; `what` is said when it never is.
    pub async fn wait_for(&self, what: &str, mut told: impl FnMut(&Traffic) -> bool) -> Result<()> {
        self.0.changes.until(what, || told(&self.state().traffic).then_some(())).await
    }

    /// Waits for a submitted text that fits and returns the first such.
    pub async fn wait_for_text(&self, what: &str, fits: impl Fn(&SubmittedText) -> bool) -> Result<SubmittedText> {
        self.0.changes.until(what, || self.state().traffic.texts.iter().find(|t| fits(t)).cloned()).await
    }

    // ---- what tests inject ----

    /// The next `times` submits of a number meet this fault; further calls queue behind.
    pub fn fail_next(&self, number: &str, fault: Fault, times: usize) {
        self.change(|s| {
            s.faults.entry(number.to_owned()).or_default().extend(std::iter::repeat_n(fault, times));
        });
    }

    /// From now on answers to a number's submits are kept back (the submit is taken first).
    pub fn pause_answers(&self, number: &str) {
        self.change(|s| s.paused.push(number.to_owned()));
    }

    /// Gives the answers that were kept back.
    pub fn resume_answers(&self, number: &str) {
        self.change(|s| s.paused.retain(|n| n != number));
    }

    /// Keeps back all deliveries to a number until [`Smsc::release`].
    pub fn hold(&self, number: &str) {
        self.change(|s| s.lane(number).held = true);
    }

    /// Lets a number's deliveries go again.
    pub fn release(&self, number: &str) {
        self.change(|s| s.lane(number).held = false);
    }

    /// Lets just one part go to a number that is held.
    pub fn release_one(&self, number: &str) {
        self.change(|s| s.lane(number).passes += 1);
    }

    /// The next text part to this number is delivered this many times more, time stamp and all.
    pub fn repeat_next(&self, number: &str, more: usize) {
        self.change(|s| s.lane(number).repeats = more);
    }

    /// Delivers the last part that went to this number once more, as an SMSC does that missed the ack.
    pub fn repeat_last(&self, number: &str) {
        self.change(|s| {
            let lane = s.lane(number);
            if let Some(last) = lane.last.clone() {
                lane.queue.push_back(Transit::Text { deliver: last, receipt: None });
            }
        });
    }

    /// Gives up what waits for a number, and says so in status reports (validity period expired).
    pub fn expire(&self, number: &str) {
        self.change(|s| {
            let given_up: Vec<_> = s.lane(number).queue.drain(..).collect();
            for transit in given_up {
                if let Transit::Text { deliver, receipt: Some(receipt) } = transit {
                    s.report(&receipt, number, deliver.stamp, 0x46);
                }
            }
        });
    }

    /// From now on this network trims whitespace at the end of texts.
    pub fn strip_trailing_whitespace(&self, strips: bool) {
        self.change(|s| s.strips_whitespace = strips);
    }

    /// An SMS from anywhere to a number.
    pub fn inject(&self, to: &str, sms: &Incoming) {
        self.change(|s| {
            s.next_reference = s.next_reference.wrapping_add(1);
            let reference = s.next_reference;
            for deliver in sms.parts(reference) {
                note(&deliver.from.written());
                deliver.data.text().iter().for_each(|text| note(text));
                s.lane(to).queue.push_back(Transit::Text { deliver, receipt: None });
            }
        });
    }

    // ---- what modems do ----

    /// A phone's `AT+CMGS`. `reference` is the TP-MR that its modem gave.
    pub(crate) fn submit(&self, from: &str, reference: u8, submit: &Submit) -> Verdict {
        self.change(|s| {
            let fault = s.faults.get_mut(from).and_then(VecDeque::pop_front);
            let verdict = match fault {
                None => Verdict::Taken,
                Some(Fault::Cms(code)) => Verdict::Refused(code),
                Some(Fault::Error) => Verdict::Error,
                Some(Fault::Mute | Fault::MuteAfterTaking) => Verdict::Silence,
                Some(Fault::Slow(delay)) => Verdict::TakenAfter(delay),
            };
            if matches!(verdict, Verdict::Taken | Verdict::TakenAfter(_)) || fault == Some(Fault::MuteAfterTaking) {
                s.take(from, reference, submit);
            }
            s.traffic.attempts += 1;
            verdict
        })
    }

    /// Returns when a number's answers are not kept back.
    pub(crate) async fn answer_may_go(&self, number: &str) {
        let free = || (!self.state().paused.iter().any(|n| n == number)).then_some(());
        while self.0.changes.until("the answers' release", free).await.is_err() {}
    }
}

impl State {
    fn lane(&mut self, number: &str) -> &mut Lane {
        self.lanes.entry(number.to_owned()).or_default()
    }

    fn take(&mut self, from: &str, reference: u8, submit: &Submit) {
        let now = SystemTime::now();
        let to = routed(&submit.to);
        note(&to);
        submit.data.text().iter().for_each(|text| note(text));
        self.traffic.took(from, &to, reference, submit, now);
        let data = if self.strips_whitespace { submit.data.without_trailing_whitespace() } else { submit.data.clone() };
        let deliver = Deliver { from: Address::new(from), pid: submit.pid, stamp: now, data };
        let receipt = submit.report.then(|| Receipt { to: from.to_owned(), reference, recipient: submit.to.clone() });
        self.lane(&to).queue.push_back(Transit::Text { deliver, receipt });
    }

    fn report(&mut self, receipt: &Receipt, recipient: &str, stamp: SystemTime, status: u8) {
        let report = StatusReport {
            reference: receipt.reference,
            recipient: receipt.recipient.clone(),
            stamp,
            done: SystemTime::now(),
            status,
        };
        self.traffic.reports.push((receipt.to.clone(), recipient.to_owned(), status));
        self.lane(&receipt.to).queue.push_back(Transit::Report(report));
    }

    /// Hands over all that may go: each number's parts in their order, while its phone takes them.
    fn forward(&mut self) {
        loop {
            let mut moved = false;
            let numbers: Vec<String> = self.lanes.keys().cloned().collect();
            for number in numbers {
                let Some(modem) = self.modems.get(&number).and_then(Weak::upgrade) else { continue };
                while self.forward_one(&number, &modem) {
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn forward_one(&mut self, number: &str, modem: &ModemShared) -> bool {
        let lane = self.lane(number);
        if lane.held && lane.passes == 0 {
            return false;
        }
        let Some(next) = lane.queue.front() else { return false };
        let (pdu, is_report): (Pdu, bool) = match next {
            Transit::Text { deliver, .. } => (deliver.encode(Smsc::ADDRESS), false),
            Transit::Report(report) => (report.encode(Smsc::ADDRESS), true),
        };
        if !modem.receive(pdu, is_report) {
            return false;
        }
        lane.passes = lane.passes.saturating_sub(1);
        let Some(Transit::Text { deliver, receipt }) = lane.queue.pop_front() else { return true };
        lane.last = Some(deliver.clone());
        if lane.repeats > 0 {
            lane.repeats -= 1;
            lane.queue.push_front(Transit::Text { deliver: deliver.clone(), receipt: None });
        }
        self.traffic.delivered.push(Delivered {
            to: number.to_owned(),
            from: deliver.from.written(),
            text: deliver.data.text(),
        });
        if let Some(receipt) = receipt {
            self.report(&receipt, number, deliver.stamp, 0x00);
        }
        true
    }
}

/// The number under which a phone is known that is dialled so. The network is German: a national
/// number gets +49, and 00 is the international prefix.
fn routed(to: &Address) -> String {
    let written = to.written();
    if written.starts_with('+') {
        return written;
    }
    match (written.strip_prefix("00"), written.strip_prefix('0')) {
        (Some(rest), _) => format!("+{rest}"),
        (None, Some(rest)) => format!("+49{rest}"),
        _ => written,
    }
}
