//! Apps as distributions ship them, unmodified, through the door: their texts go by IM when the
//! recipient is online, and they do not know it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod beside;
mod chatty;
mod conversation;
mod listeners;
mod mmcli;
mod mmsd;
mod monitoring;
mod ofono;
mod reports;
mod screen;
mod session;
mod table;

use shunt_kit::phone::PhoneBuilder;
use shunt_kit::world::World;
use shunt_kit::{Phone, ShuntConfig};
use std::path::Path;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";
/// Nobody is enrolled with it.
const CAROL: &str = "+4915112345699";

fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_shuntd")).parent().unwrap()
}

/// A phone whose SMS stay in the modem, for the app that has always taken them.
async fn phone(world: &World, number: &str) -> Phone {
    start(world, world.builder(number), world.config()).await
}

async fn start(world: &World, phone: PhoneBuilder, config: ShuntConfig) -> Phone {
    let mut phone = phone.start().await.unwrap();
    phone.start_shunt(leaving_sms(config)).await.unwrap();
    world.enrol(&phone).await.unwrap();
    phone
}

fn leaving_sms(mut config: ShuntConfig) -> ShuntConfig {
    config.toml = config.toml.replace("consume = true", "consume = false");
    config
}

/// What came of a text, for the table that `make apps` prints: by which bearer the recipient's core says that it came,
/// as often as it did, and how many SMS with it the SMSC took.
fn came(world: &World, to: &Phone, text: &str) -> String {
    let received = to.shunt().received().into_iter().filter(|came| came.text == text);
    let bearers: Vec<_> = received.map(|came| came.bearer).collect();
    let sms = world.smsc.traffic().texts;
    let sms =
        sms.iter().filter(|sms| sms.to == to.number() && sms.text.as_ref().is_some_and(|is| is.trim_end() == text));
    format!("shown by {}; {} SMS at the SMSC", bearers.join("+"), sms.count())
}
