//! The own number and certificate over time, on real parts.

use super::enrolment::{blank, enrol, enrolling, reason};
use super::shuntctl::run;
use super::{ALICE, BOB, world};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use shunt::model::Timestamp;
use shunt::seal::{AccountFile, DirectorySigner};
use shunt::store::{Blob, KeySource, Store};
use shunt_kit::modem::{Identity, Registration};
use shunt_kit::phone::Phone;
use shunt_kit::world::{go_off, go_online};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    Timestamp(i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap())
}

async fn exported(phone: &Phone) -> Value {
    let (code, out, err) = run(phone, &["export", "-"]).await;
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

async fn expires(phone: &Phone) -> Timestamp {
    Timestamp(exported(phone).await["account"]["certificate-expires"].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_near_its_end_is_renewed_without_an_sms_and_peers_take_the_new_one() {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let mut alice = world.builder(ALICE).start().await.unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    let identity = alice.shunt().identity().await.unwrap();
    let file = world.directory.provision(ALICE, &identity).await.unwrap();
    let mut account = AccountFile::parse(&file).unwrap();
    // As if issued for an hour, fifty minutes ago.
    let seed = std::fs::read_to_string(world.directory.dir().join("keys/a.ed25519")).unwrap();
    let signer = DirectorySigner::from_seed(&STANDARD.decode(seed.trim()).unwrap().try_into().unwrap()).unwrap();
    let (issued, hour) = (now().minus(Duration::from_secs(3000)), Duration::from_secs(3600));
    let (jid, key) = (account.certificate.jid.clone(), account.certificate.identity);
    account.certificate = signer.issue(&jid, &key, issued, hour).unwrap();
    let path = alice.path("account.json");
    std::fs::write(&path, account.to_json().unwrap().as_bytes()).unwrap();
    alice.shunt().import(&path).await.unwrap();
    assert!(expires(&alice).await < now().plus(hour), "it is near its end");

    go_online(alice.shunt()).await.unwrap();
    alice.logged("the certificate is renewed", 1).await.unwrap();
    assert!(expires(&alice).await > now().plus(DAY * 29));
    assert_eq!(world.smsc.submitted_total(), 0, "no SMS was needed");
    let kinds: Vec<String> = alice.shunt().ledger(0).await.unwrap().into_iter().map(|row| row.1).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "renew").count(), 1, "once: {kinds:?}");
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "to the renewed").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "to the renewed").await.unwrap().bearer, "im");
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    alice.shunt().send(BOB, "by the renewed").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "by the renewed").await.unwrap().bearer, "im");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sim_that_was_out_ends_presence_until_a_code_has_proven_the_number_anew() {
    let world = enrolling().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let mut alice = blank(&world, ALICE).await;
    enrol(alice.shunt(), ALICE).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "with SIM").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "with SIM").await.unwrap().bearer, "im");

    alice.modem().set_sim_present(false);
    alice.reattach().await.unwrap();
    // Leases that were granted before run on for three minutes; whoever asks now gets none.
    go_off(bob.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let sent = bob.shunt().send(ALICE, "without SIM").await.unwrap();
    bob.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    assert_eq!(alice.shunt().shown("without SIM"), 0);

    let gateway = world.gateway().unwrap().number().to_owned();
    let codes = || world.smsc.traffic().between(&gateway, ALICE).len();
    assert_eq!(codes(), 1);
    // Strangers have used up all that can be: a renewal has codes of its own.
    world.directory.sql("UPDATE sms SET sent = 1000000").await.unwrap();
    alice.modem().set_sim_present(true);
    alice.reattach().await.unwrap();
    alice.logged("the number was proven anew", 1).await.unwrap();
    assert!(world.directory.log().unwrap().contains("ALARM: the "), "a limit was reached");
    assert_eq!(alice.shunt().wait_received(|text| text.text == "without SIM").await.unwrap().bearer, "sms");
    assert_eq!(codes(), 2, "by a second code, which was shown to nobody");
    assert!(alice.shunt().received().iter().all(|text| !text.text.starts_with("Shunt code ")));
    go_off(bob.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "SIM again").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "SIM again").await.unwrap().bearer, "im");
    assert_eq!(alice.shunt().state().await.unwrap().0, "online");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sim_ends_presence_and_sends_by_sms_until_the_own_one_has_proven_the_number_anew() {
    let world = enrolling().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let mut alice = blank(&world, ALICE).await;
    enrol(alice.shunt(), ALICE).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "own SIM").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "own SIM").await.unwrap().bearer, "im");

    let other = "+4915112345677";
    let imei = alice.modem().identity().imei.clone();
    alice.modem().set_other_sim(Some(Identity { imei, ..Identity::of(other) }));
    alice.reattach().await.unwrap();
    // Leases of before run on for three minutes; whoever asks now gets none.
    go_off(bob.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let sent = bob.shunt().send(ALICE, "to the number").await.unwrap();
    bob.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    assert_eq!(alice.shunt().route(BOB).await.unwrap().reason, "other-line");
    alice.shunt().send(BOB, "by the other SIM").await.unwrap();
    let got = bob.shunt().wait_received(|text| text.text == "by the other SIM").await.unwrap();
    assert_eq!((got.bearer.as_str(), got.from.as_str()), ("sms", other));
    assert_eq!(alice.shunt().shown("to the number"), 0, "its SIM is in no phone");

    let gateway = world.gateway().unwrap().number().to_owned();
    let codes = |number| world.smsc.traffic().between(&gateway, number).len();
    assert_eq!((codes(ALICE), codes(other)), (1, 0));
    alice.modem().set_other_sim(None);
    alice.reattach().await.unwrap();
    alice.logged("the number was proven anew", 1).await.unwrap();
    assert_eq!((codes(ALICE), codes(other)), (2, 0));
    assert_eq!(alice.shunt().wait_received(|text| text.text == "to the number").await.unwrap().bearer, "sms");
    go_off(bob.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "own SIM again").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "own SIM again").await.unwrap().bearer, "im");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sim_that_is_pulled_ends_presence_at_once_though_the_phones_other_one_stays() {
    let world = enrolling().await;
    let bob = world.phone(BOB).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let mut alice = blank(&world, ALICE).await;
    let other = "+4915112345677";
    alice.plug_beside(other).await.unwrap();
    line(&alice, other).await;
    enrol(alice.shunt(), ALICE).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "two SIMs").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "two SIMs").await.unwrap().bearer, "im");

    // A modem that only begins anew costs nothing, not even a lease.
    alice.lose_port().await;
    alice.reattach().await.unwrap();
    line(&alice, ALICE).await;
    let sent = bob.shunt().send(ALICE, "begun anew").await.unwrap();
    bob.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap();
    assert_eq!(exported(&alice).await["own-line"]["to-be-proven"], false);

    alice.modem().set_sim_present(false);
    alice.reattach().await.unwrap();
    alice.logged("the account's SIM is not in this phone", 1).await.unwrap();
    // Who held a lease is told, long before it would have run out.
    let told = async { while bob.shunt().route(ALICE).await.unwrap().bearer == "im" {} };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
    let sent = bob.shunt().send(ALICE, "to the number").await.unwrap();
    bob.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    assert!(bob.shunt().states(&sent).iter().all(|state| !state.starts_with("im-")));
    assert_eq!(exported(&alice).await["own-line"]["to-be-proven"], true);
    // The other SIM's texts pass, both ways.
    assert_eq!(alice.shunt().route(BOB).await.unwrap().reason, "other-line");
    alice.shunt().send(BOB, "by the other SIM").await.unwrap();
    let got = bob.shunt().wait_received(|text| text.text == "by the other SIM").await.unwrap();
    assert_eq!((got.bearer.as_str(), got.from.as_str()), ("sms", other));
    bob.shunt().send(other, "to the other SIM").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "to the other SIM").await.unwrap().bearer, "sms");
    assert_eq!(alice.shunt().shown("to the number"), 0, "its SIM is in no phone");

    alice.modem().set_sim_present(true);
    alice.reattach().await.unwrap();
    alice.logged("the number was proven anew", 1).await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "to the number").await.unwrap().bearer, "sms");
    let gateway = world.gateway().unwrap().number().to_owned();
    let codes = |number| world.smsc.traffic().between(&gateway, number).len();
    assert_eq!((codes(ALICE), codes(other)), (2, 0));
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
}

