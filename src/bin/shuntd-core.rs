//! `shuntd-core`: modem, bus, store, keys and router; started by `shuntd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(shunt::core::run(std::env::args_os().skip(1)))
}
