//! The steps of the test, in F-Secure's order, and the table that they end in.

use crate::canary::Canary;
use crate::search::{Search, Sighting};
use crate::wire::{Seen, Wire};
use shunt_kit::phone::ShuntConfig;
use shunt_kit::proxy::{Mode, Proxy};
use shunt_kit::world::{World, go_off, go_online};
use shunt_kit::{Incoming, Phone};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use zbus::Variant;

const ROOT: &str = "org.shunt.Shunt1";
pub(crate) const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";
/// In Alice's address book; uses nothing.
const CONTACT: &str = "+4915777001122";
const CONTACTS_NAME: &str = "Ottilie Quastenflosser";
const OPERATOR: &str = "Quollmobil";
const SMS_BODY: &str = "the numbat leaves the burrow at seven";
const IM_BODY: &str = "a quokka was seen at the old jetty";

/// How long a silent phase goes on after its last step, for what comes late: `make privacy` sets it (seconds).
fn dwell() -> Duration {
    let seconds = std::env::var("DWELL").ok().map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(1))
}

pub(crate) fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_shuntd")).parent().unwrap()
}

/// Everything that a phone of this test must keep to itself.
pub(crate) fn canaries(phone: &Phone) -> Vec<Canary> {
    let identity = phone.modem().identity();
    vec![
        Canary::number("own number", &identity.number),
        Canary::digits("IMEI", &identity.imei),
        Canary::digits("IMSI", &identity.imsi),
        Canary::digits("ICCID", &identity.iccid),
        Canary::digits("MCC and MNC", &identity.operator_code),
        Canary::text("operator's name", &identity.operator_name),
        Canary::number("contact's number", CONTACT),
        Canary::text("contact's name", CONTACTS_NAME),
        Canary::number("peer's number", BOB),
        Canary::text("text of an SMS", SMS_BODY),
        Canary::text("text of an IM", IM_BODY),
    ]
}

/// A phone of the test's, on a network of its own, with its capture running; no daemon has started.
pub(crate) async fn tapped_phone(world: &World) -> (Phone, Wire) {
    let named = |identity: &mut shunt_kit::Identity| OPERATOR.clone_into(&mut identity.operator_name);
    let phone = world.builder(ALICE).identity(named).own_network().start().await.unwrap();
    let wire = Wire::tap(&phone, &world.cloud, world.directory.addr()).await.unwrap();
    (phone, wire)
}

pub(crate) fn config(world: &World, wire: &Wire, programs: &Path) -> ShuntConfig {
    let config = ShuntConfig::new(programs);
    let config = config.cloud(world.cloud.domain(), &wire.xmpp, &wire.directory, world.cloud.ca_pem());
    config.lines(&world.directory.pinned().unwrap())
}

/// What came of one phase.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// Whether not one packet is allowed.
    pub(crate) silent: bool,
    pub(crate) seen: Seen,
    pub(crate) sightings: BTreeSet<Sighting>,
}

/// Alice's phone, watched; Bob's, with a network that can be cut.
pub(crate) struct Story {
    world: World,
    alice: Phone,
    bob: Phone,
    bobs_network: Proxy,
    wire: Wire,
    search: Search,
    texts: usize,
}

impl Story {
    pub(crate) async fn begin() -> Self {
        let world = World::enrolling(programs()).await.unwrap();
        let (bob, bobs_network) = world.phone_behind_proxy(BOB).await.unwrap();
        go_online(bob.shunt()).await.unwrap();
        let (mut alice, wire) = tapped_phone(&world).await;
        alice.start_shunt(config(&world, &wire, programs())).await.unwrap();
        let search = Search::new(&canaries(&alice));
        Self { world, alice, bob, bobs_network, wire, search, texts: 0 }
    }

    pub(crate) fn search(&self) -> &Search {
        &self.search
    }

    /// A new phone: a SIM, a contact, SMS both ways, an MMS announced. The switch is as it came: off.
    pub(crate) async fn factory_state(&mut self) -> Phase {
        assert!(!self.alice.shunt().enabled().await.unwrap());
        self.add_contact().await;
        self.sms_both_ways().await;
        self.calls().await;
        let mms = [0x01, 0x06, 0x23, b'a', b'p', b'p'];
        self.world.smsc.inject(ALICE, &Incoming::to_port(CONTACT, 2948, &mms));
        self.alice.sms().wait_received(|shown| shown.data == mms).await.unwrap();
        self.end_silent("factory state: off; a contact, SMS, MMS, calls").await
    }

