//! An enrolled stranger: a second account whose letters this test makes, on an independent XMPP client (slixmpp),
//! against a live phone. What it can't prove is neither shown nor answered.

use super::shuntctl::run;
use super::{ALICE, BOB, world};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand_core::{OsRng, RngCore};
use serde_json::{Value, json};
use shunt::model::{Body, LeaseId, PhoneNumber, TextId, Timestamp};
use shunt::seal::{
    AccountFile, Bundle, CallerProof, Certificate, DirectorySigner, Evaluator, Expected, Identity, IdentityKey, Jid,
    Letter, Party, Payload, Session, Transcript, VerifiedBundle, open, seal,
};
use shunt_kit::phone::Phone;
use shunt_kit::private::note;
use shunt_kit::world::{World, go_off, go_online};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

/// Made by `tests/packages test`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/phones/relay.py");
const STRANGER: &str = "+4915112345699";
const DAY: Duration = Duration::from_secs(86_400);
/// Nothing here takes so long; it only keeps a fault from hanging the run.
const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    Timestamp(i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap())
}

/// A stranger's XMPP client.
pub(super) struct Relay {
    stdin: ChildStdin,
    told: mpsc::Receiver<Value>,
    /// Letters and presence that came.
    heard: Vec<Value>,
}

impl Relay {
    pub(super) fn start(world: &World, jid: &str, secret: &str) -> Self {
        let xmpp = world.cloud.xmpp_addr();
        let mut command = Command::new(PYTHON);
        command.arg(SCRIPT).arg(xmpp.ip().to_string()).arg(xmpp.port().to_string()).arg(jid);
        command.arg(secret).arg(world.cloud.ca_path());
        // It ends with its standard input.
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run `tests/packages test`");
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = lines.map_while(Result::ok);
            let _gone = lines.map(|line| serde_json::from_str(&line).unwrap()).try_for_each(|line| tell.send(line));
            child.wait()
        });
        let mut relay = Self { stdin, told, heard: Vec::new() };
        relay.until("online");
        relay
    }

    /// Takes the first line with that key; waits where there is none yet.
    fn until(&mut self, key: &str) -> Value {
        loop {
            if let Some(place) = self.heard.iter().position(|line| line.get(key).is_some()) {
                return self.heard.remove(place)[key].clone();
            }
            self.heard.push(self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {key}")));
        }
    }

    fn say(&mut self, command: &Value, answer: &str) -> Value {
        writeln!(self.stdin, "{command}").unwrap();
        self.until(answer)
    }

    fn bundle_of(&mut self, jid: &str) -> Vec<u8> {
        let text = self.say(&json!({ "fetch": jid }), "bundle");
        STANDARD.decode(text.as_str().unwrap()).unwrap()
    }

    pub(super) fn send(&mut self, to: &str, envelope: &[u8]) {
        self.send_many(to, 1, envelope);
    }

    /// The same so many times; each `{}` in the address is the number of the letter.
    pub(super) fn send_many(&mut self, to: &str, times: usize, envelope: &[u8]) {
        self.say(&json!({ "send": to, "times": times, "sealed": STANDARD.encode(envelope) }), "sent");
    }

    /// Forgets the letters that came before the server's answer to the last `send`; how many there were.
    pub(super) fn letters(&mut self) -> usize {
        let before = self.heard.len();
        self.heard.retain(|line| line.get("letter").is_none());
        before - self.heard.len()
    }

    /// The next letter from anybody.
    pub(super) fn letter(&mut self) -> Vec<u8> {
        STANDARD.decode(self.until("letter").as_str().unwrap()).unwrap()
    }

    /// How many letters and presences have come and were not taken.
    fn untaken(&mut self) -> usize {
        self.heard.extend(self.told.try_iter());
        self.heard.len()
    }
}

/// The key of an operator's, who plays along.
pub(super) fn evaluator(dir: &Path) -> Evaluator {
    let seed = std::fs::read_to_string(dir.join("keys/a.voprf")).unwrap();
    Evaluator::from_seed(STANDARD.decode(seed.trim()).unwrap().try_into().unwrap(), 'a').unwrap()
}

