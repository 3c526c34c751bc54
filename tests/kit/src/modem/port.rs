//! One connection at a modem's port: command lines in, answers and announcements out.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::answers::{Answer, answer};
use super::{Outgoing, Shared};
use crate::pdu::{Submit, from_hex};
use crate::smsc::Verdict;

/// Between two announcements. ModemManager loses parts that are announced back to back.
const BETWEEN_ANNOUNCEMENTS: Duration = Duration::from_millis(100);
/// A modem speaks unasked only when nobody talked to it for so long.
const QUIET: Duration = Duration::from_millis(20);
/// An announced part that nobody reads does not hold up the next for longer.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Ends a connection's traces however it ends.
struct Connected<'a>(&'a Shared);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.change(|s| s.reset_port(false));
    }
}

/// Serves a connection until it closes.
pub(super) async fn serve(shared: &Shared, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    shared.change(|s| s.reset_port(true));
    let _connected = Connected(shared);
    let mut changes = shared.changes.listen();
    let mut line = Line::default();
    let mut pace = Pace::default();
    let mut buffer = [0u8; 1024];
    loop {
        changes.borrow_and_update();
        let due = pace.next_due(shared);
        let done = tokio::select! {
            biased;
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    let done = line.take(shared, &buffer[..n], &mut stream).await;
                    pace.talked = Some(Instant::now());
                    done
                }
            },
            _ = changes.changed() => Ok(()),
            () = until(due) => pace.announce(shared, &mut stream).await,
        };
        if done.is_err() {
            return;
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// When the modem may speak unasked.
#[derive(Default)]
struct Pace {
    talked: Option<Instant>,
    announced: Option<Instant>,
    last: Option<u8>,
}

impl Pace {
    fn next_due(&self, shared: &Shared) -> Option<Instant> {
        let state = shared.state();
        let next = state.outgoing.front()?;
        let quiet = self.talked.map(|t| t + QUIET);
        if matches!(next, Outgoing::Line(_)) {
            return Some(quiet.unwrap_or_else(Instant::now));
        }
        let unread = self.last.is_some_and(|index| state.storage.get(&index).is_some_and(|s| !s.read));
        let gap = if unread { READ_PATIENCE } else { BETWEEN_ANNOUNCEMENTS };
        let paced = self.announced.map(|t| t + gap);
        Some(quiet.max(paced).unwrap_or_else(Instant::now))
    }

    async fn announce(&mut self, shared: &Shared, stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        let Some(next) = shared.state().outgoing.pop_front() else { return Ok(()) };
        let text = match next {
            Outgoing::Line(text) => text,
            Outgoing::Stored(index) => {
                (self.announced, self.last) = (Some(Instant::now()), Some(index));
                format!("+CMTI: \"ME\",{index}")
            }
            Outgoing::Report(pdu) => {
                (self.announced, self.last) = (Some(Instant::now()), None);
                format!("+CDS: {}\r\n{}", pdu.length, pdu.hex)
            }
        };
        stream.write_all(format!("\r\n{text}\r\n").as_bytes()).await
    }
}

/// Collects octets into command lines, or into a PDU after the prompt.
#[derive(Default)]
struct Line {
    text: Vec<u8>,
    /// Octets of the TPDU that was promised, while the prompt stands.
    prompted: Option<usize>,
}

const CTRL_Z: u8 = 0x1A;
const ESCAPE: u8 = 0x1B;

impl Line {
    async fn take(
        &mut self,
        shared: &Shared,
        octets: &[u8],
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        for &octet in octets {
            let said = match (octet, self.prompted) {
                (CTRL_Z, Some(length)) => {
                    self.prompted = None;
                    let text = std::mem::take(&mut self.text);
                    submit(shared, &text, length).await
                }
                (ESCAPE, Some(_)) => {
                    self.prompted = None;
                    self.text.clear();
                    Some(Answer::Done)
                }
                (b'\r', None) => {
                    let text = std::mem::take(&mut self.text);
                    command(shared, &text)
                }
                (b'\n', None) => None,
                _ => {
                    self.text.push(octet);
                    None
                }
            };
            if let Some(said) = said {
                if let Answer::Prompt(length) = said {
                    self.prompted = Some(length);
                }
                stream.write_all(spelled(&said).as_bytes()).await?;
            }
        }
        Ok(())
    }
}

fn spelled(answer: &Answer) -> String {
    match answer {
        Answer::Done => "\r\nOK\r\n".to_owned(),
        Answer::Data(lines) => format!("\r\n{lines}\r\n\r\nOK\r\n"),
        Answer::Error => "\r\nERROR\r\n".to_owned(),
        Answer::Equipment(code) => format!("\r\n+CME ERROR: {code}\r\n"),
        Answer::Message(code) => format!("\r\n+CMS ERROR: {code}\r\n"),
        Answer::Prompt(_) => "\r\n> ".to_owned(),
    }
}

fn command(shared: &Shared, text: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    shared.change(|s| s.commands.push(text.to_owned()));
    match text.get(..2) {
        Some(at) if at.eq_ignore_ascii_case("AT") => {
            let answered = answer(shared, &text[2..]);
            shared.change(|_| ());
            Some(answered)
        }
        _ => Some(Answer::Error),
    }
}

async fn submit(shared: &Shared, text: &[u8], length: usize) -> Option<Answer> {
    let octets = from_hex(String::from_utf8_lossy(text).trim()).ok();
    let parsed = octets.filter(|o| Submit::tpdu_length(o) == length).and_then(|o| Submit::decode(&o).ok());
    let Some(parsed) = parsed else {
        return Some(Answer::Message(304)); // invalid PDU mode parameter
    };
    let reference = shared.change(|s| {
        s.reference = s.reference.wrapping_add(1);
        s.reference
    });
    let number = &shared.sim().number;
    let verdict = shared.smsc.submit(number, reference, &parsed);
    shared.smsc.answer_may_go(number).await;
    let taken = Some(Answer::Data(format!("+CMGS: {reference}")));
    match verdict {
        Verdict::Taken => taken,
        Verdict::TakenAfter(delay) => {
            sleep(delay).await;
            taken
        }
        Verdict::Refused(code) => Some(Answer::Message(code)),
        Verdict::Error => Some(Answer::Error),
        Verdict::Silence => None,
    }
}
