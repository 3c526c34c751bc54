//! The phone's only network: a capture of every packet, a name server, and relays that hold the
//! servers' keys and so read every TLS stream that they pass on.

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use shunt_kit::Phone;
use shunt_kit::cloud::{Cloud, DOMAIN};
use shunt_kit::netns::Netns;
use shunt_kit::process::Process;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::{ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The address of all servers, as the phone's name server says.
const SERVERS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Where control packets go: nobody is there.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// A packet on one of the phone's interfaces.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    /// Protocol and addresses, for people.
    pub(crate) what: String,
    /// Whether it belongs to one of the relays or the name server.
    expected: bool,
    /// Everything from the network layer's header on.
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    /// What is in it is seen better where it was opened.
    pub(crate) fn is_tls(&self) -> bool {
        self.expected && self.what.starts_with("tcp")
    }
}

/// What was opened: one direction of one connection, or a datagram.
#[derive(Debug, Default)]
struct Opened {
    /// Server names of TLS, names asked for, and every stream's bytes.
    streams: Vec<Vec<u8>>,
}

/// The phone's network and all that was seen on it.
pub(crate) struct Wire {
    netns: Netns,
    capture: BufReader<ChildStdout>,
    _tcpdump: Process,
    opened: Arc<Mutex<Opened>>,
    tasks: Vec<AbortHandle>,
    control: u16,
    /// Where the phone reaches the XMPP server and the directory.
    pub(crate) xmpp: String,
    pub(crate) directory: String,
}

/// What one phase left.
pub(crate) struct Seen {
    pub(crate) packets: Vec<Packet>,
    pub(crate) opened: Vec<Vec<u8>>,
}

impl Seen {
    /// Packets to anybody but the cloud and the name server.
    pub(crate) fn stray(&self) -> Vec<&str> {
        self.packets.iter().filter(|packet| !packet.expected).map(|packet| packet.what.as_str()).collect()
    }

    pub(crate) fn captured_bytes(&self) -> usize {
        self.packets.iter().map(|packet| packet.bytes.len()).sum()
    }

    pub(crate) fn opened_bytes(&self) -> usize {
        self.opened.iter().map(Vec::len).sum()
    }
}

impl Wire {
    /// Takes over a phone's network. The capture runs before anything else of the phone's does.
    pub(crate) async fn tap(phone: &Phone, cloud: &Cloud, directory: SocketAddr) -> Result<Self> {
        let netns = phone.netns().context("the phone has a network of its own")?.clone();
        for address in [SERVERS.to_string(), Netns::NAME_SERVER.to_owned()] {
            let added = phone.command("ip").args(["address", "add", &format!("{address}/32"), "dev", "lo"]).status()?;
            anyhow::ensure!(added.success(), "ip refused {address}");
        }
        let (tcpdump, capture) = start_capture(phone)?;
        let opened = Arc::<Mutex<Opened>>::default();
        let keys = Keys::of(cloud)?;
        let mut tasks = Vec::new();
        let mut addresses = Vec::new();
        for (port, target) in [(5223, cloud.xmpp_addr()), (443, directory)] {
            let listener = netns.run(|| std::net::TcpListener::bind((SERVERS, port)))??;
            listener.set_nonblocking(true)?;
            let relay = relay(TcpListener::from_std(listener)?, keys.clone(), target, opened.clone());
            tasks.push(tokio::spawn(relay).abort_handle());
            addresses.push(format!("{DOMAIN}:{port}"));
        }
        let socket = netns.run(|| std::net::UdpSocket::bind((Netns::NAME_SERVER, 53)))??;
        socket.set_nonblocking(true)?;
        tasks.push(tokio::spawn(name_server(UdpSocket::from_std(socket)?)).abort_handle());
        let [xmpp, directory] = addresses.try_into().map_err(|_| anyhow::anyhow!("two relays"))?;
        Ok(Self { netns, capture, _tcpdump: tcpdump, opened, tasks, control: 4000, xmpp, directory })
    }

