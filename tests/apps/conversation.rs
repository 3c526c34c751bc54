//! A conversation from Chatty to Chatty.

use super::{ALICE, BOB, came, phone, programs};
use crate::chatty::Chatty;
use shunt_kit::table::row;
use shunt_kit::world::{World, go_off, go_online};
use std::path::{Path, PathBuf};

/// Where the screenshots go.
fn shots() -> PathBuf {
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
    std::fs::create_dir_all(&shots).unwrap();
    shots
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_in_one_chatty_arrives_in_the_other_by_im_and_by_sms_when_it_is_offline() {
    let world = World::start(programs()).await.unwrap();
    let (alice, bob) = (phone(&world, ALICE).await, phone(&world, BOB).await);
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let doors = [alice.door(programs()).unwrap(), bob.door(programs()).unwrap()];
    let mut on_alices = Chatty::start(&alice, &doors[0].address(), BOB, "chatty").unwrap();
    let mut on_bobs = Chatty::start(&bob, &doors[1].address(), ALICE, "chatty").unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();

    on_alices.write("are you at the old jetty?").unwrap();
    on_bobs.until(|got| got.incoming && got.body == "are you at the old jetty?").unwrap();
    on_alices.until(|sent| sent.body == "are you at the old jetty?" && sent.status >= 3).unwrap();
    on_bobs.write("yes, with a quokka").unwrap();
    on_alices.until(|got| got.incoming && got.body == "yes, with a quokka").unwrap();
    bob.shunt().wait_received(|got| got.text == "are you at the old jetty?").await.unwrap();
    alice.shunt().wait_received(|got| got.text == "yes, with a quokka").await.unwrap();
    let both_online = came(&world, &bob, "are you at the old jetty?");
    assert_eq!(both_online, came(&world, &alice, "yes, with a quokka"));
    assert_eq!(both_online, "shown by im; 0 SMS at the SMSC");

    go_off(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "sms", "registered-offline").await.unwrap();
    // In the order of its way, so that a failure says how far it came.
    on_alices.write("stay there").unwrap();
    on_alices.until(|sent| sent.body == "stay there" && sent.status >= 3).unwrap();
    assert_eq!(world.smsc.traffic().between(ALICE, BOB), ["stay there"]);
    on_bobs.until(|got| got.incoming && got.body == "stay there").unwrap();

    for (chatty, name) in [(&on_alices, "alice.png"), (&on_bobs, "bob.png")] {
        chatty.shoot(&shots().join(name)).unwrap();
    }
    for chatty in [&on_alices, &on_bobs] {
        let mut bodies: Vec<_> = chatty.messages().unwrap().into_iter().map(|message| message.body).collect();
        bodies.sort();
        assert_eq!(bodies, ["are you at the old jetty?", "stay there", "yes, with a quokka"], "each once");
    }
    assert!(on_alices.running() && on_bobs.running());
    row("Chatty", "typed and answered, both online", both_online);
    row("Chatty", "typed while the other is offline", came(&world, &bob, "stay there"));
}
