//! What each program links, read from its symbols: the core has no TLS and no XMPP, the uplink no
//! SQLite, no D-Bus and no message keys, the warden next to nothing. Needs unstripped binaries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use object::{Object, ObjectSymbol};
use std::{collections::BTreeSet, fs, hint::black_box};

const CORE: &str = env!("CARGO_BIN_EXE_shuntd-core");
const UPLINK: &str = env!("CARGO_BIN_EXE_shuntd-uplink");
const DOOR: &str = env!("CARGO_BIN_EXE_shunt-door");
const WARDEN: &str = env!("CARGO_BIN_EXE_shuntd");

const TLS_AND_XMPP: [&str; 6] = ["rustls", "tokio_rustls", "webpki", "tokio_xmpp", "xmpp_parsers", "hyper"];
const STORE_BUS_AND_KEYS: [&str; 6] = ["sqlite3", "rusqlite", "zbus", "zvariant", "vodozemac", "argon2"];

#[test]
fn the_core_links_no_tls_and_no_xmpp() {
    assert_eq!(linked(CORE, &TLS_AND_XMPP), [] as [&str; 0]);
    let own = ["sqlite3", "rusqlite", "zbus", "vodozemac"];
    assert_eq!(linked(CORE, &own), own);
}

#[test]
fn the_uplink_links_no_store_no_bus_and_no_keys() {
    assert_eq!(linked(UPLINK, &STORE_BUS_AND_KEYS), [] as [&str; 0]);
    let own = ["rustls", "tokio_xmpp", "hyper"];
    assert_eq!(linked(UPLINK, &own), own);
}

#[test]
fn the_door_links_no_tls_no_xmpp_no_store_and_no_keys() {
    let keys = ["sqlite3", "rusqlite", "vodozemac", "argon2", "ring"];
    assert_eq!(linked(DOOR, &[&TLS_AND_XMPP[..], &keys].concat()), [] as [&str; 0]);
    assert_eq!(linked(DOOR, &["tokio", "zbus"]), ["tokio", "zbus"]);
}

#[test]
fn the_warden_links_no_runtime_no_bus_and_no_parser() {
    let all = ["tokio", "mio", "serde", "postcard", "toml", "clap", "ring"];
    assert_eq!(linked(WARDEN, &[&all[..], &TLS_AND_XMPP, &STORE_BUS_AND_KEYS].concat()), [] as [&str; 0]);
    assert_eq!(linked(WARDEN, &["shunt", "rustix"]), ["shunt", "rustix"]);
}

/// This test program links some of each on purpose.
#[test]
fn the_detector_finds_what_is_linked() {
    black_box(rusqlite::Connection::open_in_memory as fn() -> _);
    black_box(vodozemac::olm::Account::new as fn() -> _);
    black_box(rustls::RootCertStore::empty as fn() -> _);
    black_box(tokio::runtime::Builder::new_current_thread().build().unwrap());
    let own = std::env::current_exe().unwrap();
    let expected = ["sqlite3", "rusqlite", "vodozemac", "rustls", "tokio"];
    assert_eq!(linked(own.to_str().unwrap(), &expected), expected);
}

#[test]
fn a_name_is_told_from_one_that_contains_it() {
    assert!(names("_ZN5tokio7runtime5build17h0123456789abcdefE", "tokio"));
    assert!(names("_RNvNtCs1234_5tokio7runtime5build", "tokio"));
    assert!(!names("_ZN10tokio_xmpp4open17h0123456789abcdefE", "tokio"));
    assert!(!names("_ZN15tokio5build17h0123456789abcdefE", "tokio"));
    assert!(names("sqlite3_open_v2", "sqlite3"));
}

/// Those of the crates or C libraries that a binary has symbols of.
fn linked<'a>(binary: &str, wanted: &[&'a str]) -> Vec<&'a str> {
    let bytes = fs::read(binary).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    // Code and data; names of source files are there too, and say nothing.
    let defined = file.symbols().filter(ObjectSymbol::is_definition);
    let symbols: BTreeSet<&str> = defined.filter_map(|symbol| symbol.name().ok()).collect();
    assert!(symbols.len() > 100, "{binary} is stripped: build it without");
    wanted.iter().copied().filter(|name| symbols.iter().any(|symbol| names(symbol, name))).collect()
}

/// Whether a mangled symbol has the crate in its path (its length stands before the name), or a C
/// symbol begins with the library's name.
fn names(symbol: &str, name: &str) -> bool {
    let mangled = format!("{}{name}", name.len());
    let in_path = symbol.match_indices(&mangled).any(|(at, _)| !symbol[..at].ends_with(|c: char| c.is_ascii_digit()));
    in_path || symbol.starts_with(&format!("{name}_"))
}