/// What all operators of a world say of a number.
pub(super) fn transcripts(world: &World, number: &PhoneNumber) -> Vec<Transcript> {
    let second = world.second.as_ref().map(|second| second.dir());
    let operators = std::iter::once(world.directory.dir()).chain(second);
    operators.map(|dir| evaluator(dir).own_transcript(number, &mut OsRng).unwrap()).collect()
}

/// Everything that a stranger has: its own account, and one more key of its own.
pub(super) struct Stranger {
    account: AccountFile,
    identity: Identity,
    relay: Relay,
    /// The phone that it writes to.
    target: VerifiedBundle,
    to: Jid,
}

impl Stranger {
    pub(super) async fn enrol(world: &World, target: &Phone) -> Self {
        let identity = Identity::new(now());
        let file = world.directory.provision(STRANGER, &identity.key().to_text()).await.unwrap();
        let account = AccountFile::parse(&file).unwrap();
        let mut relay = Relay::start(world, &account.jid.to_string(), &account.secret);
        let number = PhoneNumber::from_e164(target.number()).unwrap();
        let key = account.keys.current().unwrap();
        let pseudonym = key.pseudonym(&number, &transcripts(world, &number), account.jid.domain()).unwrap();
        let to = Jid::new(pseudonym, account.jid.domain()).unwrap();
        let bundle = relay.bundle_of(&to.to_string());
        let target = Bundle::decode(&bundle).unwrap().verify(&account.keys, &to, now(), None).unwrap();
        Self { account, identity, relay, target, to }
    }

    fn proof(&self) -> CallerProof {
        CallerProof {
            number: self.account.number.clone(),
            transcripts: self.account.transcripts.clone(),
            certificate: self.account.certificate.clone(),
        }
    }

    fn letter(&self, from: (&Jid, IdentityKey), payload: Payload, proof: Option<CallerProof>) -> Letter {
        let from = Party { jid: from.0.clone(), identity: from.1 };
        Letter { from, to: Party { jid: self.to.clone(), identity: self.target.identity }, payload, proof }
    }

    /// A probe on a session of its own.
    fn probe_by(&self, identity: &Identity, from: &Jid, proof: Option<CallerProof>) -> (Vec<u8>, Session) {
        let mut session = Session::outbound(identity, &self.target).unwrap();
        let letter = self.letter((from, identity.key()), Payload::Probe, proof);
        (seal(&mut session, &letter).unwrap().as_bytes().to_vec(), session)
    }

    fn probe(&self, proof: Option<CallerProof>) -> Vec<u8> {
        self.probe_by(&self.identity, &self.account.jid, proof).0
    }

    /// A true first letter, and the session that it begins.
    pub(super) fn first_probe(&self) -> (Vec<u8>, Session) {
        self.probe_by(&self.identity, &self.account.jid, Some(self.proof()))
    }

    /// The same with another claim of whose it is.
    pub(super) fn claim(&self, number: &PhoneNumber, transcripts: Vec<Transcript>) -> Vec<u8> {
        self.probe(Some(CallerProof { number: number.clone(), transcripts, ..self.proof() }))
    }

    /// What it is shown by while it proves no number.
    pub(super) fn pseudonym(&self) -> String {
        self.account.jid.pseudonym().as_str().to_owned()
    }

    pub(super) fn number(&self) -> String {
        self.account.number.as_e164().to_owned()
    }

    /// What proves its number.
    pub(super) fn transcripts(&self) -> &[Transcript] {
        &self.account.transcripts
    }

    /// Publishes its key bundle as of so long ago.
    pub(super) fn publish(&mut self, age: Duration) {
        let bundle = self.identity.bundle(&self.account.certificate, now().minus(age)).unwrap();
        self.relay.say(&json!({ "publish": STANDARD.encode(bundle) }), "published");
    }

    /// Takes the next letter unread.
    pub(super) fn letter_came(&mut self) {
        self.relay.letter();
    }

    /// Whether nothing has come that was not taken.
    pub(super) fn met_silence(&mut self) -> bool {
        self.relay.untaken() == 0
    }

    /// Whether a letter has come that was not taken.
    pub(super) fn has_letter(&mut self) -> bool {
        self.relay.untaken();
        self.relay.heard.iter().any(|line| line.get("letter").is_some())
    }

    pub(super) fn send(&mut self, envelope: &[u8]) {
        let to = self.to.to_string();
        self.relay.send(&to, envelope);
    }

