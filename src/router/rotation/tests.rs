//! The rules under every order of losses, answers and restarts.

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
