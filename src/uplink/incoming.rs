//! What a stanza means for us: who may say it, and whether it answers something.

use super::driver::{MAX_SEALED, iq_id, message_id};
use super::element::{Element, NS_CLIENT};
use super::jid::Sender;
use super::requests::{Asked, Iqs, Sends};
use super::stanza::{self, NS_PING, NS_PUBSUB, NS_SHUNT, NS_STANZA_ERROR};
use crate::wall::{Connect, FetchError, FromUplink, Opaque, RequestId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;

/// How many peers' resources are remembered.
const MAX_PEERS: usize = 512;
/// The longest stanza id that is answered.
const MAX_ID: usize = 256;

/// What to do about a stanza.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Tell the core.
    Tell(FromUplink),
    /// Say this to the server.
    Answer(String),
    /// Nothing: it was to be expected.
    Expected,
    /// Nothing: nobody asked for it.
    Ignore,
}

/// Each peer's last resource that was seen available. A session that was cut lingers at the server
/// for a while after its owner came back with another; when it is given up at last, its `unavailable`
/// must not make the peer look gone.
#[derive(Default)]
pub(crate) struct Peers(HashMap<String, String>);

impl Peers {
    fn available(&mut self, local: &str, resource: &str) {
        if self.0.len() >= MAX_PEERS && !self.0.contains_key(local) {
            self.0.clear();
        }
        self.0.insert(local.to_owned(), resource.to_owned());
    }

    /// Whether this takes the peer away.
    fn unavailable(&mut self, local: &str, resource: &str) -> bool {
        let another = self.0.get(local).is_some_and(|last| last != resource);
        if !another {
            self.0.remove(local);
        }
        !another
    }
}

/// Judges a stanza.
pub(crate) fn judge(
    element: &Element,
    account: &Connect,
    peers: &mut Peers,
    sends: &mut Sends,
    iqs: &mut Iqs,
) -> Heard {
    if element.ns != NS_CLIENT {
        return Heard::Ignore;
    }
    let from = Sender::of(element.from.as_deref(), &account.domain);
    let ours = account.account.as_str();
    match (element.name.as_str(), element.kind.as_deref()) {
        ("message", Some("headline")) => headline(element, &from, ours),
        ("message", Some("error")) => returned(element, &from, sends),
        ("presence", kind @ (None | Some("unavailable"))) => presence(&from, kind.is_none(), ours, peers),
        ("iq", Some("get" | "set")) => request(element, &from),
        ("iq", Some(kind @ ("result" | "error"))) => answer(element, &from, kind == "result", ours, iqs),
        _ => Heard::Ignore,
    }
}

fn headline(element: &Element, from: &Sender<'_>, ours: &str) -> Heard {
    match (from, element.text_of(NS_SHUNT, "sealed")) {
        (Sender::Account(local, _), Some(sealed)) => match decode(sealed) {
            Some(sealed) => Heard::Tell(FromUplink::Received { from: (*local).to_owned(), sealed }),
            None => Heard::Ignore,
        },
        // Our own publishing comes back as an event.
        (Sender::Account(local, _), None) if *local == ours => Heard::Expected,
        _ => Heard::Ignore,
    }
}

fn returned(element: &Element, from: &Sender<'_>, sends: &mut Sends) -> Heard {
    let by = match from {
        Sender::Account(local, _) => Some(*local),
        Sender::Server => None,
        Sender::Stranger => return Heard::Ignore,
    };
    let request = number(element, message_id);
    request.and_then(|request| sends.bounced(request, by)).map_or(Heard::Ignore, Heard::Tell)
}

fn presence(from: &Sender<'_>, available: bool, ours: &str, peers: &mut Peers) -> Heard {
    match from {
        // The server reflects our own.
        Sender::Account(local, _) if *local == ours => Heard::Expected,
        Sender::Account(local, resource) => {
            let resource = resource.unwrap_or_default();
            if available {
                peers.available(local, resource);
            } else if !peers.unavailable(local, resource) {
                return Heard::Expected;
            }
            Heard::Tell(FromUplink::Presence { from: (*local).to_owned(), available })
        }
        Sender::Server | Sender::Stranger => Heard::Ignore,
    }
}

