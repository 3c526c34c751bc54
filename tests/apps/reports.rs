//! Delivery reports of texts that went by IM, as `mmcli` has them of SMS.

use super::mmcli::{send_with, two_online};
use super::{BOB, leaving_sms, programs};
use shunt_kit::phone::{Sms, sms::Shown};
use shunt_kit::table::row;
use shunt_kit::world::World;

async fn reports(app: &Sms) -> Vec<Shown> {
    app.list().await.unwrap().into_iter().filter(|shown| shown.status_report).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_mmcli_deletes_stays_away_after_restarts_and_the_others_stay() {
    let world = World::start(programs()).await.unwrap();
    let (mut alice, bob) = two_online(&world).await;
    let door = alice.door(programs()).unwrap();
    let app = alice.sms_through(&door).await.unwrap();
    let mut asked = Vec::new();
    for (text, report) in [("deleted", "yes"), ("kept", "yes"), ("not asked for", "no")] {
        let sent = send_with(&door, BOB, text, report).await;
        bob.shunt().wait_received(|came| came.text == text && came.bearer == "im").await.unwrap();
        if report == "yes" {
            let is_new = |report: &Shown| asked.iter().all(|known: &Shown| known.path != report.path);
            let report = app.wait_report(is_new).await.unwrap();
            // The other app's text is known here no later than its report.
            assert_eq!(report.reference, app.get(sent).await.unwrap().reference);
            asked.push(report);
        }
    }
    let [deleted, kept] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(reports(&app).await.len(), 2);
    assert_eq!((kept.number.as_str(), kept.delivery_state), (BOB, 0));
    door.mmcli(&["-m", "any", &format!("--messaging-delete-sms={}", deleted.path)]).await.unwrap();
    // The other app on the phone sees it go.
    app.wait_gone(&deleted.path).await.unwrap();
    // Without the text's own object, too.
    let sent = app.list().await.unwrap().into_iter().find(|shown| shown.text == "kept").unwrap();
    door.mmcli(&["-m", "any", &format!("--messaging-delete-sms={}", sent.path)]).await.unwrap();

    drop((app, door));
    alice.kill_core().await.unwrap();
    alice.start_shunt(leaving_sms(world.config())).await.unwrap();
    let door = alice.door(programs()).unwrap();
    let app = alice.sms_through(&door).await.unwrap();
    let found = app.wait_report(|report| report.path == kept.path).await.unwrap();
    assert_eq!((found.reference, found.timestamp), (kept.reference, kept.timestamp.clone()));
    // They come in one answer of the core's.
    let left = reports(&app).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(reports(&alice.sms()).await.len(), 0, "ModemManager has none");
    assert_eq!(world.smsc.submitted_total(), 0);
    let seen = format_args!("{} of {} shown after restarts", left.len(), asked.len());
    row("mmcli", "delivery reports by IM, one of them deleted", seen);
}
