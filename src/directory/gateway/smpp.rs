//! An SMPP 3.4 provider: bound as a transmitter, one SMS at a time.

use super::{Backend, GatewayError, Sms, serve};
use crate::directory::config::Smpp;
use crate::directory::files;
use crate::directory::tls::pinned;
use crate::model::PhoneNumber;
use futures_util::StreamExt;
use rusmpp::pdus::{BindTransmitter, SubmitSm};
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::{COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{InterfaceVersion, Npi, Ton};
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Encoder, Framed};
use zeroize::Zeroizing;

/// For a connection, and for an answer (the response timer of SMPP 3.4 §7.2).
const PATIENCE: Duration = Duration::from_secs(15);

/// The first pause after a failed connection; it doubles.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Pauses before the next attempts at an SMS that the provider did not take because it takes no more just now.
const THROTTLED: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Ten minutes, relative (SMPP 3.4 §7.1.1): a code is worth nothing after that.
const VALIDITY: &[u8] = b"000000001000000R\0";

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

type Link = Framed<Box<dyn Wire>, CommandCodec>;

struct Provider {
    config: Smpp,
    password: Zeroizing<String>,
    tls: Option<TlsConnector>,
    link: Option<Link>,
    sequence: u32,
    /// No connection is tried before.
    not_before: Instant,
    pause: Duration,
    /// [`THROTTLED`].
    throttled: [Duration; 3],
    /// The last SMS was not taken after all pauses: the next one, which has waited behind it, makes none.
    in_vain: bool,
}

/// What went wrong with the link; it is dropped then.
#[derive(Debug)]
struct Broken(String);

impl From<Broken> for GatewayError {
    fn from(Broken(why): Broken) -> Self {
        Self::Unavailable(why)
    }
}

fn broken(why: impl std::fmt::Display) -> Broken {
    Broken(why.to_string())
}

pub(super) fn start(config: Smpp, queue: mpsc::Receiver<Sms>) -> io::Result<()> {
    let password = files::read_private(&config.password)?;
    let password = std::str::from_utf8(&password).map_err(io::Error::other)?.trim().to_owned().into();
    let tls = config.ca.as_deref().map(|ca| pinned(&std::fs::read(ca)?)).transpose()?;
    let tls = tls.map(|tls| TlsConnector::from(Arc::new(tls)));
    tokio::spawn(serve(Provider::new(config, password, tls), queue));
    Ok(())
}

impl Provider {
    fn new(config: Smpp, password: Zeroizing<String>, tls: Option<TlsConnector>) -> Self {
        Self {
            config,
            password,
            tls,
            link: None,
            sequence: 0,
            not_before: Instant::now(),
            pause: PAUSE,
            throttled: THROTTLED,
            in_vain: false,
        }
    }

