//! The app of an ordinary user, on a bus with the policies of a system: ModemManager's own denies him what it lets
//! root do.

use crate::{
    ALICE, BOB,
    core::Script,
    diverting::IM,
    programs,
    receiving::{core, im, shown_as},
};
use shunt_kit::{Phone, Smsc, phone::sms::state, shunt::error_name};

/// nobody.
const USER: u32 = 65534;

#[tokio::test]
async fn an_ordinary_users_app_reads_and_deletes_what_came_and_learns_what_became_of_what_it_sent() {
    let smsc = Smsc::new();
    let phone = Phone::builder(&smsc, ALICE).system_policy().start().await.unwrap();
    let door = phone.door_as(programs(), USER).unwrap();
    let core = core(&phone, Script { inbox: vec![im(7, "an IM")], ..IM }).await;
    let app = phone.sms_through(&door).await.unwrap();
    let ping = Some("org.freedesktop.DBus.Peer");
    let service = Some("org.freedesktop.ModemManager1");
    let denied = app.connection().call_method(service, "/", ping, "Ping", &()).await.unwrap_err();
    let denied = error_name(&denied.into());
    assert_eq!(denied.as_deref(), Some("org.freedesktop.DBus.Error.AccessDenied"), "the policy is there");
    let (root, properties) = ("/org/freedesktop/ModemManager1", Some("org.freedesktop.DBus.Properties"));
    app.connection()
        .call_method(service, root, properties, "Get", &("org.freedesktop.ModemManager1", "Version"))
        .await
        .unwrap();

    let listed = app.list().await.unwrap();
    let [shown] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((shown.path.as_str(), shown.text.as_str()), (&*shown_as(7), "an IM"));
    // Twice, as Chatty does.
    for _ in 0..2 {
        app.delete(&shown.path).await.unwrap();
    }
    assert!(app.list().await.unwrap().is_empty());
    assert_eq!(core.calls("Delete").len(), 1);

    // polkit lets nobody without a session create one: root does.
    let path = phone.sms().create(BOB, "hello", false).await.unwrap();
    for error in ["org.shunt.Error.Uncertain", "org.shunt.Error.Failed"] {
        core.set(|script| script.outcome = Some(error));
        let refused = app.send_object(&path).await.unwrap_err();
        assert_eq!(error_name(&refused).as_deref(), Some(error));
    }
    core.set(|script| script.outcome = Some("im"));
    app.send_object(&path).await.unwrap();
    assert_eq!(app.get(path).await.unwrap().state, state::SENT);
    assert_eq!(smsc.submitted_total(), 0);
}
