//! Who sends the code: an SMPP provider that is not ours, and a modem behind the real ModemManager.

use super::enrolment::start;
use super::phone::{NUMBER, Phone};
use super::site::Site;
use shunt::seal::CodeSms;
use shunt_kit::Smsc;
use shunt_kit::smpp::Provider;

fn phone(site: &Site, number: &str) -> Phone {
    Phone::new(&site.directory, &site.pki.ca_pem, number)
}

#[tokio::test]
async fn what_the_provider_says_is_told_to_the_phone() {
    let (cloud, directory, mut provider) = start("").await;
    let phone = |number| Phone::new(&directory, cloud.ca_pem(), number);
    for number in ["+4917612345658", "+4917612345611"] {
        let mut phone = phone(number);
        assert_eq!(phone.start().await.refusal(), (502, "sms-failed"));
        assert_eq!(provider.sms().await.unwrap().to, number[1..]);
        provider.told("alive").await.unwrap();
        phone.anew();
        assert_eq!(phone.start().await.refusal().1, "sms-failed", "and again, under the next id");
        provider.sms().await.unwrap();
    }
}

#[tokio::test]
async fn a_provider_that_hangs_up_or_was_away_is_found_again() {
    let mut provider = Provider::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let many = "[enrolment.limits]\nnumber_per_day = 100000\nblock_per_hour = 100000\n\
                country_per_hour = 100000\nglobal_per_hour = 100000\n";
    let site = Site::with(&format!("[enrolment]\n{}{many}", provider.gateway(dir.path()).unwrap())).await;
    let hangs_up = phone(&site, "+4917612345699");
    let started = hangs_up.start().await;
    assert_eq!(started.status, 202, "nobody knows: the SMS may come: {}", site.directory.log().unwrap());
    assert_eq!(provider.told("bind").await.unwrap(), ["taken", "0x34"]);
    provider.told("gone").await.unwrap();
    phone(&site, NUMBER).code(&mut provider).await;

    let port = provider.addr().port();
    drop(provider);
    let mut waiting = phone(&site, "+4917612345600");
    while waiting.start().await.status == 202 {
        // The link's end may be noticed by the first SMS only.
        waiting.anew();
    }
    let mut provider = Provider::start_on(port).await.unwrap();
    loop {
        waiting.anew();
        if waiting.start().await.status == 202 {
            break;
        }
    }
    assert!(CodeSms::parse(&provider.sms().await.unwrap().text).unwrap().is_for(&waiting.session));
}

#[tokio::test]
async fn a_modem_of_the_directory_sends_the_code_and_keeps_nothing() {
    let smsc = Smsc::new();
    let gateway = shunt_kit::Phone::builder(&smsc, "+4915100000001").start().await.unwrap();
    let more = format!("[enrolment]\n[enrolment.gateway.modem]\nbus = \"{}\"\n", gateway.bus().address());
    let site = Site::with(&more).await;
    let phone = phone(&site, NUMBER);
    let started = phone.start().await;
    assert_eq!(started.status, 202, "{:?} {}", started.body, site.directory.log().unwrap());
    let sms = smsc.wait_for_text("the code", |sms| sms.to == NUMBER).await.unwrap();
    assert!(CodeSms::parse(&sms.text.unwrap()).unwrap().is_for(&phone.session));
    assert_eq!(smsc.submitted_parts(), 1);
    assert_eq!(gateway.sms().list().await.unwrap().len(), 0, "ModemManager keeps no SMS");
}
