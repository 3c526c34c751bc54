//! `Segments` against what the service really sends.

use crate::bench::{Bench, Service, expressible};
use shunt::model::Segments;

pub(crate) async fn a_text_takes_as_many_parts_as_foretold<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    for (text, times) in [
        ("a", 160),
        ("a", 161),
        ("a", 306),
        ("a", 307),
        ("ч", 70),
        ("ч", 71),
        ("ч", 134),
        ("ч", 135),
        ("👍", 35),
        ("👍", 36),
        ("👍", 66),
        ("👍", 67),
        ("ä", 160),
        ("ä", 161),
        ("€", 80),
        ("€", 81),
        ("€", 152),
        ("€", 153),
        ("{", 80),
        ("{", 81),
        ("@", 160),
        ("\u{c}a", 53),
        ("\u{c}a", 54),
        ("ab€", 80),
        ("ч👍", 50),
    ] {
        if expressible::<S>(&[text]).is_empty() {
            continue;
        }
        let text = text.repeat(times);
        let (parts, texts) = (bench.smsc.submitted_parts(), bench.smsc.submitted_total());
        bench.text(&line, &text).await.unwrap();
        assert_eq!(bench.smsc.submitted_parts() - parts, usize::from(Segments::of(&text).count), "{times} x {text}");
        assert_eq!(bench.smsc.traffic().texts[texts].text.as_ref(), Some(&text));
    }
}