/// A stranger's question gets the answer that the server gives for a resource that is not there.
fn request(element: &Element, from: &Sender<'_>) -> Heard {
    let to = element.from.as_deref();
    match element.id.as_deref().filter(|id| id.len() <= MAX_ID) {
        Some(id) if *from == Sender::Server && element.has(NS_PING, "ping") => Heard::Answer(stanza::pong(id, to)),
        Some(id) => Heard::Answer(stanza::unserved(id, to)),
        None => Heard::Ignore,
    }
}

fn answer(element: &Element, from: &Sender<'_>, ok: bool, ours: &str, iqs: &mut Iqs) -> Heard {
    let Some(request) = number(element, iq_id) else { return Heard::Ignore };
    let Some(asked) = iqs.asked(request) else { return Heard::Ignore };
    let bare = match from {
        Sender::Account(local, None) => Some(*local),
        Sender::Server => None,
        Sender::Account(_, Some(_)) | Sender::Stranger => return Heard::Ignore,
    };
    let told = match (asked, bare) {
        // An error answers too: the server lives.
        (Asked::Ping, None) => FromUplink::Pong { request },
        (Asked::Publish, bare) if bare.is_none_or(|bare| bare == ours) => FromUplink::Published { request, ok },
        (Asked::Fetch(of), Some(bare)) if of == bare => FromUplink::Fetched { request, result: bundle(element, ok) },
        _ => return Heard::Ignore,
    };
    iqs.answered(request);
    Heard::Tell(told)
}

fn bundle(element: &Element, ok: bool) -> Result<Opaque, FetchError> {
    if !ok {
        let gone = ["item-not-found", "service-unavailable"].iter().any(|why| element.has(NS_STANZA_ERROR, why));
        return Err(if gone { FetchError::NotFound } else { FetchError::Unavailable });
    }
    match element.text_of(NS_SHUNT, "bundle") {
        Some(bundle) => decode(bundle).ok_or(FetchError::NotFound),
        None if element.has(NS_PUBSUB, "items") => Err(FetchError::NotFound),
        None => Err(FetchError::Unavailable),
    }
}

fn decode(base64: &str) -> Option<Opaque> {
    STANDARD.decode(base64).ok().filter(|bytes| (1..=MAX_SEALED).contains(&bytes.len())).map(Opaque)
}

