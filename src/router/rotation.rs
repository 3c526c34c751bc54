//! The account's secret, and a new one in its place (protocol.md §4), without ever standing outside.
//!
//! The secret is the password at the XMPP server, and the token at the directory follows from it. The directory
//! changes both, the server's first; it may be cut off in between, its answer may be lost, and a server that
//! crashes may forget the change. So the phone stores the new secret *before* it tells it, says the same one again
//! until that is answered, keeps the old one until then, and takes the account for ended only when the directory
//! denies the token, or both of them, and does so once more after a pause.
//!
//! A log-in that is refused is tried by the other secret where one is wanted; and the directory is told the secret
//! again, which sets the server right, and finds out whether there still is an account.

use super::backoff::Backoff;
use crate::model::Instant;
use std::time::Duration;

/// Between a denial and the one that confirms it.
const ONCE_MORE: Duration = Duration::from_secs(10);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretInput {
    /// A new secret is stored; what the directory answers to an earlier one means nothing any more.
    Wanted,
    /// There is an uplink; it was told what [`Rotation::login_by_new`] and [`Rotation::token_of_new`] say.
    Open,
    /// There is none any more.
    Closed,
    /// It is bound to the server.
    Online,
    /// It is not, and that says nothing about the account.
    Offline,
    /// It is not, since the server refuses the secret in use.
    Refused,
    /// The directory has taken the secret that it was told.
    Done,
    /// The directory, asked for something else, does not know the token in use.
    Doubted,
    /// The directory, told the secret, does not know the token in use.
    Denied,
    /// The directory could not be told.
    Lost,
    /// A deadline passed.
    Tick,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretStep {
    /// The new secret is the account's from now on: store that.
    Adopt,
    /// Tell the uplink which secret and token to use.
    Use,
    /// Tell the directory the new secret, or the account's own where none is wanted.
    Tell,
    /// No token of ours is known: the account has ended.
    Ended,
}

/// Which secret is used for what.
#[derive(Debug)]
pub struct Rotation {
    /// There is a new secret beside the account's.
    wanted: bool,
    login_by_new: bool,
    token_of_new: bool,
    /// Denials in a row.
    denials: u8,
    /// Whether the servers know the secret, or us, is in doubt: the directory is asked without a link, too.
    doubt: bool,
    open: bool,
    online: bool,
    told: bool,
    again: Instant,
    losses: Backoff,
}

impl Rotation {
    /// As an earlier life stored it: whether there is a new secret.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self {
            wanted,
            login_by_new: false,
            token_of_new: false,
            denials: 0,
            doubt: false,
            open: false,
            online: false,
            told: false,
            again: Instant(0),
            losses: Backoff::new(Duration::from_secs(30), Duration::from_secs(6 * 3600)),
        }
    }

    /// Takes one input. `random` jitters a pause.
    #[must_use]
    pub fn handle(&mut self, now: Instant, random: u32, input: SecretInput) -> Vec<SecretStep> {
        let mut steps = Vec::new();
        match input {
            SecretInput::Wanted => {
                *self = Self { open: self.open, online: self.online, doubt: self.doubt, ..Self::new(true) };
            }
            SecretInput::Open => self.open = true,
            SecretInput::Closed => (self.open, self.online, self.told) = (false, false, false),
            SecretInput::Online => {
                self.online = true;
                self.doubt &= self.wanted;
            }
            SecretInput::Offline => self.online = false,
            SecretInput::Refused => {
                (self.online, self.doubt) = (false, true);
                if self.wanted {
                    self.login_by_new = !self.login_by_new;
                    steps.push(SecretStep::Use);
                }
            }
            SecretInput::Done => {
                (self.told, self.denials, self.doubt) = (false, 0, false);
                self.losses.reset();
                if std::mem::take(&mut self.wanted) {
                    steps.push(SecretStep::Adopt);
                    let used = (std::mem::take(&mut self.login_by_new), std::mem::take(&mut self.token_of_new));
                    steps.extend((used != (true, true)).then_some(SecretStep::Use));
                }
            }
            SecretInput::Doubted => self.doubt = true,
            SecretInput::Denied => {
                (self.told, self.doubt) = (false, true);
                self.denials = self.denials.saturating_add(1);
                // Each token once, then each once more.
                let tokens = if self.wanted { 2 } else { 1 };
                self.again = if self.denials.is_multiple_of(tokens) { now.plus(ONCE_MORE) } else { now };
                if self.denials >= 2 * tokens {
                    self.denials = 0;
                    return vec![SecretStep::Ended];
                }
                if self.wanted {
                    self.token_of_new = !self.token_of_new;
                    steps.push(SecretStep::Use);
                }
            }
            SecretInput::Lost => {
                self.told = false;
                self.again = now.plus(self.losses.next(random));
            }
            SecretInput::Tick => {}
        }
        if self.due().is_some_and(|due| due <= now) {
            self.told = true;
            steps.push(SecretStep::Tell);
        }
        steps
    }

    /// When [`SecretInput::Tick`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let wanted = self.doubt || (self.wanted && self.online);
        (wanted && self.open && !self.told).then_some(self.again)
    }

    /// Whether it is being found out if the servers know the secret, or us.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.doubt
    }

    /// Whether there is a new secret beside the account's.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Whether to log in by the new secret.
    #[must_use]
    pub fn login_by_new(&self) -> bool {
        self.login_by_new
    }

    /// Whether the directory is asked by the new secret's token.
    #[must_use]
    pub fn token_of_new(&self) -> bool {
        self.token_of_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A secret, by its number.
    type Secret = u32;

    /// What both servers have.
    #[derive(Debug)]
    struct Cloud {
        login: Secret,
        before: Secret,
        token: Secret,
        exists: bool,
    }

    /// The phone: what is stored, and a life.
    #[derive(Debug)]
    struct Phone {
        own: Secret,
        new: Option<Secret>,
        life: Rotation,
        online: bool,
        /// The directory is to be told this under that token.
        telling: Option<(Secret, Secret)>,
        ended: bool,
    }

    /// What may happen.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// A new secret is wanted.
        Want,
        /// The core is killed, and starts again.
        Crash,
        /// The uplink is, and starts again.
        UplinkDies,
        /// A log-in is tried, or a link lost.
        LogIn,
        LinkLost,
        /// What the directory is told gets there, and so far.
        Told(Reached),
        /// Another question to the directory.
        Asked,
        /// It is answered falsely, as one for an account that is not known.
        AskedAmiss,
        /// The server crashes and forgets the last change.
        Forget,
        /// The account ends elsewhere.
        End,
        /// Half an hour passes.
        Later,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Reached {
        Nowhere,
        /// The directory died between server and its own record.
        Server,
        /// The answer was lost.
        Both,
        Answered,
        /// The directory says falsely that it does not know the token; not again before it has known it.
        Amiss,
    }

    impl Phone {
        fn using(&self, new: bool) -> Secret {
            if new { self.new.unwrap() } else { self.own }
        }
    }

    struct World {
        cloud: Cloud,
        phone: Phone,
        now: Instant,
        last: Secret,
        amiss: bool,
    }

    impl World {
        fn new() -> Self {
            let mut life = Rotation::new(false);
            assert!(life.handle(Instant(0), 0, SecretInput::Open).is_empty());
            let cloud = Cloud { login: 1, before: 1, token: 1, exists: true };
            let phone = Phone { own: 1, new: None, life, online: false, telling: None, ended: false };
            Self { cloud, phone, now: Instant(0), last: 1, amiss: false }
        }

        fn feed(&mut self, input: SecretInput) {
            let phone = &mut self.phone;
            for step in phone.life.handle(self.now, 0, input) {
                match step {
                    SecretStep::Adopt => phone.own = phone.new.take().unwrap(),
                    SecretStep::Use => {}
                    SecretStep::Tell => {
                        let token = phone.using(phone.life.token_of_new());
                        phone.telling = Some((phone.using(phone.new.is_some()), token));
                    }
                    SecretStep::Ended => phone.ended = true,
                }
            }
        }

        fn happen(&mut self, event: Event) {
            if self.phone.ended {
                return;
            }
            match event {
                Event::Want if self.phone.new.is_none() => {
                    self.last += 1;
                    (self.phone.new, self.phone.telling) = (Some(self.last), None);
                    self.feed(SecretInput::Wanted);
                }
                Event::Want => {}
                Event::Crash => {
                    self.phone.life = Rotation::new(self.phone.new.is_some());
                    (self.phone.online, self.phone.telling) = (false, None);
                    self.feed(SecretInput::Open);
                }
                Event::UplinkDies => {
                    (self.phone.online, self.phone.telling) = (false, None);
                    self.feed(SecretInput::Closed);
                    self.feed(SecretInput::Open);
                }
                Event::LogIn if !self.phone.online => {
                    let by = self.phone.using(self.phone.life.login_by_new());
                    let holds = self.cloud.exists && by == self.cloud.login;
                    self.phone.online = holds;
                    self.feed(if holds { SecretInput::Online } else { SecretInput::Refused });
                }
                Event::LogIn => {}
                Event::LinkLost => {
                    self.phone.online = false;
                    self.feed(SecretInput::Offline);
                }
                Event::Told(reached) => {
                    let Some((secret, token)) = self.phone.telling.take() else { return };
                    if reached == Reached::Amiss && !std::mem::replace(&mut self.amiss, true) {
                        return self.feed(SecretInput::Denied);
                    }
                    let known = self.cloud.exists && token == self.cloud.token;
                    if known && !matches!(reached, Reached::Nowhere | Reached::Amiss) {
                        if self.cloud.login != secret {
                            (self.cloud.before, self.cloud.login) = (self.cloud.login, secret);
                        }
                        if reached != Reached::Server {
                            self.cloud.token = secret;
                        }
                    }
                    self.amiss &= !(known && reached == Reached::Answered);
                    self.feed(match reached {
                        Reached::Answered if known => SecretInput::Done,
                        Reached::Answered => SecretInput::Denied,
                        _ => SecretInput::Lost,
                    });
                }
                Event::Asked => {
                    let token = self.phone.using(self.phone.life.token_of_new());
                    if !(self.cloud.exists && token == self.cloud.token) {
                        self.feed(SecretInput::Doubted);
                    }
                }
                Event::AskedAmiss => self.feed(SecretInput::Doubted),
                Event::Forget => {
                    self.cloud.login = self.cloud.before;
                    self.happen(Event::LinkLost);
                }
                Event::End => {
                    self.cloud.exists = false;
                    self.happen(Event::LinkLost);
                }
                Event::Later => {
                    self.now = self.now.plus(Duration::from_secs(1800));
                    self.feed(SecretInput::Tick);
                }
            }
        }

        /// From here on all goes well.
        fn settle(&mut self) {
            for _ in 0..30 {
                for event in [Event::Later, Event::LogIn, Event::Told(Reached::Answered), Event::Asked] {
                    self.happen(event);
                }
            }
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        let reached = prop_oneof![
            Just(Reached::Nowhere),
            Just(Reached::Server),
            Just(Reached::Both),
            Just(Reached::Answered),
            Just(Reached::Amiss)
        ];
        prop_oneof![
            1 => Just(Event::Want),
            1 => Just(Event::Crash),
            1 => Just(Event::UplinkDies),
            3 => Just(Event::LogIn),
            1 => Just(Event::LinkLost),
            4 => reached.prop_map(Event::Told),
            1 => Just(Event::Asked),
            1 => Just(Event::AskedAmiss),
            1 => Just(Event::Forget),
            2 => Just(Event::Later),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is cut off, lost, forgotten or once falsely denied: while the account exists the phone gets in, with one secret
        /// at both servers in the end; and when it has ended the phone finds that out.
        #[test]
        fn an_account_is_lost_only_when_it_has_ended(events in prop::collection::vec(event(), 0..60)) {
            let mut world = World::new();
            for event in events {
                world.happen(event);
                prop_assert!(!world.phone.ended, "{event:?}: {:?} {:?}", world.phone, world.cloud);
            }
            world.settle();
            let (phone, cloud) = (&world.phone, &world.cloud);
            prop_assert!(!phone.ended && phone.online, "{phone:?} {cloud:?}");
            prop_assert_eq!(phone.new, None, "{:?} {:?}", phone, cloud);
            prop_assert_eq!((cloud.login, cloud.token), (phone.own, phone.own), "{:?}", phone);
            world.happen(Event::End);
            world.settle();
            prop_assert!(world.phone.ended);
        }
    }

    #[test]
    fn a_lost_answer_is_found_out_by_the_new_token() {
        let mut it = Rotation::new(false);
        let mut feed = |input| it.handle(Instant(0), u32::MAX, input);
        assert_eq!(feed(SecretInput::Open), []);
        assert_eq!(feed(SecretInput::Wanted), [], "not before there is a link");
        assert_eq!(feed(SecretInput::Online), [SecretStep::Tell]);
        assert_eq!(feed(SecretInput::Lost), []);
        assert_eq!(it.due(), Some(Instant(30_000)));
        let mut feed = |input| it.handle(Instant(30_000), 0, input);
        assert_eq!(feed(SecretInput::Tick), [SecretStep::Tell]);
        assert_eq!(feed(SecretInput::Denied), [SecretStep::Use, SecretStep::Tell]);
        assert_eq!(feed(SecretInput::Done), [SecretStep::Adopt, SecretStep::Use], "it was logged in by the old one");
    }

    #[test]
    fn one_denial_ends_nothing_and_one_more_after_a_pause_does() {
        let mut it = Rotation::new(false);
        let mut feed = |at, input| it.handle(Instant(at), 0, input);
        assert_eq!(feed(0, SecretInput::Open), []);
        assert_eq!(feed(0, SecretInput::Online), []);
        assert_eq!(feed(0, SecretInput::Doubted), [SecretStep::Tell], "the directory itself is asked");
        assert_eq!(feed(0, SecretInput::Doubted), [], "which is under way");
        assert_eq!(feed(50, SecretInput::Denied), []);
        assert_eq!(feed(60, SecretInput::Doubted), [], "what else it is asked counts for nothing");
        assert_eq!(feed(10_050, SecretInput::Tick), [SecretStep::Tell]);
        assert_eq!(feed(10_060, SecretInput::Done), [], "it was another's fault");
        assert_eq!(feed(20_000, SecretInput::Doubted), [SecretStep::Tell]);
        assert_eq!(feed(20_000, SecretInput::Denied), []);
        assert_eq!(feed(30_000, SecretInput::Tick), [SecretStep::Tell]);
        assert_eq!(feed(30_000, SecretInput::Denied), [SecretStep::Ended]);
    }

    #[test]
    fn both_tokens_denied_twice_end_the_account() {
        let mut it = Rotation::new(true);
        let mut feed = |at, input| it.handle(Instant(at), 0, input);
        assert_eq!(feed(0, SecretInput::Open), []);
        assert_eq!(feed(0, SecretInput::Refused), [SecretStep::Use, SecretStep::Tell], "without a link, too");
        assert_eq!(feed(0, SecretInput::Denied), [SecretStep::Use, SecretStep::Tell]);
        assert_eq!(feed(0, SecretInput::Denied), [SecretStep::Use]);
        assert_eq!(feed(10_000, SecretInput::Tick), [SecretStep::Tell]);
        assert_eq!(feed(10_000, SecretInput::Denied), [SecretStep::Use, SecretStep::Tell]);
        assert_eq!(feed(10_000, SecretInput::Denied), [SecretStep::Ended]);
    }
}
