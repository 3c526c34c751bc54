//! The core that leaks on purpose: see `shunt::core` with the feature `leak`. For the privacy test alone.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(shunt::core::run(std::env::args_os().skip(1)))
}
