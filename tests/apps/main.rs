//! Apps as distributions ship them, unmodified, through the door: their texts go by IM when the
//! recipient is online, and they do not know it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chatty;
mod conversation;
mod screen;

use shunt_kit::Phone;
use shunt_kit::world::World;
use std::path::Path;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_shuntd")).parent().unwrap()
}

/// A phone whose SMS stay in the modem, for the app that has always taken them.
async fn phone(world: &World, number: &str) -> Phone {
    let mut phone = world.builder(number).start().await.unwrap();
    let mut config = world.config();
    config.toml = config.toml.replace("consume = true", "consume = false");
    phone.start_shunt(config).await.unwrap();
    world.enrol(&phone).await.unwrap();
    phone
}
