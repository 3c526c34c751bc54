//! SMS pumping: limits, and an alarm.

use super::phone::Phone;
use super::site::Site;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use serde_json::json;
use shunt_kit::smpp::Provider;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn each_limit_refuses_by_name_and_the_country_s_raises_an_alarm_without_a_digit() {
    let provider = Provider::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (script, told) = (dir.path().join("alarm"), dir.path().join("told"));
    std::fs::write(&script, format!("#!/bin/sh\necho \"$@\" > {0:?}.new && mv {0:?}.new {0:?}\n", told)).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let site = Site::with(&format!(
        "[enrolment]\ntrusted_proxies = [\"127.0.0.1\"]\nalarm = [{script:?}, \"shunt\"]\n{}\
         [enrolment.limits]\nnumber_per_day = 1\nblock_per_hour = 2\ncountry_per_hour = 3\n",
        provider.gateway(dir.path()).unwrap()
    ))
    .await;
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
    assert_eq!(ask("+4917612345603", "192.0.2.3").await, 429, "two SMS a block");
    assert_eq!(ask("+4917612345603", "198.51.100.1").await, 202);
    assert!(!site.directory.log().unwrap().contains("ALARM"));
    assert_eq!(ask("+4917612345604", "198.51.100.1").await, 429, "three SMS a country");
    assert_eq!(ask("+33612345678", "198.51.100.2").await, 202, "another country's");

    while !told.exists() {
        tokio::task::yield_now().await;
    }
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "shunt country DE\n");
    let log = site.directory.log().unwrap();
    let alarm = log.lines().find(|line| line.contains("ALARM")).unwrap();
    assert!(alarm.starts_with("<3>ALARM: the country limit"), "{alarm}");
    assert!(!alarm[3..].contains(|c: char| c.is_ascii_digit()), "{alarm}");
}