    /// The switch goes on, the phone is enrolled; texts both ways by IM, one that falls back.
    pub(crate) async fn on_with_ims_and_a_fallback(&mut self) -> Phase {
        self.enrol().await;
        let (alice, bob) = (self.alice.shunt(), self.bob.shunt());
        alice.wait_route(BOB, "im", "online").await.unwrap();
        alice.send(BOB, IM_BODY).await.unwrap();
        assert_eq!(bob.wait_received(|got| got.text == IM_BODY).await.unwrap().bearer, "im");
        let answer = format!("{IM_BODY}, says the answer");
        bob.wait_route(ALICE, "im", "online").await.unwrap();
        bob.send(ALICE, &answer).await.unwrap();
        assert_eq!(alice.wait_received(|got| got.text == answer).await.unwrap().bearer, "im");
        self.bobs_network.set(Mode::BlackHole).await.unwrap();
        let lost = format!("{IM_BODY}, again");
        let sent = alice.send(BOB, &lost).await.unwrap();
        alice.wait_state(&sent, &["sms-sent"]).await.unwrap();
        bob.wait_received(|got| got.text == lost && got.bearer == "sms").await.unwrap();
        self.bobs_network.set(Mode::Pass).await.unwrap();
        // A contact that uses nothing is asked for too.
        let sent = self.alice.shunt().send(CONTACT, SMS_BODY).await.unwrap();
        self.alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
        self.sms_both_ways().await;
        go_off(self.alice.shunt()).await.unwrap();
        self.end("on: enrols, IM both ways, a fallback", false)
    }

    /// Off again: as silent as before.
    pub(crate) async fn off_again(&mut self) -> Phase {
        self.sms_both_ways().await;
        self.calls().await;
        self.end_silent("off again: SMS both ways, calls").await
    }

    /// Withdrawn: the server has forgotten this phone.
    pub(crate) async fn withdrawn(&mut self) -> Phase {
        let before = self.accounts().await;
        go_online(self.alice.shunt()).await.unwrap();
        let none: HashMap<&str, Variant<'_>> = HashMap::new();
        self.alice.shunt().call(ROOT, "Withdraw", &(none,)).await.unwrap();
        self.alice.shunt().wait_service_state(&["off"]).await.unwrap();
        let gone: Vec<String> = before.difference(&self.accounts().await).cloned().collect();
        let [alice] = &gone[..] else { panic!("one account less: {before:?}, {gone:?}") };
        for table in self.world.cloud.stored().await.unwrap() {
            assert!(!table.rows.iter().any(|row| row.contains(alice)), "{} still names the phone", table.name);
        }
        let database = std::fs::read(self.world.directory.database()).unwrap();
        assert!(!String::from_utf8_lossy(&database).contains(alice), "the directory still knows the phone");
        self.end("withdrawn: on once more, to tell the server", false)
    }

    /// Off for good, until somebody enrols again.
    pub(crate) async fn off_after_that(&mut self) -> Phase {
        self.sms_both_ways().await;
        self.end_silent("after the withdrawal: SMS both ways").await
    }

    /// Reset: a new phone again.
    pub(crate) async fn factory_reset(&mut self) -> Phase {
        self.reset().await;
        self.sms_both_ways().await;
        self.end_silent("factory reset: SMS both ways").await
    }

    /// Enrolled once more, and reset while it cannot tell the server.
    pub(crate) async fn enrolled_anew(&mut self) -> Phase {
        self.enrol().await;
        self.alice.kill_warden().await.unwrap();
        self.end("on: enrols anew, and dies", false)
    }

    /// The server still knows an account of that phone, which knows nothing of it.
    pub(crate) async fn reset_while_enrolled(&mut self) -> Phase {
        self.reset().await;
        self.sms_both_ways().await;
        self.end_silent("reset while enrolled: SMS both ways").await
    }

    /// Enrolling ends the account that the reset left behind.
    pub(crate) async fn enrolled_after_the_reset(&mut self) -> Phase {
        let secrets = self.secrets().await;
        let before = self.accounts().await;
        self.enrol().await;
        assert_eq!(self.accounts().await, before, "the same pseudonym, and no account beside it");
        let new: Vec<String> = self.secrets().await.difference(&secrets).cloned().collect();
        assert_eq!(new.len(), 1, "its log-in is another one");
        go_off(self.alice.shunt()).await.unwrap();
        self.end("on: enrols after the reset", false)
    }