    pub(super) fn say(&mut self, session: &mut Session, payload: Payload) {
        let letter = self.letter((&self.account.jid, self.identity.key()), payload, None);
        let envelope = seal(session, &letter).unwrap().as_bytes().to_vec();
        self.send(&envelope);
    }

    pub(super) fn read(&mut self, sessions: &mut Vec<Session>) -> Payload {
        let envelope = self.relay.letter();
        let expected = Expected { to: &self.account.jid, from: &self.to, pinned: Some(self.target.identity) };
        open(&mut self.identity, sessions, &expected, &envelope).unwrap().letter.payload
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

pub(super) fn text(lease: LeaseId) -> Payload {
    const BODY: &str = "from a stranger";
    note(BODY);
    Payload::Text { id: TextId(random()), lease, body: Body(BODY.into()), sent: now(), ordinal: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_enrolled_stranger_cannot_prove_is_neither_shown_nor_answered() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let mut stranger = Stranger::enrol(&world, &alice).await;
    let (mine, key) = (stranger.account.jid.clone(), stranger.identity.key());
    let seed = std::fs::read_to_string(world.directory.dir().join("keys/a.ed25519")).unwrap();
    let seed = STANDARD.decode(seed.trim()).unwrap().try_into().unwrap();
    let directory = DirectorySigner::from_seed(&seed).unwrap();
    let forger = DirectorySigner::from_seed(&[5; 32]).unwrap();
    let bobs_number = PhoneNumber::from_e164(BOB).unwrap();
    let bobs_transcripts = transcripts(&world, &bobs_number);
    let pinned = stranger.account.keys.current().unwrap();
    let bobs_name = pinned.pseudonym(&bobs_number, &bobs_transcripts, mine.domain()).unwrap();
    let bobs = Jid::new(bobs_name, mine.domain()).unwrap();
    let bundle = Bundle::decode(&stranger.relay.bundle_of(&bobs.to_string())).unwrap();
    let bobs_certificate = bundle.verify(&stranger.account.keys, &bobs, now(), None).unwrap().certificate;

    let with = |certificate: Certificate| CallerProof { certificate, ..stranger.proof() };
    let issued = |signer: &DirectorySigner, at| with(signer.issue(&mine, &key, at, DAY * 30).unwrap());
    let claims = [
        ("a first letter without a caller proof is dropped", "no-proof", stranger.probe(None)),
        ("is not signed by the directory", "foreign-certificate", stranger.probe(Some(issued(&forger, now())))),
        (
            "the certificate has expired",
            "expired-certificate",
            stranger.probe(Some(issued(&directory, now().minus(DAY * 31)))),
        ),
        ("is dated in the future", "future-certificate", stranger.probe(Some(issued(&directory, now().plus(DAY * 3))))),
        ("certificate is for another address", "other-address", stranger.probe(Some(with(bobs_certificate)))),
        (
            "is not by the pinned directory key",
            "foreign-proof",
            stranger.claim(&bobs_number, stranger.transcripts().to_vec()),
        ),
        ("is not the pseudonym of that number", "other-number", stranger.claim(&bobs_number, bobs_transcripts)),
        (
            "names another sender",
            "other-sender",
            stranger.probe_by(&stranger.identity, &bobs, Some(stranger.proof())).0,
        ),
    ];
    let name = stranger.pseudonym();
    for ((refusal, reason, envelope), times) in claims.iter().zip(1..) {
        stranger.send(envelope);
        alice.logged(refusal, 1).await.unwrap();
        alice.shunt().wait_unverified(&[(&name, reason, times)]).await.unwrap();
    }
    let mut cut = claims[1].2.clone();
    cut.truncate(cut.len() - 1);
    stranger.send(&cut);
    alice.shunt().wait_unverified(&[(&name, "unreadable", 9)]).await.unwrap();
    assert_eq!(alice.shunt().peers().await.unwrap(), [], "a claim is no number");
    assert_eq!(stranger.relay.untaken(), 0, "{:?}", stranger.relay.heard);

    // What is true is answered: the stranger would hear an answer. A replay of it is not.
    let (envelope, session) = stranger.first_probe();
    let mut sessions = vec![session];
    stranger.send(&envelope);
    let Payload::Answer { lease, .. } = stranger.read(&mut sessions) else { panic!("no answer") };
    assert_eq!(stranger.relay.until("presence"), "available");
    let standing = alice.shunt().standing(STRANGER).await.unwrap();
    assert_eq!(standing, "pinned");
    alice.shunt().wait_unverified(&[]).await.unwrap();
    stranger.send(&envelope);
    alice.logged("a letter could not be opened: no session opens", 1).await.unwrap();
    alice.shunt().wait_unverified(&[(&name, "unreadable", 1)]).await.unwrap();

    // Rolled back: a key that the directory vouched for earlier.
    let older = Identity::new(now());
    let earlier = directory.issue(&mine, &older.key(), now().minus(DAY), DAY * 30).unwrap();
    let (envelope, _) =
        stranger.probe_by(&older, &mine, Some(CallerProof { certificate: earlier, ..stranger.proof() }));
    stranger.send(&envelope);
    alice.logged("an older certificate than the one seen last", 1).await.unwrap();
    alice.shunt().wait_unverified(&[(&name, "older-certificate", 2)]).await.unwrap();
    assert_eq!(alice.shunt().standing(STRANGER).await.unwrap(), "pinned");

    // Under a lease that was never granted; and about texts that are not the stranger's.
    for payload in [
        text(LeaseId(random())),
        Payload::Receipt { id: TextId(random()), read: true },
        Payload::RevokeAnswer { id: TextId(random()), shown: false },
        Payload::Answer { lease: LeaseId(random()), ends_in_ms: 1000 },
        Payload::Bye,
    ] {
        stranger.say(&mut sessions[0], payload);
    }
    // Under one that has ended with the phone's connection; its revoke is still owed an answer.
    go_off(alice.shunt()).await.unwrap();
    assert_eq!(stranger.relay.until("presence"), "unavailable");
    go_online(alice.shunt()).await.unwrap();
    stranger.say(&mut sessions[0], text(lease));
    let id = TextId(random());
    stranger.say(&mut sessions[0], Payload::Revoke { id });
    assert_eq!(stranger.read(&mut sessions), Payload::RevokeAnswer { id, shown: false });
    // To whoever is blocked the phone is offline.
    alice.shunt().block(STRANGER, true).await.unwrap();
    for payload in [Payload::Probe, Payload::Revoke { id }, text(lease)] {
        stranger.say(&mut sessions[0], payload);
    }
    alice.logged("somebody who is blocked is passed over", 3).await.unwrap();
    alice.shunt().block(STRANGER, false).await.unwrap();

    // More than it is allowed, and after all of it an honest first text goes by IM.
    for _ in 0..30 {
        let envelope = stranger.probe_by(&older, &mine, Some(stranger.proof())).0;
        stranger.send(&envelope);
    }
    alice.logged("a stranger's letter is passed over", 10).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "from a friend").await.unwrap();
    let got = alice.shunt().wait_received(|_| true).await.unwrap();
    assert_eq!((got.text.as_str(), got.bearer.as_str()), ("from a friend", "im"));
    assert_eq!(alice.shunt().received().len(), 1, "something of the stranger's was shown");
    let refused = alice.shunt().unverified().await.unwrap();
    assert!(refused.iter().map(|(refused, ..)| refused).eq([&name]), "Bob has proven his number: {refused:?}");
    let (code, shown, _) = run(&alice, &["peers", "unverified"]).await;
    assert!(code == 0 && shown.contains(&name) && !shown.contains("15112345"), "by its pseudonym alone: {shown}");
    let (_, json, _) = run(&alice, &["--json", "peers", "unverified"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json[0]["pseudonym"] == *name && json[0]["times"].as_u64() > Some(2), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_does_not_tell_when_its_phone_was_online() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let mut stranger = Stranger::enrol(&world, &alice).await;
    let to = stranger.to.to_string();
    let before = stranger.relay.bundle_of(&to);
    let published = |ledger: &[(u64, String, String, u32)]| ledger.iter().filter(|row| row.1 == "publish").count();
    let earlier = published(&alice.shunt().ledger(0).await.unwrap());
    go_off(alice.shunt()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    assert!(published(&alice.shunt().ledger(0).await.unwrap()) > earlier, "it was published again");
    assert_eq!(stranger.relay.bundle_of(&to), before, "and is the same to the byte");
}
