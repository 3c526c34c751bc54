//! The detector is proven: a build that leaks on purpose is caught for each canary, over the same
//! wire, through the same TLS, in the same search.

use crate::search::{Search, Sighting};
use crate::story::{canaries, config, programs, sightings, tapped_phone};
use shunt_kit::world::{World, go_online};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The daemons, with the core that leaks in the core's place.
fn leaking_programs(dir: &Path) {
    let leaking = programs().join("shuntd-core-leaking");
    assert!(leaking.exists(), "make privacy builds {}", leaking.display());
    for (from, to) in [("shuntd", "shuntd"), ("shuntd-uplink", "shuntd-uplink"), ("shuntd-core-leaking", "shuntd-core")]
    {
        let (from, to) = (programs().join(from), dir.join(to));
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_leaks_is_caught_for_each_canary_in_each_form() {
    let dir = tempfile::tempdir().unwrap();
    leaking_programs(dir.path());
    let world = World::start(programs()).await.unwrap();
    let (mut alice, mut wire) = tapped_phone(&world).await;
    let canaries = canaries(&alice);
    // One of each way to write it, a line each.
    let mut leaked: BTreeMap<(&str, &str), Vec<u8>> = BTreeMap::new();
    for canary in &canaries {
        for form in canary.forms() {
            leaked.entry((canary.name, form.how)).or_insert(form.bytes);
        }
    }
    let secrets: Vec<&[u8]> = leaked.values().map(Vec::as_slice).collect();
    let credentials = alice.path("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("leak"), secrets.join(&b'\n')).unwrap();

    let mut config = config(&world, &wire, dir.path());
    config.environment.push(("CREDENTIALS_DIRECTORY".into(), credentials.display().to_string()));
    alice.start_shunt(config).await.unwrap();
    world.enrol(&alice).await.unwrap();
    go_online(alice.shunt()).await.unwrap();

    let found = sightings(&Search::new(&canaries), &wire.phase().unwrap());
    let missed = |(name, how): &&(&'static str, &str)| {
        let written = |(seen, as_written): &Sighting| seen == name && as_written.ends_with(how);
        !found.iter().any(written)
    };
    assert_eq!(leaked.keys().filter(missed).collect::<Vec<_>>(), [] as [&(&str, &str); 0]);
}

/// Sends a datagram past all servers, looks a name up, says another one in TLS, and asks the directory for a third thing.
const OTHER_WAYS: &str = r"
import socket, ssl, sys
name, server, path, stray = (said.encode() for said in sys.argv[1:])
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
# First: a capture may show the last packets late.
datagrams.sendto(stray, ('198.51.100.8', 9))
question = bytes([len(name)]) + name + bytes([0, 0, 1, 0, 1])
datagrams.sendto(b'?!' + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + question, ('192.0.2.53', 53))
address = '.'.join(str(byte) for byte in datagrams.recv(512)[-4:])
connection = socket.create_connection((address, 443))
context = ssl._create_unverified_context()
directory = context.wrap_socket(connection, server_hostname=server.decode() + '.example')
directory.sendall(b'GET /' + path + b' HTTP/1.0\r\n\r\n')
directory.recv(1)
";

#[tokio::test(flavor = "multi_thread")]
async fn each_way_off_the_phone_is_searched() {
    let world = World::start(programs()).await.unwrap();
    let (alice, mut wire) = tapped_phone(&world).await;
    let canaries = canaries(&alice);
    let identity = alice.modem().identity();
    let number = identity.number.trim_start_matches('+');
    let said = [number, &identity.imei, &identity.imsi, &identity.iccid];
    let ran = alice.command("python3").arg("-c").arg(OTHER_WAYS).args(said).status().unwrap();
    assert!(ran.success());
    let seen = wire.phase().unwrap();
    assert!(!seen.stray().is_empty());
    let found = sightings(&Search::new(&canaries), &seen);
    let names: BTreeSet<&str> = found.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, BTreeSet::from(["own number", "IMEI", "IMSI", "ICCID"]));
}