/// The request that a stanza's id was made from.
fn number(element: &Element, id_of: impl Fn(RequestId) -> String) -> Option<RequestId> {
    let id = element.id.as_deref()?;
    let request = RequestId(id.get(1..)?.parse().ok()?);
    (id_of(request) == id).then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::Secret;
    use zeroize::Zeroizing;

    struct World {
        account: Connect,
        peers: Peers,
        sends: Sends,
        iqs: Iqs,
    }

    fn world() -> World {
        let secret = || Secret(Zeroizing::new(String::new()));
        let account = postcard::from_bytes(&postcard::to_allocvec("1me").unwrap()).unwrap();
        let account = Connect {
            account,
            domain: "shunt.test".into(),
            secret: secret(),
            servers: vec![],
            directory: String::new(),
            token: secret(),
            second: None,
            ca: String::new(),
            keep_alive: 0,
            node: "node".into(),
        };
        World { account, peers: Peers::default(), sends: Sends::default(), iqs: Iqs::default() }
    }

    impl World {
        fn hears(&mut self, xml: &str) -> Heard {
            let element = Element::parse(xml.as_bytes()).unwrap();
            judge(&element, &self.account, &mut self.peers, &mut self.sends, &mut self.iqs)
        }

        fn is_told(&mut self, xml: &str) -> Option<FromUplink> {
            match self.hears(xml) {
                Heard::Tell(message) => Some(message),
                _ => None,
            }
        }
    }

    #[test]
    fn only_a_sealed_headline_of_our_own_domain_is_received() {
        let mut world = world();
        let sealed = |from: &str, kind: &str, body: &str| {
            format!("<message from='{from}' type='{kind}'><sealed xmlns='urn:shunt:1'>{body}</sealed></message>")
        };
        let told = world.is_told(&sealed("1you@shunt.test/x", "headline", "AAEC"));
        assert_eq!(told, Some(FromUplink::Received { from: "1you".into(), sealed: Opaque(vec![0, 1, 2]) }));
        for (from, kind, body) in [
            ("1you@elsewhere.test", "headline", "AAEC"),
            ("shunt.test", "headline", "AAEC"),
            ("1you@shunt.test", "chat", "AAEC"),
            ("1you@shunt.test", "headline", "not base64"),
            ("1you@shunt.test", "headline", ""),
            ("1you@shunt.test", "headline", &STANDARD.encode(vec![0; MAX_SEALED + 1])),
        ] {
            assert!(matches!(world.hears(&sealed(from, kind, body)), Heard::Ignore), "{from} {kind}");
        }
    }

    #[test]
    fn a_lingering_old_session_does_not_take_a_peer_away() {
        let mut world = world();
        let seen = |available| Some(FromUplink::Presence { from: "1you".into(), available });
        assert_eq!(world.is_told("<presence from='1you@shunt.test/old'/>"), seen(true));
        assert_eq!(world.is_told("<presence from='1you@shunt.test/new'/>"), seen(true));
        assert_eq!(world.is_told("<presence from='1you@shunt.test/old' type='unavailable'/>"), None);
        assert_eq!(world.is_told("<presence from='1you@shunt.test/new' type='unavailable'/>"), seen(false));
        assert!(world.is_told("<presence from='1them@shunt.test/x' type='unavailable'/>").is_some());
        assert_eq!(world.is_told("<presence from='1you@shunt.test/new' type='subscribe'/>"), None);
        assert_eq!(world.is_told("<presence from='1me@shunt.test/new'/>"), None);
    }

    #[test]
    fn an_answer_counts_only_from_whom_was_asked() {
        let mut world = world();
        world.iqs.sent(RequestId(4), Asked::Fetch("1you".into()));
        let result = |from: &str| {
            format!(
                "<iq type='result' id='q4' from='{from}'><pubsub xmlns='{NS_PUBSUB}'><items node='node'>\
                 <item id='current'><bundle xmlns='urn:shunt:1'>AAEC</bundle></item></items></pubsub></iq>"
            )
        };
        for from in ["1them@shunt.test", "1you@shunt.test/resource", "shunt.test", "1you@elsewhere.test"] {
            assert!(matches!(world.hears(&result(from)), Heard::Ignore), "{from}");
        }
        let told = world.is_told(&result("1you@shunt.test"));
        assert_eq!(told, Some(FromUplink::Fetched { request: RequestId(4), result: Ok(Opaque(vec![0, 1, 2])) }));
        assert!(matches!(world.hears(&result("1you@shunt.test")), Heard::Ignore), "once");
    }

    #[test]
    fn questions_get_answers_and_pings_only_the_server_s() {
        let mut world = world();
        let ping = "<iq type='get' id='p' from='shunt.test'><ping xmlns='urn:xmpp:ping'/></iq>";
        assert!(matches!(world.hears(ping), Heard::Answer(xml) if xml.contains("result")));
        let ping = "<iq type='get' id='p' from='1you@shunt.test/x'><ping xmlns='urn:xmpp:ping'/></iq>";
        assert!(matches!(world.hears(ping), Heard::Answer(xml) if xml.contains("service-unavailable")));
        assert!(matches!(world.hears("<iq type='get' from='1you@shunt.test/x'/>"), Heard::Ignore));
    }

    #[test]
    fn an_error_bounces_the_send_that_it_names() {
        let mut world = world();
        world.sends.sent(RequestId(7), "1you");
        assert!(matches!(world.hears("<message type='error' id='m7' from='1them@shunt.test'/>"), Heard::Ignore));
        assert!(matches!(world.hears("<message type='error' id='m07' from='1you@shunt.test'/>"), Heard::Ignore));
        let told = world.is_told("<message type='error' id='m7' from='1you@shunt.test'/>");
        assert_eq!(told, Some(FromUplink::Bounced { request: RequestId(7) }));
    }
}