    async fn reset(&mut self) {
        self.alice.stop_shunt().await.unwrap();
        self.alice.wipe_shunt().unwrap();
        self.alice.start_shunt(config(&self.world, &self.wire, programs())).await.unwrap();
        assert!(!self.alice.shunt().enabled().await.unwrap());
    }

    /// The switch goes on. The number is the SIM's own; the code comes by SMS, and the phone takes it by itself.
    async fn enrol(&self) {
        let consent = HashMap::from([("consent", Variant::from("consent-1")), ("locale", Variant::from("de_DE"))]);
        self.alice.shunt().set_enabled(true).await.unwrap();
        self.alice.shunt().call(ROOT, "Enrol", &("", consent)).await.unwrap();
        self.alice.shunt().wait_service_state(&["online"]).await.unwrap();
    }

    /// The XMPP server's accounts, and what it checks their log-ins by.
    async fn secrets(&self) -> BTreeSet<String> {
        let tables = self.world.cloud.stored().await.unwrap();
        tables.into_iter().filter(|table| table.name == "passwd").flat_map(|table| table.rows).collect()
    }

    async fn accounts(&self) -> BTreeSet<String> {
        self.secrets().await.iter().map(|row| row.split('"').nth(1).unwrap().to_owned()).collect()
    }

    async fn add_contact(&self) {
        self.alice.shunt().call("org.shunt.Shunt1.Peers", "SetContacts", &(vec![CONTACT],)).await.unwrap();
    }

    /// One text each way that is an SMS whatever the switch says: the contact uses nothing.
    async fn sms_both_ways(&mut self) {
        self.texts += 1;
        let (out, back) = (format!("{SMS_BODY} ({})", self.texts), format!("{CONTACTS_NAME} here ({})", self.texts));
        let sent = self.alice.shunt().send(CONTACT, &out).await.unwrap();
        self.alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
        self.world.smsc.inject(ALICE, &Incoming::text(CONTACT, &back));
        assert_eq!(self.alice.shunt().wait_received(|got| got.text == back).await.unwrap().bearer, "sms");
    }

    /// One call each way.
    async fn calls(&self) {
        self.alice.call(CONTACT).await.unwrap();
        self.alice.take_call(CONTACT).await.unwrap();
    }

    /// A silent phase lasts a while, and ends without anything of ours that could send.
    async fn end_silent(&mut self, name: &'static str) -> Phase {
        tokio::time::sleep(dwell()).await;
        assert_eq!(self.alice.inet_sockets().unwrap(), 0, "{name}: sockets");
        assert_eq!(self.alice.shunt_pid("shuntd-uplink"), None, "{name}: an uplink");
        self.end(name, true)
    }

    fn end(&mut self, name: &'static str, silent: bool) -> Phase {
        let seen = self.wire.phase().unwrap();
        let sightings = sightings(&self.search, &seen);
        Phase { name, silent, seen, sightings }
    }
}

/// Every canary in what a phase left: on the wire as it was, and opened.
pub(crate) fn sightings(search: &Search, seen: &Seen) -> BTreeSet<Sighting> {
    let on_the_wire = seen.packets.iter().flat_map(|packet| match packet.is_tls() {
        true => search.raw(&packet.bytes),
        false => search.opened(&packet.bytes),
    });
    on_the_wire.chain(seen.opened.iter().flat_map(|stream| search.opened(stream))).collect()
}

/// For people: what was looked for, where, and what was found.
pub(crate) fn table(phases: &[Phase], search: &Search) -> String {
    let mut out = String::from("\nWhat left the phone, and what of the user was in it\n\n");
    for (number, phase) in phases.iter().enumerate() {
        let Phase { name, seen, .. } = phase;
        writeln!(
            out,
            "  {}. {name:<50} {:>5} packets, {:>7} bytes, {:>7} bytes of opened TLS",
            number + 1,
            seen.packets.len(),
            seen.captured_bytes(),
            seen.opened_bytes(),
        )
        .unwrap();
    }
    write!(out, "\n  {:<18} {:>6}", "looked for", "forms").unwrap();
    for number in 1..=phases.len() {
        write!(out, "  phase {number}").unwrap();
    }
    out.push('\n');
    for (canary, forms) in search.forms() {
        write!(out, "  {canary:<18} {forms:>6}").unwrap();
        for phase in phases {
            let times = phase.sightings.iter().filter(|(name, _)| *name == canary).count();
            let found = if times == 0 { "-".to_owned() } else { format!("{times} seen") };
            write!(out, "  {found:>7}").unwrap();
        }
        out.push('\n');
    }
    out
}
