//! One stanza, read flat: what its root says and its first few descendants, no tree. Nothing that a
//! stranger writes makes it recurse, or grow beyond the stanza's own size.

use std::fmt;
use tokio_xmpp::minidom::rxml::{self, AttrMap, Event, Namespace, Options, Parse, Parser, QName, WithOptions};

/// RFC 6120 §4.8.2.
pub(crate) const NS_CLIENT: &str = "jabber:client";
const NS_STREAM: &str = "http://etherx.jabber.org/streams";
/// XEP-0198.
pub(crate) const NS_SM: &str = "urn:xmpp:sm:3";

/// How many descendants are kept, and how deep below the root.
const MAX_PARTS: usize = 16;
const MAX_DEPTH: usize = 5;

/// A stanza or another child of the stream.
pub(crate) struct Element {
    pub(crate) ns: String,
    pub(crate) name: String,
    pub(crate) from: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) kind: Option<String>,
    /// Stream management's counter.
    pub(crate) h: Option<u32>,
    /// Whether stream management allows to resume.
    pub(crate) resume: bool,
    parts: Vec<Part>,
}

/// A descendant.
struct Part {
    depth: usize,
    ns: String,
    name: String,
    text: String,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element({}, {} parts)", self.name, self.parts.len())
    }
}

/// It is not well-formed, or its prefixes are undeclared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stanza is not well-formed: it is ignored")]
pub(crate) struct Malformed;

impl Element {
    /// Reads one frame of the stream.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let options = Options { max_token_length: super::frames::MAX_STANZA, ..Options::default() };
        let mut parser = Parser::with_options(options);
        // The stream's header, as far as its children depend on it.
        let head = format!("<s xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAM}'>");
        let mut reading = Reading { depth: 0, element: None, open: Vec::new() };
        for piece in [head.as_bytes(), bytes] {
            let mut rest = piece;
            loop {
                match parser.parse(&mut rest, false) {
                    Ok(Some(event)) => reading.take(event),
                    Ok(None) => break,
                    Err(rxml::error::EndOrError::NeedMoreData) => break,
                    Err(_) => return Err(Malformed),
                }
            }
        }
        reading.element.filter(|_| reading.depth == 1).ok_or(Malformed)
    }

    /// Whether stream management counts it (XEP-0198 §4).
    pub(crate) fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    /// The text of the first descendant of that name.
    pub(crate) fn text_of(&self, ns: &str, name: &str) -> Option<&str> {
        self.parts.iter().find(|part| part.ns == ns && part.name == name).map(|part| part.text.as_str())
    }

    /// Whether it has such a descendant.
    pub(crate) fn has(&self, ns: &str, name: &str) -> bool {
        self.text_of(ns, name).is_some()
    }

    /// The condition of a stream error (RFC 6120 §4.9.3).
    pub(crate) fn stream_error(&self) -> Option<&str> {
        const NS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
        let condition = || self.parts.iter().find(|part| part.depth == 1 && part.ns == NS && part.name != "text");
        self.is(NS_STREAM, "error").then(|| condition().map_or("undefined-condition", |part| part.name.as_str()))
    }
}

/// Whether stream management counts the child of the stream that begins so (XEP-0198 §4).
pub(crate) fn is_stanza(start: &[u8]) -> bool {
    let name = start.strip_prefix(b"<").unwrap_or_default();
    let name = name.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>')).next();
    matches!(name, Some(b"message" | b"presence" | b"iq"))
}

struct Reading {
    /// 0 before the stream's header, 1 between stanzas.
    depth: usize,
    element: Option<Element>,
    /// For each open descendant where it is kept, if it is.
    open: Vec<Option<usize>>,
}