/// The stopped daemons' store says that the account's SIM was last seen registered so long ago.
fn not_registered_for(phone: &Phone, ago: Duration) {
    let (state, witness) = (phone.state_dir(), phone.path("shunt-run"));
    // The key file is the core's own.
    let key = KeySource::Command(vec!["cat".into(), state.join("key").into()]).load(true).unwrap();
    let mut store = Store::open(&state, &witness, &key).unwrap();
    store
        .transaction(|tx| {
            let kept = tx.blob(Blob::OwnLine)?.unwrap();
            let (proven, _, doubtful, tried, moving): (i64, i64, bool, i64, i64) = postcard::from_bytes(&kept).unwrap();
            let aged = (proven, now().minus(ago).0, doubtful, tried, moving);
            tx.put_blob(Blob::OwnLine, &postcard::to_allocvec(&aged).unwrap())
        })
        .unwrap();
    drop(store);
    let owner = std::fs::metadata(&state).unwrap().uid();
    for dir in [state, witness] {
        for file in std::fs::read_dir(dir).unwrap() {
            std::os::unix::fs::lchown(file.unwrap().path(), Some(owner), Some(owner)).unwrap();
        }
    }
}

/// Until the daemons show the modem so. ModemManager's look-up of the operator may overtake the news and undo it;
/// the network says it again with every new cell.
async fn registered(phone: &Phone, registration: Registration, shown: &str) {
    loop {
        phone.modem().set_registration(registration);
        if tokio::time::timeout(Duration::from_secs(2), line(phone, shown)).await.is_ok() {
            break;
        }
    }
}

