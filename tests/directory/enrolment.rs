//! Enrolment by the phone itself: what becomes of it, and what of everything that goes wrong.

use super::BINARY;
use super::client::blinded;
use super::kept::Kept;
use super::phone::{NUMBER, Phone, now, other};
use super::scram::{Login, logs_in};
use super::site::Site;
use shunt::seal::{Code, SealedRequest};
use shunt_kit::cloud::Cloud;
use shunt_kit::directory::Directory;
use shunt_kit::smpp::Provider;
use std::path::Path;
use std::time::Duration;

/// A cloud whose directory sends codes through an SMPP provider.
pub(super) async fn start(more: &str) -> (Cloud, Directory, Provider) {
    kept(Kept::InAFile, more).await
}

pub(super) async fn kept(kept: Kept, more: &str) -> (Cloud, Directory, Provider) {
    let cloud = Cloud::start().await.unwrap();
    let provider = Provider::start().await.unwrap();
    let more = format!("[enrolment]\n{}{more}", provider.gateway(cloud.dir()).unwrap());
    let directory = cloud.start_directory_with(Path::new(BINARY), &kept.database().await, &more).await.unwrap();
    (cloud, directory, provider)
}

/// A directory without an XMPP server, for all that ends before an account.
pub(super) async fn site(kept: Kept, first: &str, more: &str) -> (Site, Provider, tempfile::TempDir) {
    site_at(&kept.database().await, first, more).await
}

pub(super) async fn site_at(database: &str, first: &str, more: &str) -> (Site, Provider, tempfile::TempDir) {
    let provider = Provider::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let more = format!("[enrolment]\n{first}{}{more}", provider.gateway(dir.path()).unwrap());
    let site = Site::at(database, &more).await;
    (site, provider, dir)
}

fn phone(site: &Site, number: &str) -> Phone {
    Phone::new(&site.directory, &site.pki.ca_pem, number)
}

#[tokio::test]
async fn a_phone_enrols_itself_and_a_lost_answer_costs_nothing() {
    let (cloud, directory, mut provider) = start("").await;
    let phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let request = phone.request();
    let started = phone.put(&request).await;
    assert_eq!((started.status.as_u16(), &started.body["expires"]), (202, &600.into()));
    assert_eq!(phone.put(&request).await.status, 202, "the same request again");
    let sms = provider.sms().await.unwrap();
    assert_eq!((sms.from.as_str(), sms.coding.as_str(), sms.validity.as_str()), ("Shunt", "0", "000000001000000R"));
    let code = shunt::seal::CodeSms::parse(&sms.text).unwrap().code;

    let confirmation = phone.confirmation(code);
    let answer = phone.post(&confirmation.request).await.field("sealed");
    let enrolled = phone.believe(&confirmation, &answer);
    assert_eq!(phone.post(&confirmation.request).await.field("sealed"), answer, "asked again, byte for byte");
    assert_eq!(phone.confirm(code).await.refusal(), (409, "session-conflict"), "one account a code");
    assert_eq!(phone.put(&request).await.status, 202);
    assert_eq!(phone.start().await.refusal(), (409, "session-conflict"));

    assert!(logs_in(&cloud, &Login::of(&enrolled, cloud.ca_pem())).await);
    let (_, point) = blinded(&phone.number);
    phone.device(&enrolled).evaluate('a', &[point]).await.evaluations();

    // All that went out was one SMS: the next that the provider tells is another number's.
    let next = Phone::new(&directory, cloud.ca_pem(), "+4917612345679");
    next.code(&mut provider).await;
}

#[tokio::test]
async fn a_new_phone_with_the_number_signs_the_old_one_out() {
    let (cloud, directory, mut provider) = start("").await;
    let old = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let first = old.enrol(&mut provider).await;
    let login = Login::of(&first, cloud.ca_pem());
    let mut session = super::scram::session(&cloud, &login).await;

    let new = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let second = new.enrol(&mut provider).await;
    assert_eq!(second.jid, first.jid);
    let farewell = session.rest().await;
    assert!(farewell.contains("<conflict") && farewell.contains("User removed"), "{farewell}");
    assert!(!logs_in(&cloud, &login).await);
    assert!(logs_in(&cloud, &Login::of(&second, cloud.ca_pem())).await);
    let (_, point) = blinded(&old.number);
    assert_eq!(old.device(&first).evaluate('a', &[point]).await.refusal(), (401, "unknown-token"));
}

#[tokio::test]
async fn without_the_xmpp_server_a_right_code_stays_good() {
    let (mut cloud, directory, mut provider) = start("").await;
    let phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let confirmation = phone.confirmation(phone.code(&mut provider).await);
    cloud.stop().await.unwrap();
    assert_eq!(phone.post(&confirmation.request).await.refusal(), (503, "unavailable"));
    cloud.restart().await.unwrap();
    let answer = phone.post(&confirmation.request).await.field("sealed");
    phone.believe(&confirmation, &answer);
}

