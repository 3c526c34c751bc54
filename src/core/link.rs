//! The switch, the uplink and the link: when a process with a socket exists, and what it tells.

use super::Core;
use super::outbox::UPLINK_ANSWERS;
use super::secret::Credentials;
use super::turn::{Effect, Turn};
use crate::bus::{LineEntry, Published, ServiceState};
use crate::model::SimState;
use crate::router::{Conditions, EnrolInput, Input, Phase, RestInput, SecretInput, Step, SwitchInput, Why};
use crate::seal::{NODE, Pseudonym, SecondEvaluator};
use crate::store::{Blob, NetworkTotals, StoreError};
use crate::sys::warden;
use crate::wall::{Connect, Counters, FromUplink, LinkState, Offline, Opaque, RequestId, Second, ToUplink, Visit};
use std::time::Duration;

/// The fallback key's age at which a new one is made and published (protocol.md §4).
const FALLBACK_KEY_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The published bundle's age at which it is published anew; peers refuse it at 15 days.
const BUNDLE_AGE: Duration = Duration::from_secs(24 * 3600);

impl Core {
    /// Something happened to switch, account, uplink or link.
    pub(super) fn switch_event(&mut self, turn: &mut Turn<'_, '_>, input: SwitchInput) -> Result<(), StoreError> {
        let step = self.switch.handle(turn.now.mono, u32::from_ne_bytes(super::random()), input);
        match step {
            Some(Step::Start) => turn.effect(Effect::StartUplink),
            Some(Step::Stop) => self.stop_uplink(turn),
            Some(Step::Retry) => self.notice(turn, ToUplink::Retry),
            None => {}
        }
        self.refresh_conditions(turn)
    }