/// Until the daemons show a line that says so.
async fn line(phone: &Phone, shown: &str) {
    while !format!("{:?}", phone.shunt().property("org.shunt.Shunt1", "Lines").await.unwrap()).contains(shown) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sim_that_was_not_registered_for_a_day_is_silent_until_it_is() {
    let world = world().await;
    let (mut alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(bob.shunt()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "registered").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "registered").await.unwrap().bearer, "im");

    let mut last = String::new();
    for (hours, bearer) in [(23, "im"), (25, "sms")] {
        // Anew where ModemManager undid the news after all.
        for round in 1.. {
            registered(&alice, Registration::Searching, "searching").await;
            alice.stop_shunt().await.unwrap();
            not_registered_for(&alice, Duration::from_secs(hours * 3600));
            alice.start_shunt(world.config()).await.unwrap();
            alice.shunt().wait_service_state(&["online"]).await.unwrap();
            last = format!("after {hours} hours, {round}");
            let sent = bob.shunt().send(ALICE, &last).await.unwrap();
            let state = bob.shunt().wait_state(&sent, &["im-delivered", "sms-sent"]).await.unwrap();
            let seen = exported(&alice).await["own-line"]["registered"].as_i64().unwrap();
            if Timestamp(seen) < now().minus(Duration::from_secs((hours - 1) * 3600)) {
                assert!(state.starts_with(bearer), "{last}: {state}");
                break;
            }
        }
    }
    assert_eq!(alice.shunt().shown(&last), 0);
    registered(&alice, Registration::Home, "home").await;
    assert_eq!(alice.shunt().wait_received(|text| text.text == last).await.unwrap().bearer, "sms");
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "registered again").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "registered again").await.unwrap().bearer, "im");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_store_has_no_account_and_the_number_can_enrol_again() {
    let world = enrolling().await;
    let mut alice = blank(&world, ALICE).await;
    enrol(alice.shunt(), ALICE).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.stop_shunt().await.unwrap();
    let database = alice.state_dir().join("store.db");
    let copy = std::fs::read(&database).unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    alice.stop_shunt().await.unwrap();
    for log in ["store.db-wal", "store.db-shm"] {
        let _absent = std::fs::remove_file(alice.state_dir().join(log));
    }
    std::fs::write(&database, copy).unwrap();
    alice.start_shunt(world.config_to_enrol().unwrap()).await.unwrap();
    let shunt = alice.shunt();
    assert_eq!(shunt.state().await.unwrap().0, "off");
    assert_eq!(alice.inet_sockets().unwrap(), 0, "the copy said On, and an account");
    shunt.set_enabled(true).await.unwrap();
    reason(shunt, "no-account").await;
    enrol(shunt, ALICE).await.unwrap();
    shunt.wait_service_state(&["online"]).await.unwrap();
}
