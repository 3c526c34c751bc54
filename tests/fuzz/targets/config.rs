//! A drop-in of the integrator's. (No stranger writes one; a wrong one must still be told by name.)
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::config::Config;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("shunt-fuzz-config-{}.toml", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).unwrap();
    if let Err(error) = Config::load(&FILE, Path::new("/nonexistent"), &[]) {
        let _ = error.to_string();
    }
});
