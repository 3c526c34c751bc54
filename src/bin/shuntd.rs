//! `shuntd`, the warden: starts `shuntd-core`, and `shuntd-uplink` while the switch is on.

use shunt::warden::{Order, USAGE, parse, run};
use std::process::ExitCode;

/// Wrong command line or users (sysexits.h `EX_USAGE`): init need not try again.
const USAGE_ERROR: u8 = 64;

fn main() -> ExitCode {
    let settings = match parse(std::env::args_os().skip(1)) {
        Ok(Order::Run(settings)) => settings,
        Ok(Order::Help) => return print(USAGE),
        Ok(Order::Version) => return print(concat!("shuntd ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(e) => {
            eprintln!("shuntd: {e}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    match run(&settings) {
        Ok(status) => ExitCode::from(status),
        Err(e) => {
            let cause = std::error::Error::source(&e).map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("shuntd: {e}{cause}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)]
fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}
