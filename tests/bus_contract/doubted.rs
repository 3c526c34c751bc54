//! Callers whose right comes into doubt: a polkit that does not answer costs nobody a signal, and shows nobody one.
//!
//! A real polkitd is not mute about one caller alone: this one answers as a test wants it to.

use crate::hearing::{ear, heard_until_online, list, member, say_online};
use crate::rights::until_may_send;
use crate::support::*;
use futures_util::StreamExt;
use shunt_kit::Phone;
use std::collections::HashMap;
use tokio::sync::watch;
use zbus::names::UniqueName;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, Message, MessageStream, OwnedVariant, fdo};

const AUTHORITY: &str = "/org/freedesktop/PolicyKit1/Authority";

#[derive(Clone, Copy, PartialEq)]
enum Says {
    Yes,
    No,
    /// It fails: no answer either.
    Error,
    /// Nothing, until it says something else.
    Nothing,
}

/// What it says about one caller; everybody else may everything.
struct Authority {
    about: UniqueName<'static>,
    says: watch::Receiver<Says>,
    asked: watch::Sender<usize>,
}

/// (authorised, challenge, details).
type Result = ((bool, bool, HashMap<String, String>),);

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    async fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        _action: &str,
        _details: HashMap<String, String>,
        _flags: u32,
        _cancellation: &str,
    ) -> fdo::Result<Result> {
        if <&str>::try_from(&*subject.1["name"]).unwrap() != self.about.as_str() {
            return Ok(((true, false, HashMap::new()),));
        }
        self.asked.send_modify(|asked| *asked += 1);
        let says = *self.says.clone().wait_for(|says| *says != Says::Nothing).await.unwrap();
        match says {
            Says::Yes | Says::No => Ok(((says == Says::Yes, false, HashMap::new()),)),
            Says::Error | Says::Nothing => Err(fdo::Error::Failed("as the test wants it".into())),
        }
    }

    #[zbus(signal)]
    async fn changed(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

/// polkit as it answers here.
struct Polkit {
    connection: Connection,
    says: watch::Sender<Says>,
    asked: watch::Receiver<usize>,
}

impl Polkit {
    /// On a phone's bus; it says yes, about everybody.
    async fn start(phone: &Phone, about: &Connection) -> Self {
        let (says, said) = watch::channel(Says::Yes);
        let (count, asked) = watch::channel(0);
        let about = about.unique_name().unwrap().to_owned().into();
        let connection = zbus::connection::Builder::address(phone.bus().address())
            .serve_at(AUTHORITY, Authority { about, says: said, asked: count })
            .name("org.freedesktop.PolicyKit1")
            .build();
        Self { connection: connection.await.unwrap(), says, asked }
    }

    /// It may have changed its mind, and says so.
    async fn now_says(&self, says: Says) {
        self.says.send_replace(says);
        let emitter = SignalEmitter::new(&self.connection, AUTHORITY).unwrap();
        Authority::changed(&emitter).await.unwrap();
    }

    /// Nobody's right stands any more, and it says nothing about the one from now on.
    async fn falls_silent(&self, app: &Connection) {
        self.now_says(Says::Error).await;
        until_may_send(app, false).await;
        self.says.send_replace(Says::Nothing);
    }

    /// Waits until it is asked more than it was.
    async fn is_asked(&self, before: usize) {
        in_time("a question", self.asked.clone().wait_for(|asked| *asked > before)).await.unwrap();
    }

    fn asked(&self) -> usize {
        *self.asked.borrow()
    }
}

/// Which text a `Received` tells of.
fn text_of(message: &Message) -> Option<String> {
    let body = message.body();
    let parsed = (member(message) == "Received").then(|| body.deserialize().unwrap());
    parsed.map(|(path, _): (zbus::OwnedObjectPath, HashMap<String, OwnedVariant>)| path.to_string())
}

/// The texts that it was told of until everybody was told that State is `online`.
async fn told_until_online(ear: &mut MessageStream) -> Vec<String> {
    heard_until_online(ear).await.iter().filter_map(text_of).collect()
}

/// The next texts that it is told of.
async fn told(ear: &mut MessageStream, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        texts.extend(text_of(&in_time("a text", ear.next()).await.unwrap().unwrap()));
    }
    texts
}