    /// Ends a phase: all that was seen since the last one. A control packet that must be seen comes last.
    pub(crate) fn phase(&mut self) -> Result<Seen> {
        self.control += 1;
        let port = self.control;
        self.netns.run(|| -> std::io::Result<usize> {
            std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(b"control", (NOWHERE, port))
        })??;
        let (control, earlier) = (format!("> udp {NOWHERE}:{port}"), format!("> udp {NOWHERE}:{}", port - 1));
        let mut packets = Vec::new();
        loop {
            let packet = next_packet(&mut self.capture)?;
            if packet.what.ends_with(&control) {
                break;
            }
            // A packet is seen at both ends of the wire: the last phase's control once more here.
            if !packet.what.ends_with(&earlier) {
                packets.push(packet);
            }
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Seen { packets, opened: opened.streams.iter_mut().map(std::mem::take).filter(|s| !s.is_empty()).collect() })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn start_capture(phone: &Phone) -> Result<(Process, BufReader<ChildStdout>)> {
    let mut command = phone.command("tcpdump");
    command.args(["-i", "any", "-y", "LINUX_SLL2", "-U", "--immediate-mode", "-w", "-"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tcpdump = Process::start_as_is("tcpdump", command, None)?;
    let mut said = BufReader::new(tcpdump.child().stderr.take().context("stderr")?).lines();
    loop {
        match said.next() {
            Some(line) if line.as_ref().is_ok_and(|line| line.contains("listening on")) => break,
            Some(Ok(_)) => {}
            _ => bail!("tcpdump did not start"),
        }
    }
    let mut capture = BufReader::new(tcpdump.child().stdout.take().context("stdout")?);
    // The file's header (draft-ietf-opsawg-pcap): magic, version, snap length, link type.
    let mut header = [0; 24];
    capture.read_exact(&mut header)?;
    anyhow::ensure!(header[..4] == 0xa1b2_c3d4_u32.to_ne_bytes(), "not a pcap file of this machine's byte order");
    Ok((tcpdump, capture))
}

fn next_packet(capture: &mut impl Read) -> Result<Packet> {
    let mut header = [0; 16];
    capture.read_exact(&mut header).context("tcpdump ended")?;
    let length = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
    let mut packet = vec![0; usize::try_from(length)?];
    capture.read_exact(&mut packet)?;
    // LINKTYPE_LINUX_SLL2: the protocol first, 20 bytes in all.
    let protocol = u16::from_be_bytes([packet[0], packet[1]]);
    let bytes = packet.split_off(20.min(packet.len()));
    let (what, expected) = describe(protocol, &bytes);
    Ok(Packet { what, expected, bytes })
}

/// Protocol and ends of a packet, and whether both are the cloud's, the name server's or this wire's.
fn describe(protocol: u16, bytes: &[u8]) -> (String, bool) {
    let header = usize::from(bytes.first().copied().unwrap_or(0) & 0x0f) * 4;
    let (0x0800, true) = (protocol, bytes.len() >= header + 4 && header >= 20) else {
        return (format!("ethertype {protocol:04x}, {} bytes", bytes.len()), false);
    };
    let ip = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    let port = |at: usize| u16::from_be_bytes([bytes[header + at], bytes[header + at + 1]]);
    let (from, to) = (SocketAddrV4::new(ip(12), port(0)), SocketAddrV4::new(ip(16), port(2)));
    let name = match bytes[9] {
        6 => "tcp",
        17 => "udp",
        other => return (format!("ip protocol {other} {} > {}", from.ip(), to.ip()), false),
    };
    let server = |end: &SocketAddrV4| match name {
        "tcp" => *end.ip() == SERVERS && [443, 5223].contains(&end.port()),
        _ => end.ip().to_string() == Netns::NAME_SERVER && end.port() == 53,
    };
    (format!("{name} {from} > {name} {to}"), server(&from) || server(&to))
}

/// The servers' certificate and key, and the CA.
#[derive(Clone)]
struct Keys {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Keys {
    fn of(cloud: &Cloud) -> Result<Self> {
        let pki = cloud.pki();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain: Vec<_> = CertificateDer::pem_file_iter(&pki.cert)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&pki.key)?;
        let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let server = server.with_no_client_auth().with_single_cert(chain, key)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&pki.ca)?)?;
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let client = client.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}

/// Passes TLS connections on, and keeps what they said.
async fn relay(listener: TcpListener, keys: Keys, target: SocketAddr, opened: Arc<Mutex<Opened>>) {
    while let Ok((phone, _)) = listener.accept().await {
        let (keys, opened) = (keys.clone(), opened.clone());
        tokio::spawn(async move {
            // A connection that breaks ends here; the phone sees its end.
            let _broken = connection(phone, &keys, target, &opened).await;
        });
    }
}

async fn connection(phone: TcpStream, keys: &Keys, target: SocketAddr, opened: &Mutex<Opened>) -> Result<()> {
    let phone = TlsAcceptor::from(keys.server.clone()).accept(phone).await?;
    let name = phone.get_ref().1.server_name().unwrap_or_default().to_owned();
    let (up, down) = {
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.streams.push(format!("server name {name}").into_bytes());
        opened.streams.extend([Vec::new(), Vec::new()]);
        (opened.streams.len() - 2, opened.streams.len() - 1)
    };
    let server = TcpStream::connect(target).await?;
    let server = TlsConnector::from(keys.client.clone()).connect(ServerName::try_from(DOMAIN)?, server).await?;
    let (phone_reads, phone_writes) = tokio::io::split(phone);
    let (server_reads, server_writes) = tokio::io::split(server);
    tokio::try_join!(pass(phone_reads, server_writes, up, opened), pass(server_reads, phone_writes, down, opened))?;
    Ok(())
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    into: usize,
    opened: &Mutex<Opened>,
) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(to.shutdown().await?);
        }
        if let Some(stream) = opened.lock().unwrap_or_else(PoisonError::into_inner).streams.get_mut(into) {
            stream.extend_from_slice(&buffer[..read]);
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}

/// Answers each question for an IPv4 address with the servers', all others with "no such record".
async fn name_server(socket: UdpSocket) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query).await {
        let Some(question_end) = question_end(&query[..length]) else { continue };
        let wants_ipv4 = query[question_end - 4..question_end - 2] == [0, 1];
        // RFC 1035 §4.1.1: a response, recursion available; one question, one or no answer.
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_ipv4), 0, 0, 0, 0]);
        answer.extend(&query[12..question_end]);
        if wants_ipv4 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(SERVERS.octets());
        }
        if socket.send_to(&answer, from).await.is_err() {
            return;
        }
    }
}

/// Where the first question ends (RFC 1035 §4.1.2).
fn question_end(query: &[u8]) -> Option<usize> {
    let mut at = 12;
    while *query.get(at)? != 0 {
        at += 1 + usize::from(query[at]);
    }
    (at + 5 <= query.len()).then_some(at + 5)
}