impl Reading {
    fn take(&mut self, event: Event) {
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, name, attributes) => self.start(&name, &attributes),
            Event::EndElement(_) => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth >= 2 {
                    self.open.pop();
                }
            }
            Event::Text(_, text) => {
                if let (Some(element), Some(Some(place))) = (&mut self.element, self.open.last())
                    && let Some(part) = element.parts.get_mut(*place)
                {
                    part.text.push_str(&text);
                }
            }
        }
    }

    fn start(&mut self, (ns, name): &QName, attributes: &AttrMap) {
        self.depth += 1;
        let attribute = |name: &str| attributes.get(&Namespace::NONE, name).cloned();
        if self.depth == 2 && self.element.is_none() {
            self.element = Some(Element {
                ns: ns.to_string(),
                name: name.to_string(),
                from: attribute("from"),
                id: attribute("id"),
                kind: attribute("type"),
                h: attribute("h").and_then(|h| h.parse().ok()),
                resume: matches!(attribute("resume").as_deref(), Some("true" | "1")),
                parts: Vec::new(),
            });
        } else if let Some(element) = self.element.as_mut().filter(|_| self.depth > 2) {
            let depth = self.depth - 2;
            let kept = depth <= MAX_DEPTH && element.parts.len() < MAX_PARTS;
            if kept {
                let (ns, name) = (ns.to_string(), name.to_string());
                element.parts.push(Part { depth, ns, name, text: String::new() });
            }
            self.open.push(kept.then(|| element.parts.len() - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_headline_is_read() {
        let element = Element::parse(
            b"<message from='1a@shunt.test/r' type='headline' id='m1'><x/><sealed xmlns='urn:shunt:1'>AA<b/>BB</sealed></message>",
        )
        .unwrap();
        assert!(element.is(NS_CLIENT, "message"));
        assert_eq!(element.from.as_deref(), Some("1a@shunt.test/r"));
        assert_eq!(element.kind.as_deref(), Some("headline"));
        assert_eq!(element.text_of("urn:shunt:1", "sealed"), Some("AABB"));
        assert!(!element.has("jabber:client", "sealed"));
    }

    #[test]
    fn stream_management_and_stream_errors_are_read() {
        let failed = Element::parse(b"<failed xmlns='urn:xmpp:sm:3'/>").unwrap();
        assert!(failed.is(NS_SM, "failed") && failed.h.is_none());
        let enabled = Element::parse(b"<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true' h='4294967295'/>").unwrap();
        assert!(enabled.resume && enabled.h == Some(u32::MAX));
        let error = b"<stream:error><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>t</text>\
            <conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        assert_eq!(Element::parse(error).unwrap().stream_error(), Some("conflict"));
        assert_eq!(Element::parse(b"<error/>").unwrap().stream_error(), None);
    }

    #[test]
    fn a_long_attribute_is_read_and_an_undeclared_prefix_refused() {
        let long = format!("<message><x a='{}'/></message>", "y".repeat(20_000));
        assert!(Element::parse(long.as_bytes()).is_ok());
        for bad in ["<message><a:b/></message>", "<message>", "<a></b>", "", "<a b='1' b='2'/>", "<a>&x;</a>"] {
            assert_eq!(Element::parse(bad.as_bytes()).err(), Some(Malformed), "{bad}");
        }
        assert_eq!(Element::parse(b"<a>\xff</a>").err(), Some(Malformed));
    }

    #[test]
    fn depth_and_number_of_descendants_cost_nothing() {
        let deep = format!("<message>{}{}</message>", "<x>".repeat(10_000), "</x>".repeat(10_000));
        assert_eq!(Element::parse(deep.as_bytes()).unwrap().parts.len(), MAX_DEPTH);
        let wide = format!("<message>{}<sealed xmlns='urn:shunt:1'>a</sealed></message>", "<x/>".repeat(10_000));
        let element = Element::parse(wide.as_bytes()).unwrap();
        assert_eq!(element.parts.len(), MAX_PARTS);
        assert!(!element.has("urn:shunt:1", "sealed"));
    }

    #[test]
    fn what_stream_management_counts_is_told_by_the_first_bytes() {
        for start in ["<message>", "<iq/>", "<presence type='x'", "<message\n"] {
            assert!(is_stanza(start.as_bytes()), "{start}");
        }
        for start in ["<a/>", "<messages/>", "", "<r xmlns='x'/>"] {
            assert!(!is_stanza(start.as_bytes()), "{start}");
        }
    }
}
