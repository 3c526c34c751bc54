//! The detector is proven: a build that leaks on purpose is caught for each canary, over the same
//! wire, through the same TLS, in the same search.

use crate::search::{Search, Sighting};
use crate::story::{canaries, config, programs, sightings, tapped_phone};
use shunt_kit::world::{World, go_online};
use std::collections::BTreeMap;
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
