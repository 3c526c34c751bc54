//! Apps as distributions ship them, unmodified, through the door: their texts go by IM when the
//! recipient is online, and they do not know it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chatty;
mod conversation;
mod screen;

use std::path::Path;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_shuntd")).parent().unwrap()
}