    /// The link, bound anew if need be and if the pause is over.
    async fn bound(&mut self) -> Result<(), Broken> {
        if self.link.is_some() {
            return Ok(());
        }
        if Instant::now() < self.not_before {
            return Err(broken("not connected to the SMPP provider"));
        }
        let bound = match timeout(PATIENCE, self.connect()).await {
            Ok(bound) => bound,
            Err(_) => Err(broken("the SMPP provider does not answer")),
        };
        match bound {
            Ok(()) => {
                self.pause = PAUSE;
                log::info!("bound to the SMPP provider");
                Ok(())
            }
            Err(Broken(why)) => {
                self.link = None;
                log::error!("the SMPP provider can't be used: {why}");
                self.not_before = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Err(Broken(why))
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Broken> {
        let stream = TcpStream::connect(&self.config.address).await.map_err(broken)?;
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Wire> = match &self.tls {
            Some(tls) => {
                let host = self.config.address.rsplit_once(':').map_or("", |(host, _)| host);
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(broken)?;
                Box::new(tls.connect(name, stream).await.map_err(broken)?)
            }
            None => Box::new(stream),
        };
        self.link = Some(Framed::new(stream, CommandCodec::new()));
        let bind = BindTransmitter::builder()
            .system_id(COctetString::from_vec(zero(&self.config.system_id)).map_err(|_| broken("smpp.system_id"))?)
            .password(
                COctetString::from_vec(zero(&self.password)).map_err(|_| broken("the SMPP password: 8 characters"))?,
            )
            .interface_version(InterfaceVersion::Smpp3_4)
            .build();
        match self.ask(bind).await?.status() {
            CommandStatus::EsmeRok => Ok(()),
            status => Err(broken(format_args!("it refused the bind ({status:?})"))),
        }
    }

    /// Sends one request and waits for its answer; the provider's own requests are answered meanwhile.
    async fn ask(&mut self, pdu: impl Into<Pdu>) -> Result<Command, Broken> {
        self.sequence = self.sequence % 0x7fff_ffff + 1;
        let sequence = self.sequence;
        let link = self.link.as_mut().ok_or_else(|| broken("not connected"))?;
        let command = Command::builder().status(CommandStatus::EsmeRok).sequence_number(sequence).pdu(pdu);
        write(link, &command).await?;
        let answered = async {
            loop {
                let command = link.next().await.ok_or_else(|| broken("it hung up"))?.map_err(broken)?;
                let asked = match command.id() {
                    CommandId::EnquireLink => Pdu::EnquireLinkResp,
                    CommandId::Unbind => return Err(broken("it ended the session")),
                    _ if command.sequence_number() == sequence => return Ok(command),
                    _ => continue,
                };
                let answer = Command::builder()
                    .status(CommandStatus::EsmeRok)
                    .sequence_number(command.sequence_number())
                    .pdu(asked);
                write(link, &answer).await?;
            }
        };
        timeout(PATIENCE, answered).await.map_err(|_| broken("it does not answer"))?
    }

    fn submit(&self, to: &PhoneNumber, text: &str) -> Option<SubmitSm> {
        let source = &self.config.source;
        // International number, or a name (TON 1 and 5, SMPP 3.4 §5.2.5).
        let (ton, npi, source) = match source.strip_prefix('+') {
            Some(digits) => (Ton::International, Npi::Isdn, digits),
            None => (Ton::Alphanumeric, Npi::Unknown, source.as_str()),
        };
        let sms = SubmitSm::builder()
            .source_addr_ton(ton)
            .source_addr_npi(npi)
            .source_addr(COctetString::from_vec(zero(source)).ok()?)
            .dest_addr_ton(Ton::International)
            .dest_addr_npi(Npi::Isdn)
            .destination_addr(COctetString::from_vec(zero(to.as_e164().trim_start_matches('+'))).ok()?)
            .validity_period(EmptyOrFullCOctetString::from_slice(VALIDITY).ok()?)
            .short_message(OctetString::from_slice(text.as_bytes()).ok()?)
            .build();
        Some(sms)
    }
}

/// Not through the link's own buffer: that one lives on, with the number in it.
async fn write(link: &mut Link, command: &Command) -> Result<(), Broken> {
    let mut bytes = BytesMut::new();
    CommandCodec::new().encode(command, &mut bytes).map_err(broken)?;
    let stream = link.get_mut();
    stream.write_all(&bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

fn zero(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

impl Backend for Provider {
    const IDLE: Duration = Duration::from_secs(30);

    async fn send(&mut self, to: &PhoneNumber, text: &str) -> Result<(), GatewayError> {
        let mut pauses = self.throttled.into_iter().take(if self.in_vain { 0 } else { self.throttled.len() });
        loop {
            self.bound().await?;
            // The code SMS is ASCII, and every character of it the same in GSM 7-bit: default coding.
            let sms = self.submit(to, text).ok_or_else(|| GatewayError::Refused("no valid source or number".into()))?;
            let status = match self.ask(sms).await {
                Ok(answer) => answer.status(),
                // Never again: it may have left.
                Err(Broken(why)) => {
                    self.link = None;
                    log::warn!("the SMPP link broke: {why}");
                    return Err(GatewayError::Mute);
                }
            };
            self.in_vain = matches!(status, CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful);
            match (status, pauses.next()) {
                (CommandStatus::EsmeRok, _) => return Ok(()),
                (_, Some(pause)) if self.in_vain => {
                    log::info!(
                        "the SMPP provider takes no SMS just now ({status:?}): once more in {} s",
                        pause.as_secs()
                    );
                    sleep(pause).await;
                }
                _ => return Err(judge(status)),
            }
        }
    }

    /// Keeps the link, and finds out when it is gone.
    async fn idle(&mut self) {
        if self.bound().await.is_ok()
            && let Err(Broken(why)) = self.ask(Pdu::EnquireLink).await
        {
            log::warn!("the SMPP link broke: {why}");
            self.link = None;
        }
    }
}

/// SMPP 3.4 §5.1.3: what passes by itself, and what does not.
fn judge(status: CommandStatus) -> GatewayError {
    match status {
        CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful | CommandStatus::EsmeRsyserr => {
            GatewayError::Unavailable(format!("SMPP status {status:?}"))
        }
        status => GatewayError::Refused(format!("SMPP status {status:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusmpp::pdus::SubmitSmResp;
    use tokio::task::JoinHandle;

    /// Sequence number and content of each request.
    type Asked = Vec<(u32, Option<Pdu>)>;

    /// A provider that answers one submit after another so, and hangs up at the next; what it was asked.
    fn provider(statuses: &'static [CommandStatus]) -> (Provider, JoinHandle<Asked>) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (ours, theirs): (Box<dyn Wire>, Box<dyn Wire>) = (Box::new(ours), Box::new(theirs));
        let asked = tokio::spawn(async move {
            let (mut link, mut asked) = (Framed::new(theirs, CommandCodec::new()), Vec::new());
            let mut statuses = statuses.iter();
            while let Some(Ok(command)) = link.next().await {
                asked.push((command.sequence_number(), command.pdu().cloned()));
                let Some(status) = statuses.next() else { break };
                let answer = Command::builder().status(*status).sequence_number(command.sequence_number());
                write(&mut link, &answer.pdu(SubmitSmResp::default())).await.unwrap();
            }
            asked
        });
        let config = Smpp {
            address: String::new(),
            system_id: String::new(),
            password: "/".into(),
            source: "Shunt".into(),
            ca: None,
        };
        let link = Some(Framed::new(ours, CommandCodec::new()));
        // A second's pauses are the same to it.
        let throttled = [Duration::ZERO; 3];
        (Provider { link, throttled, ..Provider::new(config, String::new().into(), None) }, asked)
    }

    async fn send(provider: &mut Provider) -> Result<(), GatewayError> {
        provider.send(&PhoneNumber::from_e164("+4917612345678").unwrap(), "a code").await
    }

    use CommandStatus::{EsmeRinvdstadr, EsmeRmsgqful, EsmeRok, EsmeRsyserr, EsmeRthrottled};

    #[tokio::test]
    async fn a_throttled_sms_is_submitted_again_as_another_request() {
        let (mut ours, asked) = provider(&[EsmeRthrottled, EsmeRmsgqful, EsmeRthrottled, EsmeRok, EsmeRok]);
        assert_eq!(send(&mut ours).await, Ok(()));
        assert_eq!(send(&mut ours).await, Ok(()));
        drop(ours);
        let asked = asked.await.unwrap();
        assert_eq!(asked.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(asked.iter().all(|(_, pdu)| matches!(pdu, Some(Pdu::SubmitSm(_))) && *pdu == asked[0].1));
    }

    #[tokio::test]
    async fn who_is_throttled_on_and_on_gives_up_and_does_not_let_the_next_ones_wait() {
        let (mut ours, asked) = provider(&[EsmeRthrottled; 8]);
        let mut submits = Vec::new();
        for _ in 0..3 {
            assert!(matches!(send(&mut ours).await, Err(GatewayError::Unavailable(_))));
            submits.push(ours.sequence);
        }
        assert_eq!(submits, [4, 5, 6]);
        drop(ours);
        assert_eq!(asked.await.unwrap().len(), 6);
    }

    #[tokio::test]
    async fn nothing_else_is_submitted_twice_least_of_all_what_may_have_left() {
        let (mut ours, asked) = provider(&[EsmeRinvdstadr, EsmeRsyserr, EsmeRthrottled]);
        assert!(matches!(send(&mut ours).await, Err(GatewayError::Refused(_))));
        assert!(matches!(send(&mut ours).await, Err(GatewayError::Unavailable(_))));
        assert_eq!(send(&mut ours).await, Err(GatewayError::Mute), "it hung up on the second attempt");
        assert_eq!(asked.await.unwrap().len(), 4);
    }
}
