//! A D-Bus client that waits for each answer: xdg-dbus-proxy hangs up on one that says Hello before its
//! authentication is answered, as zbus does. No library's time is in what it measures.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use zbus::Message;

/// METHOD_RETURN and ERROR (D-Bus specification, "Message Format").
const RETURN: u8 = 2;
const ERROR: u8 = 3;

/// An authenticated connection that has a name.
pub(crate) struct Raw(BufReader<UnixStream>);

impl Raw {
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let mut raw = Self(BufReader::new(UnixStream::connect(socket)?));
        let uid = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        raw.write(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes())?;
        let mut answer = String::new();
        raw.0.read_line(&mut answer)?;
        ensure!(answer.starts_with("OK "), "not authenticated: {answer:?}");
        raw.write(b"BEGIN\r\n")?;
        let bus = "org.freedesktop.DBus";
        raw.call((bus, "/org/freedesktop/DBus", bus, "Hello"))?;
        Ok(raw)
    }

    /// Calls a method without arguments and reads its whole answer; what else comes is passed over.
    pub(crate) fn call(&mut self, (destination, path, interface, member): (&str, &str, &str, &str)) -> Result<()> {
        let call = Message::method_call(path, member).destination(destination).interface(interface).build(&())?;
        self.write(call.data())?;
        loop {
            match self.read().context("the other side hung up")? {
                RETURN => return Ok(()),
                ERROR => bail!("{member} is refused"),
                _ => {}
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    /// Reads a message: its type.
    fn read(&mut self) -> Result<u8> {
        let mut header = [0; 16];
        self.0.read_exact(&mut header)?;
        let [endian, kind, _, _, b0, b1, b2, b3, .., f0, f1, f2, f3] = header;
        ensure!(endian == b'l', "a big-endian message");
        let fields = u64::from(u32::from_le_bytes([f0, f1, f2, f3])).next_multiple_of(8);
        let rest = fields + u64::from(u32::from_le_bytes([b0, b1, b2, b3]));
        let read = std::io::copy(&mut self.0.by_ref().take(rest), &mut std::io::sink())?;
        ensure!(read == rest, "half a message");
        Ok(kind)
    }
}
