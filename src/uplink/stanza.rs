//! What the uplink says, as text. Only pseudonyms, base64 and the account's own configuration go in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Our own elements.
pub(crate) const NS_SHUNT: &str = "urn:shunt:1";
/// XEP-0060.
pub(crate) const NS_PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// XEP-0199.
pub(crate) const NS_PING: &str = "urn:xmpp:ping";
/// RFC 6120 §8.3.3.
pub(crate) const NS_STANZA_ERROR: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// Makes text fit for an attribute or for content.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\'' => safe.push_str("&apos;"),
            '"' => safe.push_str("&quot;"),
            // Not allowed in XML, nor in anything that is meant well.
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

/// A sealed headline: never stored by the server (RFC 6121 §8.5.2.2).
pub(crate) fn headline(id: &str, to: &str, sealed: &[u8]) -> String {
    let (id, to, sealed) = (escape(id), escape(to), STANDARD.encode(sealed));
    format!("<message type='headline' id='{id}' to='{to}'><sealed xmlns='{NS_SHUNT}'>{sealed}</sealed></message>")
}

/// Directed presence; to nobody in particular without `to` (RFC 6121 §4.6).
pub(crate) fn presence(to: Option<&str>, available: bool) -> String {
    let to = to.map(|to| format!(" to='{}'", escape(to))).unwrap_or_default();
    let kind = if available { "" } else { " type='unavailable'" };
    format!("<presence{to}{kind}/>")
}

/// Publishes the bundle, open to all who know the account (XEP-0060 §7.1.5).
pub(crate) fn publish(id: &str, node: &str, bundle: &[u8]) -> String {
    let (id, node, bundle) = (escape(id), escape(node), STANDARD.encode(bundle));
    format!(
        "<iq type='set' id='{id}'><pubsub xmlns='{NS_PUBSUB}'><publish node='{node}'><item id='current'>\
         <bundle xmlns='{NS_SHUNT}'>{bundle}</bundle></item></publish>\
         <publish-options><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>{NS_PUBSUB}#publish-options</value></field>\
         <field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>"
    )
}

/// Asks for the one item of a node (XEP-0060 §6.5).
pub(crate) fn fetch(id: &str, to: &str, node: &str) -> String {
    let (id, to, node) = (escape(id), escape(to), escape(node));
    format!(
        "<iq type='get' id='{id}' to='{to}'><pubsub xmlns='{NS_PUBSUB}'><items node='{node}' max_items='1'/></pubsub></iq>"
    )
}

/// Asks the server whether it lives (XEP-0199 §4.2).
pub(crate) fn ping(id: &str, to: &str) -> String {
    format!("<iq type='get' id='{}' to='{}'><ping xmlns='{NS_PING}'/></iq>", escape(id), escape(to))
}

/// Answers a ping.
pub(crate) fn pong(id: &str, to: Option<&str>) -> String {
    let to = to.map(|to| format!(" to='{}'", escape(to))).unwrap_or_default();
    format!("<iq type='result' id='{}'{to}/>", escape(id))
}

/// Answers what we do not serve, as the server does for a resource that is not there.
pub(crate) fn unserved(id: &str, to: Option<&str>) -> String {
    let to = to.map(|to| format!(" to='{}'", escape(to))).unwrap_or_default();
    format!(
        "<iq type='error' id='{}'{to}><error type='cancel'><service-unavailable xmlns='{NS_STANZA_ERROR}'/></error></iq>",
        escape(id)
    )
}

/// Asks for a resource (RFC 6120 §7.7).
pub(crate) fn bind(id: &str, resource: &str) -> String {
    format!(
        "<iq type='set' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
    )
}

/// Takes up the old stream (XEP-0198 §5).
pub(crate) fn resume(previous: &str, received: u32) -> String {
    format!("<resume xmlns='{}' h='{received}' previd='{}'/>", super::element::NS_SM, escape(previous))
}

#[cfg(test)]
mod tests {
    use super::super::element::Element;
    use super::*;

    #[test]
    fn everything_that_is_said_is_well_formed_whatever_goes_in() {
        let bad = "a'\"<&>\u{1}\u{0}é";
        for xml in [
            headline(bad, bad, bad.as_bytes()),
            presence(Some(bad), true),
            presence(None, false),
            publish(bad, bad, &[0; 1000]),
            fetch(bad, bad, bad),
            ping(bad, bad),
            pong(bad, Some(bad)),
            unserved(bad, None),
            bind("id", "resource"),
            resume(bad, 7),
        ] {
            assert!(Element::parse(xml.as_bytes()).is_ok(), "{xml}");
        }
    }
}