#[tokio::test]
async fn five_wrong_codes_end_an_enrolment() {
    let (site, mut provider, _dir) = site(Kept::InAFile, "", "").await;
    let mut phone = phone(&site, NUMBER);
    let code = phone.code(&mut provider).await;
    for _ in 0..4 {
        assert_eq!(phone.confirm(other(code)).await.refusal(), (403, "code-wrong"));
    }
    assert_eq!(phone.confirm(other(code)).await.refusal(), (410, "code-spent"));
    assert_eq!(phone.confirm(code).await.refusal(), (410, "code-spent"), "the right one comes too late");
    phone.anew();
    phone.code(&mut provider).await;
}

#[tokio::test]
async fn a_session_is_its_own_number_s_and_no_way_to_guess_another_one_s_code() {
    let (site, mut provider, _dir) = site(Kept::InAFile, "", "").await;
    let mut phone = phone(&site, NUMBER);
    let code = phone.code(&mut provider).await;
    let mine = std::mem::replace(&mut phone.number, shunt::model::PhoneNumber::from_e164("+4917612345679").unwrap());
    for _ in 0..6 {
        assert_eq!(phone.confirm(code).await.refusal(), (422, "number-other"));
    }
    phone.number = mine;
    assert_eq!(phone.confirm(other(code)).await.refusal(), (403, "code-wrong"), "no attempt was lost");
}

#[tokio::test]
async fn a_late_code_meets_no_session() {
    let (site, mut provider, _dir) = site(Kept::InAFile, "life = 1\n", "").await;
    let phone = phone(&site, NUMBER);
    let (request, late) = (phone.request(), phone.confirmation(Code::from_typed("00000000").unwrap()));
    assert_eq!(phone.put(&request).await.status, 202);
    provider.sms().await.unwrap();
    // Wrong while it lasts, unknown once it is over.
    loop {
        match phone.post(&late.request).await.refusal() {
            (404, "session-unknown") => break,
            refusal => assert!(matches!(refusal, (403, "code-wrong") | (410, "code-spent")), "{refusal:?}"),
        }
    }
    assert_eq!(phone.put(&request).await.refusal(), (409, "session-conflict"), "a replay sends no SMS");
}

#[tokio::test]
async fn a_number_that_gets_no_code_is_refused_by_name() {
    let (site, _provider, _dir) = site(Kept::InAFile, "", "").await;
    for (number, refusal) in [
        ("+49302270000", (422, "number-not-mobile")),
        ("+499001234567", (422, "number-not-mobile")),
        ("+498001234567", (422, "number-not-mobile")),
        ("+491761234567890", (422, "number-invalid")),
        ("+4917600", (422, "number-invalid")),
    ] {
        assert_eq!(phone(&site, number).start().await.refusal(), refusal, "{number}");
    }
}

#[tokio::test]
async fn what_is_no_request_of_this_phone_and_day_is_refused_by_name() {
    let (site, mut provider, _dir) = site(Kept::InAFile, "", "").await;
    let mut phone = phone(&site, NUMBER);
    let day = Duration::from_secs(86_400);
    for made in [now().minus(day * 2), now().plus(day * 2)] {
        assert_eq!(phone.put(&phone.request_at(made)).await.refusal(), (403, "clock"));
    }
    let mut changed = phone.request().as_bytes().to_vec();
    changed[200] ^= 1;
    let changed = SealedRequest::again(changed).unwrap();
    assert_eq!(phone.put(&changed).await.refusal(), (400, "bad-request"));
    let mut strange = phone.key;
    strange.epoch = 'z';
    std::mem::swap(&mut phone.key, &mut strange);
    assert_eq!(phone.start().await.refusal(), (404, "unknown-epoch"));
    std::mem::swap(&mut phone.key, &mut strange);
    let request = phone.request();
    phone.anew();
    assert_eq!(phone.put(&request).await.refusal(), (400, "bad-request"), "under another id");

    let code = phone.code(&mut provider).await;
    let mut thief = self::phone(&site, NUMBER);
    thief.session = phone.session;
    assert_eq!(thief.confirm(code).await.refusal(), (404, "session-unknown"), "another phone's key");
    assert_eq!(thief.start().await.refusal(), (409, "session-conflict"));
}

#[tokio::test]
async fn without_a_gateway_phones_are_told_to_ask_the_operator() {
    let site = Site::start().await;
    let phone = phone(&site, NUMBER);
    assert_eq!(phone.start().await.refusal(), (403, "enrolment-closed"));
    assert_eq!(phone.confirm(Code::from_typed("12345678").unwrap()).await.refusal(), (403, "enrolment-closed"));
}
