//! SMS pumping: limits, and an alarm.

use super::enrolment::kept;
use super::kept::{Kept, on_both};
use super::phone::{NUMBER, Phone};
use super::site::{Site, seconds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use rand_core::OsRng;
use serde_json::json;
use shunt::seal::{Answer, bearer_token, new_secret};
use shunt_kit::directory::Directory;
use shunt_kit::log::Log;
use shunt_kit::smpp::Provider;
use std::os::unix::fs::PermissionsExt;

/// Its clock goes to the middle of an hour: none ends meanwhile, and no day.
async fn in_mid_hour(directory: &mut Directory) {
    directory.stop().await.unwrap();
    directory.restart_as_of(&format!("{:+}", 1_800 - seconds() % 3_600)).await.unwrap();
}

#[tokio::test]
async fn each_limit_refuses_by_name_and_raises_an_alarm_without_a_digit_once_an_hour() {
    let provider = Provider::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (script, told) = (dir.path().join("alarm"), dir.path().join("told"));
    std::fs::write(&told, "").unwrap();
    std::fs::write(&script, format!("#!/bin/sh\necho \"$@\" >> {told:?}\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut site = Site::with(&format!(
        "[enrolment]\ntrusted_proxies = [\"127.0.0.1\"]\nalarm = [{script:?}, \"shunt\"]\n{}\
         [enrolment.limits]\nnumber_per_day = 1\nblock_per_hour = 2\ncountry_per_hour = 3\n",
        provider.gateway(dir.path()).unwrap()
    ))
    .await;
    in_mid_hour(&mut site.directory).await;
    let ask = async |number: &str, from: &str| {
        let phone = Phone::new(&site.directory, &site.pki.ca_pem, number);
        let body = json!({ "sealed": BASE64.encode(phone.request().as_bytes()) }).to_string();
        let forwarded = [("x-forwarded-for", format!("203.0.113.9, {from}"))];
        let forwarded = forwarded.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = phone.client.call_with(Method::PUT, &phone.path(), body, &forwarded).await;
        let wait = answer.headers.get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u32>().unwrap());
        assert_eq!(wait.is_some_and(|wait| wait > 0), answer.status == 429);
        answer.status.as_u16()
    };
    assert_eq!(ask("+4917612345601", "192.0.2.1").await, 202);
    assert_eq!(ask("+4917612345601", "203.0.113.1").await, 429, "one SMS a number");
    assert_eq!(ask("+4917612345602", "192.0.2.2").await, 202);
    assert_eq!(ask("+4917612345602", "203.0.113.2").await, 429, "one SMS to that number too");
    assert_eq!(ask("+4917612345603", "192.0.2.3").await, 429, "two SMS a block");
    assert_eq!(ask("+4917612345603", "203.0.113.3").await, 429, "and to that block");
    assert_eq!(ask("+4917612345603", "198.51.100.1").await, 202);
    assert!(!site.directory.log().unwrap().contains("country limit"));
    assert_eq!(ask("+4917612345604", "198.51.100.1").await, 429, "three SMS a country");
    assert_eq!(ask("+33612345678", "198.51.100.2").await, 202, "another country's");

    let whole = |text: &str| (text.lines().count() == 3).then(|| text.to_owned());
    let rung = Log::watch(&told).unwrap().until(whole).await.unwrap();
    let mut rung: Vec<_> = rung.lines().collect();
    rung.sort_unstable();
    assert_eq!(rung, ["shunt block DE", "shunt country DE", "shunt number DE"]);
    let log = site.directory.log().unwrap();
    let alarms: Vec<_> = log.lines().filter(|line| line.contains("ALARM")).collect();
    for (alarm, limit) in alarms.iter().zip(["number", "block", "country"]) {
        assert!(alarm.starts_with(&format!("<3>ALARM: the {limit} limit")), "{alarm}");
        assert!(!alarm[3..].contains(|c: char| c.is_ascii_digit()), "{alarm}");
    }
    assert_eq!(alarms.len(), 3);
}

async fn who_uses_up_a_number_s_codes_keeps_it_from_enrolling_and_not_from_its_renewal(on: Kept) {
    let (cloud, mut directory, mut provider) = kept(on, "").await;
    in_mid_hour(&mut directory).await;
    let new = |number| Phone::new(&directory, cloud.ca_pem(), number);
    let (mut phone, mut other, mut stranger) = (new(NUMBER), new("+4917612345679"), new(NUMBER));
    let (enrolled, others) = (phone.enrol(&mut provider).await, other.enrol(&mut provider).await);
    let (token, others) = (bearer_token(&enrolled.account.secret), bearer_token(&others.account.secret));
    for _ in 0..4 {
        stranger.anew();
        stranger.code(&mut provider).await;
    }

    let limited = async |phone: &mut Phone, renews| {
        phone.anew();
        phone.renews = renews;
        assert_eq!(phone.start().await.refusal(), (429, "enrolment-limit"));
    };
    limited(&mut stranger, None).await;
    limited(&mut stranger, Some(new_secret(&mut OsRng).unwrap())).await;
    limited(&mut stranger, Some(token.clone())).await;
    limited(&mut phone, Some(others.clone())).await;
    other.number = phone.number.clone();
    limited(&mut other, Some(others.clone())).await;

    for _ in 0..2 {
        phone.anew();
        phone.renews = Some(token.clone());
        let code = phone.code(&mut provider).await;
        let (answer, key) = phone.prove(code, &token).await;
        let Ok(Answer::Renewed(fresh)) = Answer::open(&phone.session, &key, &answer.field("sealed")) else {
            panic!("no certificate")
        };
        assert!(fresh.jid == enrolled.jid);
    }
    limited(&mut phone, Some(token.clone())).await;
    let log = directory.log().unwrap();
    assert_eq!(log.matches("ALARM: the number limit").count(), 1, "{log}");
    for secret in [token, others] {
        assert!(!log.contains(secret.as_str()));
    }
}

on_both!(who_uses_up_a_number_s_codes_keeps_it_from_enrolling_and_not_from_its_renewal);
