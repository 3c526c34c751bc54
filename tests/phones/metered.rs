//! A connection that costs by the byte, as NetworkManager's D-Bus API tells it (a stand-in owns its name: the real one
//! manages devices, and has none here).

use super::{ALICE, BOB, acquainted, world};
use shunt_kit::world::go_online;
use zbus::fdo::RequestNameFlags;

const NAME: &str = "org.freedesktop.NetworkManager";
const PATH: &str = "/org/freedesktop/NetworkManager";

struct NetworkManager(u32);

#[zbus::interface(name = "org.freedesktop.NetworkManager")]
impl NetworkManager {
    #[zbus(property)]
    fn metered(&self) -> u32 {
        self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metered_connection_is_used_only_where_that_is_allowed() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let shunt = alice.shunt();
    go_online(shunt).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    shunt.set("AllowMetered", false).await.unwrap();
    acquainted(&alice, &bob).await;
    shunt.send(BOB, "over this").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "over this").await.unwrap().bearer, "im");
    shunt.wait_route(BOB, "im", "online").await.unwrap();

    // NM_METERED_GUESS_YES, from a service that comes later than we.
    let service = zbus::connection::Builder::address(alice.bus().address()).serve_at(PATH, NetworkManager(3)).build();
    let service = service.await.unwrap();
    service.request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE).await.unwrap();
    shunt.wait_route(BOB, "sms", "metered").await.unwrap();
    let sent = shunt.send(BOB, "not over this").await.unwrap();
    assert_eq!(shunt.wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
    assert_eq!(shunt.get(&sent).await.unwrap().text("reason"), "metered");

    let manager = service.object_server().interface::<_, NetworkManager>(PATH).await.unwrap();
    for (metered, bearer, reason) in [(2, "im", "online"), (1, "sms", "metered"), (4, "im", "online")] {
        manager.get_mut().await.0 = metered;
        manager.get().await.metered_changed(manager.signal_emitter()).await.unwrap();
        shunt.wait_route(BOB, bearer, reason).await.unwrap();
    }
    manager.get_mut().await.0 = 1;
    manager.get().await.metered_changed(manager.signal_emitter()).await.unwrap();
    shunt.wait_route(BOB, "sms", "metered").await.unwrap();
    service.release_name(NAME).await.unwrap();
    shunt.wait_route(BOB, "im", "online").await.unwrap();
}