    /// The daemons end: nobody is to believe any longer that we are online.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_, '_>) {
        if self.wall_open {
            self.stop_uplink(turn);
        }
    }

    /// Those who believe that we are online are told; then the uplink leaves.
    fn stop_uplink(&mut self, turn: &mut Turn<'_, '_>) {
        for peer in self.granting.close_all() {
            self.directed_presence(turn, &peer, false);
        }
        self.notice(turn, ToUplink::Close);
        turn.effect(Effect::StopUplink);
        self.wall_open = false;
        self.uplink_forgotten(turn);
    }

    /// A frame that is not answered.
    pub(super) fn notice(&mut self, turn: &mut Turn<'_, '_>, frame: ToUplink) {
        if self.wall_open {
            turn.effect(Effect::Frame(frame));
        }
    }

    /// What all uplinks counted: each begins anew.
    pub(super) fn counted(&self) -> NetworkTotals {
        NetworkTotals {
            sent: self.network.sent.saturating_add(self.counters.sent),
            received: self.network.received.saturating_add(self.counters.received),
            connections: self.network.connections.saturating_add(self.counters.connections.into()),
        }
    }

    fn uplink_forgotten(&mut self, turn: &mut Turn<'_, '_>) {
        self.network = self.counted();
        self.counters = Counters::default();
        self.own_unasked();
        self.withdrawal_unasked();
        let unasked = self.secret_unasked(turn).and_then(|()| self.enrolment_event(turn, EnrolInput::Closed));
        if let Err(error) = unasked {
            log::error!("{error}");
        }
        let network = self.network;
        turn.write(move |tx| tx.put_network_totals(&network));
        self.last_request = 0;
        self.link_up = false;
        self.sends.clear();
        self.answers_due.clear();
        self.reaching.forget();
        self.evaluating.forget();
    }

    pub(super) fn uplink_started(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.uplink_forgotten(turn);
        self.wall_open = true;
        self.connect(turn);
        self.secret_event(turn, SecretInput::Open)?;
        self.switch_event(turn, SwitchInput::Started)?;
        if self.wall_open { self.enrolment_event(turn, EnrolInput::Open) } else { Ok(()) }
    }

    pub(super) fn warden_event(&mut self, turn: &mut Turn<'_, '_>, event: &warden::Event) -> Result<(), StoreError> {
        match event {
            warden::Event::Started(_) => Ok(()),
            warden::Event::StartFailed(error) => {
                log::error!("the uplink could not be started: {error}");
                self.switch_event(turn, SwitchInput::StartFailed)
            }
            warden::Event::Died(status) => {
                log::warn!("the uplink died: {status:?}");
                self.uplink_died(turn)
            }
            warden::Event::Stopped => self.uplink_died(turn),
        }
    }

    fn uplink_died(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.wall_open = false;
        let reaching = self.reaching.forget();
        self.uplink_forgotten(turn);
        self.granting.close_all();
        self.rest_event(turn, RestInput::LinkLost)?;
        self.switch_event(turn, SwitchInput::Died)?;
        for peer in reaching {
            self.route(turn, Input::ProbeFailed(peer))?;
        }
        Ok(())
    }

    /// The wall broke, or the uplink did something that it may not: it is ended, and started again
    /// with back-off.
    pub(super) fn wall_closed(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        if self.wall_open {
            self.wall_open = false;
            self.uplink_forgotten(turn);
            turn.effect(Effect::StopUplink);
            self.switch_event(turn, SwitchInput::Offline(Why::UplinkDied))?;
        }
        Ok(())
    }

    fn connect(&mut self, turn: &mut Turn<'_, '_>) {
        let Some(account) = &self.account else { return self.visit(turn) };
        let cloud = self.config.cloud.as_ref();
        let pick = |own: &Vec<String>, configured: Option<&Vec<String>>| {
            configured.filter(|servers| !servers.is_empty()).unwrap_or(own).clone()
        };
        let second = self.roots.second.as_ref().or(account.second.as_ref());
        let Credentials { secret, token, second: second_token } = self.credentials(account);
        let connect = Connect {
            account: account.jid.pseudonym().clone(),
            domain: account.jid.domain().to_owned(),
            secret,
            servers: pick(&account.servers, cloud.map(|cloud| &cloud.servers)),
            directory: cloud.map_or_else(|| account.directory.clone(), |cloud| cloud.directory.clone()),
            token,
            ca: self.roots.ca.clone().unwrap_or_else(|| account.ca.clone()),
            second: second.map(|SecondEvaluator { directory, ca }| Second {
                directory: directory.clone(),
                token: second_token,
                ca: ca.clone(),
            }),
            keep_alive: cloud.map_or(crate::config::KEEP_ALIVE, |cloud| cloud.keep_alive),
            node: NODE.to_owned(),
        };
        self.notice(turn, ToUplink::Connect(Box::new(connect)));
    }

    /// Without an account the uplink speaks with the directory alone.
    fn visit(&mut self, turn: &mut Turn<'_, '_>) {
        let (Some(cloud), Some(ca)) = (&self.config.cloud, &self.roots.ca) else { return };
        let visit = Visit { directory: cloud.directory.clone(), ca: ca.clone() };
        self.notice(turn, ToUplink::Visit(Box::new(visit)));
    }

    /// A permitted frame came from the uplink.
    pub(super) fn uplink_said(&mut self, turn: &mut Turn<'_, '_>, frame: FromUplink) -> Result<(), StoreError> {
        if let Some(request) = answered(&frame) {
            self.answers_due.remove(&request);
        }
        match frame {
            FromUplink::Ready { lacks } => {
                self.uplink_lacks = lacks;
                Ok(())
            }
            FromUplink::Link(state) => self.link_changed(turn, state),
            FromUplink::Accepted { request } => match self.sends.accepted(request) {
                Some(id) => self.route(turn, Input::Accepted(id)),
                None => Ok(()),
            },
            FromUplink::Bounced { request } => match self.sends.bounced(request) {
                Some(id) => self.route(turn, Input::Bounced(id)),
                None => Ok(()),
            },
            FromUplink::Received { from, sealed } => self.letter_came(turn, &from, &sealed.0),
            FromUplink::Presence { from, available: false } => match self.peers.at(&from).cloned() {
                Some(peer) => self.route(turn, Input::Gone(peer)),
                None => Ok(()),
            },
            FromUplink::Presence { .. } => Ok(()),
            FromUplink::Pong { request } if self.rest_ping == Some(request) => {
                self.rest_event(turn, RestInput::Answered)
            }
            FromUplink::Pong { .. } => Ok(()),
            FromUplink::Published { ok, .. } => {
                if !ok {
                    log::warn!("the key bundle could not be published; it is tried at the next connection");
                    self.published_at = None;
                }
                // The answer may come with the loss of the link.
                if self.link_up { self.switch_event(turn, SwitchInput::Online) } else { Ok(()) }
            }
            FromUplink::Fetched { request, result } => self.fetched(turn, request, result),
            FromUplink::Evaluated { request, result } => {
                if self.account_exists(turn, request, result.as_ref().err().copied())? {
                    return Ok(());
                }
                self.evaluated(turn, request, result)
            }
            FromUplink::Errand { request, result } => {
                self.renewal_answered(turn, request, &result)?;
                self.secret_answered(turn, request, &result)?;
                let done = result.as_ref().map(|_| ()).map_err(|error| *error);
                self.withdrawal_answered(turn, request, done)?;
                self.enrolment_answered(turn, request, result.map(|answer| answer.0))
            }
            FromUplink::Counters(counters) => {
                self.counters = counters;
                Ok(())
            }
        }
    }

    fn link_changed(&mut self, turn: &mut Turn<'_, '_>, state: LinkState) -> Result<(), StoreError> {
        match state {
            LinkState::Connecting => Ok(()),
            LinkState::Online { resumed } => {
                log::info!("connected{}", if resumed { " (resumed)" } else { "" });
                self.link_up = true;
                self.secret_event(turn, SecretInput::Online)?;
                self.rest_event(turn, RestInput::Answered)?;
                if resumed {
                    return self.switch_event(turn, SwitchInput::Online);
                }
                // The server has told all holders that the old session is gone.
                self.granting.close_all();
                let known = self.published_at.is_some();
                self.publish_bundle(turn)?;
                // Nobody can write to us before the bundle is there: "online" waits for it.
                if known || self.published_at.is_none() {
                    return self.switch_event(turn, SwitchInput::Online);
                }
                Ok(())
            }
            LinkState::Offline(offline) => {
                log::info!("not connected: {offline:?}");
                let was_up = std::mem::take(&mut self.link_up);
                let refused = offline == Offline::Auth;
                self.secret_event(turn, if refused { SecretInput::Refused } else { SecretInput::Offline })?;
                // A server that ended the session, or breaks each log-in off, may have a reason.
                if offline == Offline::Conflict || (offline == Offline::Broken && !was_up) {
                    self.check_account(turn);
                }
                self.rest_event(turn, RestInput::LinkLost)?;
                self.switch_event(turn, SwitchInput::Offline(why(offline)))
            }
        }
    }

    /// Publishes the signed bundle, with a new fallback key where the old one is due.
    pub(super) fn publish_bundle(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let now = turn.now.wall;
        #[cfg(feature = "leak")]
        self.leak(turn);
        let (Some(account), Some(identity)) = (&self.account, &mut self.identity) else { return Ok(()) };
        // A date ahead, by a clock that was wrong, would be refused.
        if identity.rotated() < now.minus(FALLBACK_KEY_AGE) || identity.rotated() > now {
            identity.rotate_fallback(now);
            match identity.to_pickle() {
                Ok(pickle) => turn.write(move |tx| tx.put_blob(Blob::Identity, &pickle)),
                Err(error) => {
                    log::error!("the identity can't be stored: {error}");
                    return Ok(());
                }
            }
        }
        // Dated by its keys, to the day: published again it is the same to the byte, and tells nobody
        // when this phone was online.
        match identity.bundle(&account.certificate, identity.rotated().day()) {
            Ok(bundle) => {
                self.published_at = Some(now);
                self.request(turn, |request| ToUplink::Publish { request, bundle: Opaque(bundle) });
            }
            Err(error) => log::error!("the key bundle can't be made: {error}"),
        }
        Ok(())
    }

    /// What is due by the clock: probes, fallbacks, leases, retries, a hung uplink.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let now = turn.now;
        if let Some(Step::Start) = self.first_step.take() {
            turn.effect(Effect::StartUplink);
        }
        if self.restore_by.is_some_and(|by| by <= now.mono) {
            self.restore(turn)?;
        }
        if self.answers_due.values().any(|due| *due <= now.mono) {
            log::warn!("the uplink left a request unanswered for {} s: it is ended", UPLINK_ANSWERS.as_secs());
            self.wall_closed(turn)?;
        }
        self.rest_event(turn, RestInput::Tick)?;
        for peer in self.granting.run_out(now.mono) {
            self.directed_presence(turn, &peer, false);
        }
        let stale = self.published_at.is_some_and(|at| at < now.wall.minus(BUNDLE_AGE));
        if stale && self.switch.phase() == Phase::Online {
            self.publish_bundle(turn)?;
        }
        self.enrolment_event(turn, EnrolInput::Tick)?;
        self.look_after_account(turn)?;
        self.secret_event(turn, SecretInput::Tick)?;
        self.switch_event(turn, SwitchInput::Tick)?;
        self.route(turn, Input::Tick)
    }

    /// Tells the router what the world is like, if that changed.
    pub(super) fn refresh_conditions(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let line = self.line(None);
        let conditions = Conditions {
            on: self.enabled && self.degraded.is_none(),
            account: self.account.is_some(),
            link: self.switch.link(),
            sim: line.is_none_or(|line| line.sim != SimState::Absent),
            roaming: line.is_some_and(|line| line.sim == SimState::Roaming),
            metered: self.metered,
            allow_roaming: self.settings.allow_roaming,
            allow_metered: self.settings.allow_metered,
            fallback_after: Duration::from_secs(self.settings.fallback_after.into()),
            fallback: self.settings.fallback_policy,
        };
        if conditions == *self.router.conditions() { Ok(()) } else { self.route(turn, Input::Conditions(conditions)) }
    }

    /// What the properties show now.
    pub(super) fn published(&self) -> Published {
        let mut confinement = self.confinement.clone();
        confinement.extend(self.uplink_lacks.iter().map(|token| format!("uplink-{token}")));
        let account = self.account.as_ref().zip(self.account_line());
        let entry = |line: &crate::model::Line| {
            let own = account.filter(|(_, accounts)| **accounts == line.id).map(|(account, _)| &account.number);
            LineEntry {
                id: line.id.clone(),
                number: line.number.as_ref().or(own).cloned(),
                sim: line.sim,
                enrolled: own.is_some(),
                modem: line.modem.clone(),
            }
        };
        Published {
            state: match self.switch.phase() {
                Phase::Off => ServiceState::Off,
                Phase::Starting => ServiceState::Starting,
                Phase::Enrolling => ServiceState::Enrolling,
                Phase::Online => ServiceState::Online,
                Phase::Waiting => ServiceState::Waiting,
                Phase::Stopping => ServiceState::Stopping,
            },
            reason: self.degraded.unwrap_or_else(|| self.reason()),
            confinement,
            lines: self.lines.values().map(entry).collect(),
            enabled: self.enabled,
            switched: self.switched.clone(),
            settings: self.settings,
        }
    }

    fn reason(&self) -> &'static str {
        match (self.switch.phase(), self.switch.why(), &self.enrolment, self.ended) {
            (Phase::Enrolling, _, Some(enrolment), _) => enrolment.doing().token(),
            (_, Why::NoAccount, _, Some(ended)) => ended.token(),
            (_, why, ..) => why.token(),
        }
    }

    /// Whose pseudonym a frame names, for the ledger.
    pub(super) fn addressee(frame: &ToUplink) -> Option<&Pseudonym> {
        match frame {
            ToUplink::Send { to, .. } | ToUplink::Presence { to, .. } => Some(to),
            ToUplink::Fetch { of, .. } => Some(of),
            _ => None,
        }
    }
}

fn answered(frame: &FromUplink) -> Option<RequestId> {
    match frame {
        FromUplink::Published { request, .. }
        | FromUplink::Fetched { request, .. }
        | FromUplink::Evaluated { request, .. }
        | FromUplink::Errand { request, .. }
        | FromUplink::Pong { request } => Some(*request),
        _ => None,
    }
}

fn why(offline: Offline) -> Why {
    match offline {
        Offline::Unreachable => Why::Unreachable,
        Offline::Tls => Why::Tls,
        Offline::Auth => Why::Auth,
        Offline::Conflict => Why::Conflict,
        Offline::Broken => Why::Broken,
        Offline::Timeout => Why::Timeout,
    }
}
