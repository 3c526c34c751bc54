//! What an app says without waiting for answers, byte by byte.

use crate::{
    ALICE, BOB,
    bare::{App, MESSAGING, MM, PROPERTIES, SMS, Tap, call},
    core::{Core, Script},
    diverting::IM,
    programs,
};
use rustix::process::Signal;
use shunt_kit::{Phone, ShuntConfig, Smsc};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;
use zbus::Variant;

const VOICE: &str = "org.freedesktop.ModemManager1.Modem.Voice";

/// What an app says of a text in one breath: Send; reads it, and makes a call; Delete. Serials and bytes.
fn breath(modem: &str, path: &zbus::OwnedObjectPath) -> [(u32, Vec<u8>); 4] {
    let number = HashMap::from([("number", Variant::from(BOB))]);
    [
        call((MM, path, SMS, "Send"), &()),
        call((MM, modem, MESSAGING, "Delete"), &(path,)),
        call((MM, path, PROPERTIES, "GetAll"), &(SMS,)),
        call((MM, modem, VOICE, "CreateCall"), &(number,)),
    ]
}

fn said(calls: &[(u32, Vec<u8>)]) -> Vec<u8> {
    calls.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_text_behind_its_send_comes_after_it_and_nothing_else_waits() {
    let smsc = Smsc::new();
    let phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
    let word = Arc::new(Notify::new());
    let core = Core::start(phone.bus(), Script { word: Some(word.clone()), ..IM }).await;
    let (tap, door) = Tap::start(&phone, programs());
    let (sms, modem) = (phone.sms(), phone.sms().modem().clone());
    let mut app = App::start(door.socket(), &modem);
    let mut direct = App::start(phone.bus().socket(), &modem);
    let mut submitted = 0;
    for (round, outcome) in ["im", "sms", "org.shunt.Error.Uncertain"].into_iter().enumerate() {
        core.set(|script| script.outcome = Some(outcome));
        let path = sms.create(BOB, outcome, false).await.unwrap();
        let calls = breath(&modem, &path);
        let [send, delete, read, voice] = calls.each_ref().map(|(serial, _)| *serial);
        app.write(&said(&calls));
        core.called("Divert", round + 1).await;
        // ModemManager answers what is not about it, or only reads it; what deletes it was said before those.
        assert_eq!(app.answers([read, voice]), [false; 2]);
        let passed = |serial| tap.messages().iter().position(|(said, _)| *said == serial);
        assert!(passed(delete).is_none() && passed(send).is_none());
        assert!(sms.get(path.clone()).await.is_ok(), "it is there");
        word.notify_one();
        let answers = app.answers([send, delete]);
        assert!(passed(send).unwrap() < passed(delete).unwrap());
        assert_eq!(answers, [outcome.ends_with("Uncertain"), false], "{outcome}");
        assert!(sms.list().await.unwrap().is_empty(), "it was there to be deleted");
        if outcome == "sms" {
            // ModemManager itself says the same, and sends what is deleted meanwhile.
            let path = sms.create(BOB, "direct", false).await.unwrap();
            let calls = breath(&modem, &path);
            direct.write(&said(&calls));
            assert_eq!(direct.answers([calls[0].0, calls[1].0]), answers);
            submitted += 2;
        }
        assert_eq!(smsc.submitted_total(), submitted, "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_switch_off_every_byte_passes_in_its_place_while_the_core_hangs() {
    let smsc = Smsc::new();
    let mut phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
    phone.start_shunt(ShuntConfig::new(programs())).await.unwrap();
    let (tap, door) = Tap::start(&phone, programs());
    let (sms, modem) = (phone.sms(), phone.sms().modem().clone());
    let mut app = App::start(door.socket(), &modem);
    phone.signal("shuntd-core", Signal::STOP).unwrap();
    let before = tap.messages().len();
    let mut calls = Vec::new();
    for text in ["one", "two"] {
        calls.extend(breath(&modem, &sms.create(BOB, text, false).await.unwrap()));
    }
    app.write(&said(&calls));
    app.answers::<8>(std::array::from_fn(|at| calls[at].0));
    assert!(tap.messages()[before..] == calls, "the app's own, as they were said, and nothing else");
    assert_eq!(smsc.submitted_total(), 2);
    phone.signal("shuntd-core", Signal::CONT).unwrap();
}
