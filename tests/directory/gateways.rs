//! Who sends the code: an SMPP provider that is not ours, and a modem behind the real ModemManager.

use super::enrolment::start;
use super::phone::{NUMBER, Phone};
use super::site::Site;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shunt::seal::CodeSms;
use shunt_kit::Smsc;
use shunt_kit::cloud::Pki;
use shunt_kit::smpp::Provider;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// For those who ask until they are answered.
pub(super) const MANY: &str = "[enrolment.limits]\nnumber_per_day = 100000\nblock_per_hour = 100000\n\
                    country_per_hour = 100000\nglobal_per_hour = 100000\n";

fn phone(site: &Site, number: &str) -> Phone {
    Phone::new(&site.directory, &site.pki.ca_pem, number)
}

#[tokio::test]
async fn what_the_provider_says_is_told_to_the_phone() {
    let (cloud, directory, mut provider) = start("").await;
    let phone = |number| Phone::new(&directory, cloud.ca_pem(), number);
    for number in ["+4917612345608", "+4917612345611"] {
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
async fn a_code_that_the_provider_does_not_take_just_now_is_submitted_again() {
    let mut provider = Provider::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::with(&format!("[enrolment]\n{}", provider.gateway(dir.path()).unwrap())).await;
    let phone = phone(&site, "+4917612345658");
    assert_eq!(phone.start().await.status, 202);
    let (refused, taken) = (provider.sms().await.unwrap(), provider.sms().await.unwrap());
    assert_eq!(refused, taken);
    assert!(CodeSms::parse(&taken.text).unwrap().is_for(&phone.session));
}

#[tokio::test]
async fn a_provider_that_hangs_up_or_was_away_is_found_again() {
    let mut provider = Provider::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::with(&format!("[enrolment]\n{}{MANY}", provider.gateway(dir.path()).unwrap())).await;
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

#[tokio::test]
async fn a_modem_is_found_again_when_its_service_or_its_bus_was_restarted() {
    let smsc = Smsc::new();
    let dir = tempfile::tempdir().unwrap();
    let bus = dir.path().join("bus");
    // The bus's address stays, as that of a system's does, while another daemon comes to serve it.
    let serve = |phone: &shunt_kit::Phone| {
        let _ = std::fs::remove_file(&bus);
        std::os::unix::fs::symlink(phone.bus().address().strip_prefix("unix:path=").unwrap(), &bus).unwrap();
    };
    let mut gateway = shunt_kit::Phone::builder(&smsc, "+4915100000001").start().await.unwrap();
    serve(&gateway);
    let more = format!("[enrolment]\n[enrolment.gateway.modem]\nbus = \"unix:path={}\"\n{MANY}", bus.display());
    let site = Site::with(&more).await;
    let sent = async |what: &str, number: &str| {
        let mut phone = phone(&site, number);
        while phone.start().await.status != 202 {
            phone.anew();
        }
        let sms = smsc.wait_for_text(what, |sms| sms.to == number).await.unwrap();
        assert!(CodeSms::parse(&sms.text.unwrap()).unwrap().is_for(&phone.session));
    };
    sent("the first code", "+4917612345671").await;
    gateway.stop_modem_service().await;
    let refused = phone(&site, NUMBER).start().await;
    assert_eq!(refused.refusal(), (502, "sms-failed"));
    gateway.restart_modem_service().await.unwrap();
    sent("one after ModemManager's restart", "+4917612345672").await;
    drop(gateway);
    assert_eq!(phone(&site, NUMBER).start().await.refusal(), (502, "sms-failed"));
    let gateway = shunt_kit::Phone::builder(&smsc, "+4915100000002").start().await.unwrap();
    serve(&gateway);
    sent("one after the bus's restart", "+4917612345673").await;
}

/// TLS in front of a provider, as providers offer it.
async fn behind_tls(provider: &Provider, pki: &Pki) -> u16 {
    let chain = CertificateDer::pem_file_iter(&pki.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&pki.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (acceptor, behind) = (TlsAcceptor::from(Arc::new(config)), provider.addr());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust this certificate goes away.
            let Ok(mut outside) = acceptor.accept(stream).await else { continue };
            let mut inside = TcpStream::connect(behind).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        }
    });
    port
}

#[tokio::test]
async fn an_smpp_provider_is_spoken_to_over_tls_by_its_own_ca_alone() {
    let mut provider = Provider::start().await.unwrap();
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (pki, other) = (
        Pki::generate("smpp.example.net", dir.path()).unwrap(),
        Pki::generate("smpp.example.net", elsewhere.path()).unwrap(),
    );
    let port = behind_tls(&provider, &pki).await;
    let plain = provider.gateway(dir.path()).unwrap();
    let over_tls = |ca: &Path| {
        let tls = plain.replace(&provider.addr().to_string(), &format!("localhost:{port}"));
        format!("[enrolment]\n{tls}ca = {ca:?}\n")
    };
    let (trusting, mistaken) = (over_tls(&pki.ca), over_tls(&other.ca));
    let site = Site::with(&mistaken).await;
    assert_eq!(phone(&site, NUMBER).start().await.refusal(), (502, "sms-failed"));
    let log = site.directory.log().unwrap();
    assert!(log.contains("certificate"), "{log}");
    let site = Site::with(&trusting).await;
    phone(&site, NUMBER).code(&mut provider).await;
}
