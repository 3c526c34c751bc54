use super::element::Element;
use super::frames::{Frame, Framer, MAX_STANZA};

/// Cuts a stream's bytes apart, wherever the network broke them, and reads each piece.
///
/// # Panics
/// Where the cut depends on how the bytes came, or a stanza is longer than it may be.
#[allow(clippy::panic)]
pub fn stream(bytes: &[u8], step: usize) {
    let whole = frames(bytes, bytes.len());
    assert_eq!(whole, frames(bytes, step), "the network's cuts change nothing");
    for frame in whole {
        if let Frame::Element(bytes) = frame {
            assert!(bytes.len() <= MAX_STANZA);
            element(&bytes);
        }
    }
}

/// Reads one stanza; gives whether it is well-formed.
pub fn element(bytes: &[u8]) -> bool {
    let Ok(element) = Element::parse(bytes) else { return false };
    let _condition = element.stream_error();
    element.text_of("urn:shunt:1", "sealed").is_none_or(|text| text.len() <= bytes.len())
}

fn frames(bytes: &[u8], step: usize) -> Vec<Frame> {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        // What came before the error was read.
        let ended = framer.push(piece).is_err();
        frames.extend(std::iter::from_fn(|| framer.next()));
        if ended {
            break;
        }
    }
    frames
}
