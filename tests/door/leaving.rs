//! Apps that hang up, however they do it, and apps that don't listen: by hand, as no library lets one.

use crate::{
    BOB,
    bare::{App, MESSAGING, MM},
    core::{Core, Script},
    diverting::{IM, phone},
    receiving::{core, im},
    through::peak_memory,
};
use shunt_kit::{Door, phone::Sms};
use std::sync::Arc;
use tokio::sync::Notify;

/// How an app hangs up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum HangUp {
    /// It has read what it was told.
    Clean,
    /// It has not: the door reads ECONNRESET, and EPIPE where it writes.
    Unread,
}

/// An app that has written Send to an object, and has hung up.
async fn sends_and_hangs_up(door: &Door, other: &Sms, text: &str, how: HangUp) {
    let mut app = App::start(door.socket(), other.modem());
    let path = other.create(BOB, text, false).await.unwrap();
    if how == HangUp::Unread {
        // A byte of the signal is there, and so is the rest.
        app.bytes::<1>();
    } else {
        // The signal alone tells of the object.
        app.next();
    }
    app.send(&path);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_text_of_an_app_that_hangs_up_is_sent_whichever_way_it_goes_and_however_it_hung_up() {
    let (smsc, phone, door) = phone().await;
    let core = Core::start(phone.bus(), IM).await;
    let other = phone.sms_through(&door).await.unwrap();
    for how in [HangUp::Clean, HangUp::Unread] {
        // Not worth a Divert; taken; let go of.
        for (bearer, outcome) in [("sms", "im"), ("im", "im"), ("im", "sms")] {
            core.set(|script: &mut Script| (script.bearer, script.outcome) = (Some(bearer), Some(outcome)));
            let (text, diverted) = (format!("{how:?} {bearer} {outcome}"), core.calls("Divert").len());
            sends_and_hangs_up(&door, &other, &text, how).await;
            if outcome == "im" && bearer == "im" {
                core.called("Divert", diverted + 1).await;
            } else {
                smsc.wait_for_text(&text, |sms| sms.text.as_deref() == Some(&*text)).await.unwrap();
            }
        }
        // The core's word comes when the app has long gone.
        let word = Arc::new(Notify::new());
        core.set(|script| (script.outcome, script.word) = (Some("sms"), Some(word.clone())));
        let (text, diverted) = (format!("{how:?} late"), core.calls("Divert").len());
        sends_and_hangs_up(&door, &other, &text, how).await;
        core.called("Divert", diverted + 1).await;
        // The door has seen it when it serves another.
        other.list().await.unwrap();
        core.set(|script| script.word = None);
        word.notify_one();
        smsc.wait_for_text(&text, |sms| sms.text.as_deref() == Some(&*text)).await.unwrap();
    }
}

async fn listed(app: &Sms) -> Vec<zbus::OwnedObjectPath> {
    let reply = app.connection().call_method(Some(MM), app.modem(), Some(MESSAGING), "List", &()).await.unwrap();
    reply.body().deserialize().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_asks_for_a_long_list_again_and_again_and_reads_none_costs_bounded_memory() {
    const IMS: u32 = 3_000;
    /// dbus-daemon lets 128 be unanswered.
    const CALLS: usize = 100;
    let (_smsc, phone, door) = phone().await;
    let inbox = (1..=IMS).map(|serial| im(serial, "a text")).collect();
    let _core = core(&phone, Script { inbox, page: 256, ..IM }).await;
    let lively = phone.sms_through(&door).await.unwrap();
    assert_eq!(listed(&lively).await.len(), IMS as usize);
    let mut deaf = App::start(door.socket(), lively.modem());
    let before = peak_memory(door.pid());
    let list = (MM, lively.modem().as_str(), MESSAGING, "List");
    let serials: Vec<u32> = (0..CALLS).map(|_| deaf.say(list, &())).collect();
    // ModemManager has answered all when it answers this.
    for _ in 0..3 {
        listed(&lively).await;
    }
    let grown = peak_memory(door.pid()) - before;
    assert!(grown < 8 << 20, "{grown} bytes for {CALLS} answers");
    // In whichever order polkit lets ModemManager answer.
    let mut open: std::collections::HashSet<u32> = serials.into_iter().collect();
    while !open.is_empty() {
        let heard = deaf.next();
        if open.remove(&heard.answers) {
            assert!(heard.length > IMS as usize * 40, "all are listed");
        }
    }
}
