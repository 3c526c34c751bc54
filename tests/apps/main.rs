//! Apps as distributions ship them, unmodified, through the door: their texts go by IM when the
//! recipient is online, and they do not know it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod beside;
mod chatty;
mod conversation;
mod mmcli;
mod mmsd;
mod monitoring;
mod screen;
mod session;
mod table;

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
    let mut phone = world.builder(number).start().await.unwrap();
    phone.start_shunt(leaving_sms(world.config())).await.unwrap();
    world.enrol(&phone).await.unwrap();
    phone
}

fn leaving_sms(mut config: ShuntConfig) -> ShuntConfig {
    config.toml = config.toml.replace("consume = true", "consume = false");
    config
}

/// A line of the table that `make apps` prints, of texts: by which bearer, and how many SMS the SMSC counted.
fn row(app: &str, done: &str, bearer: &str, sms: usize) {
    shunt_kit::table::row(app, done, format_args!("by {bearer}; {sms} SMS at the SMSC"));
}
