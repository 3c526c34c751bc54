//! The kit checked against the real ModemManager: what the other tests stand on.

use shunt_kit::{Phone, Smsc};

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

async fn two_phones() -> (Smsc, Phone, Phone) {
    let smsc = Smsc::new();
    let (alice, bob) = tokio::join!(Phone::builder(&smsc, ALICE).start(), Phone::builder(&smsc, BOB).start());
    (smsc, alice.unwrap(), bob.unwrap())
}

#[tokio::test]
async fn two_phones_exchange_a_text() {
    let (smsc, alice, bob) = two_phones().await;
    alice.sms().send(BOB, "Hallo Bob", false).await.unwrap();
    let got = bob.sms().wait_received(|s| s.text == "Hallo Bob").await.unwrap();
    assert_eq!(got.number, ALICE);
    assert_eq!(smsc.submitted_total(), 1);
}