fn paths(texts: impl IntoIterator<Item = u8>) -> Vec<String> {
    texts.into_iter().map(|n| path(n).to_string()).collect()
}

async fn ask(door: &Connection) {
    call(door, DOOR, "Ask", &("+49170", none())).await.unwrap();
}

/// The core is told that a door is there no more.
async fn until_gone(served: &mut Served, door: &Connection) {
    let name = door.unique_name().unwrap().to_string();
    while served.next_asked().await != format!("gone {name}") {}
}

#[tokio::test]
async fn a_mute_polkit_delays_nobody_elses_signals_and_who_is_asked_about_hears_in_order_after_its_yes() {
    let phone = phone().without_polkit().start().await.unwrap();
    let (app, mut app_ear) = ear(&phone, Some(NOBODY)).await;
    let (other, mut other_ear) = ear(&phone, Some(1)).await;
    let polkit = Polkit::start(&phone, &app).await;
    let served = Served::as_core(&phone).await;
    list(&app).await;
    list(&other).await;
    polkit.falls_silent(&app).await;
    let before = polkit.asked();
    for n in 1..=3 {
        served.bus.received(&arrived(n, "a secret text"));
    }
    say_online(&served);
    assert_eq!(told(&mut other_ear, 3).await, paths(1..=3));
    assert_eq!(told_until_online(&mut app_ear).await, paths([]), "nothing is shown before the answer");
    polkit.is_asked(before).await;

    // No answer; once there is news of polkit it is asked again.
    let before = polkit.asked();
    polkit.now_says(Says::Error).await;
    served.bus.received(&arrived(4, "another"));
    polkit.is_asked(before).await;
    polkit.now_says(Says::Yes).await;
    assert_eq!(told(&mut app_ear, 4).await, paths(1..=4));
    served.bus.received(&arrived(5, "one more"));
    assert_eq!(told(&mut app_ear, 1).await, paths([5]), "it has kept its place");
}

#[tokio::test]
async fn after_a_no_nothing_of_what_waited_is_told_and_the_place_is_lost() {
    let phone = phone().without_polkit().start().await.unwrap();
    let (door, mut door_ear) = ear(&phone, Some(NOBODY)).await;
    let polkit = Polkit::start(&phone, &door).await;
    let mut served = Served::as_core(&phone).await;
    ask(&door).await;
    polkit.falls_silent(&door).await;
    let before = polkit.asked();
    served.bus.received(&arrived(1, "a secret text"));
    polkit.is_asked(before).await;
    polkit.says.send_replace(Says::No);
    until_gone(&mut served, &door).await;
    polkit.now_says(Says::Yes).await;
    until_may_send(&door, true).await;
    served.bus.received(&arrived(2, "another"));
    say_online(&served);
    assert_eq!(told_until_online(&mut door_ear).await, paths([]));
    ask(&door).await;
    served.bus.received(&arrived(3, "since it came back"));
    assert_eq!(told(&mut door_ear, 1).await, paths([3]));
}

#[tokio::test]
async fn who_has_more_to_hear_than_may_wait_is_forgotten_with_it_and_the_others_hear_all() {
    let phone = phone().without_polkit().start().await.unwrap();
    let (door, mut door_ear) = ear(&phone, Some(NOBODY)).await;
    let (other, mut other_ear) = ear(&phone, Some(1)).await;
    let polkit = Polkit::start(&phone, &door).await;
    let mut served = Served::as_core(&phone).await;
    ask(&door).await;
    list(&other).await;
    polkit.falls_silent(&door).await;
    served.bus.received(&arrived(0, "the first of 1025"));
    assert_eq!(told(&mut other_ear, 1).await, paths([0]), "its right is known again");
    let texts = || (0..=u8::MAX).cycle().skip(1).take(1024);
    for n in texts() {
        served.bus.received(&arrived(n, "a further one"));
    }
    until_gone(&mut served, &door).await;
    polkit.now_says(Says::Yes).await;
    until_may_send(&door, true).await;
    say_online(&served);
    assert_eq!(told(&mut other_ear, 1024).await, paths(texts()));
    assert_eq!(told_until_online(&mut door_ear).await, paths([]));
}
