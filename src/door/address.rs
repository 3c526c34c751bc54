//! Where the bus listens (D-Bus Specification, "Server Addresses"): `unix:path=` and `unix:abstract=`.

#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::{
    ffi::OsString,
    os::unix::{
        ffi::OsStringExt,
        net::{SocketAddr, UnixStream},
    },
    str::FromStr,
};

/// The system bus, if nothing else is said. `DBUS_SYSTEM_BUS_ADDRESS` is not asked: in a session where
/// apps find the door by it, it names the door.
pub const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// Addresses to be tried in turn.
#[derive(Debug, Clone)]
pub struct Addresses(Vec<SocketAddr>);

/// An address that the door can't connect to.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no bus address for the door: give unix:path=… or unix:abstract=…")]
pub struct AddressError(String);

impl FromStr for Addresses {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let known: Option<Vec<_>> = text.split(';').filter(|one| !one.is_empty()).map(socket).collect();
        match known {
            Some(known) if !known.is_empty() => Ok(Self(known)),
            _ => Err(AddressError(text.to_owned())),
        }
    }
}

impl Addresses {
    /// A connection to the first that answers, not blocking.
    ///
    /// # Errors
    /// The last one's.
    pub(super) fn connect(&self) -> std::io::Result<UnixStream> {
        let mut last = std::io::ErrorKind::NotConnected.into();
        for address in &self.0 {
            // A Unix socket connects at once, or is refused: this blocks only while the bus's backlog is full.
            match UnixStream::connect_addr(address) {
                Ok(stream) => {
                    stream.set_nonblocking(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn socket(address: &str) -> Option<SocketAddr> {
    let keys = address.strip_prefix("unix:")?;
    let value = |name| keys.split(',').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    if let Some((_, path)) = value("path") {
        return SocketAddr::from_pathname(OsString::from_vec(unescaped(path)?)).ok();
    }
    let (_, name) = value("abstract")?;
    SocketAddr::from_abstract_name(unescaped(name)?).ok()
}

/// `%2f` and the like are bytes.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            (digit(bytes.next()?)? << 4) | digit(bytes.next()?)?
        } else {
            byte
        });
    }
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_abstract_names_are_read_with_their_escapes() {
        let read = |text: &str| text.parse::<Addresses>().unwrap().0;
        let known = read("unix:path=/run/a%20b,guid=00ff;unix:abstract=/tmp/x");
        assert_eq!(known[0].as_pathname(), Some("/run/a b".as_ref()));
        assert_eq!(known[1].as_abstract_name(), Some(&b"/tmp/x"[..]));
    }

    #[test]
    fn what_the_door_cannot_connect_to_is_refused() {
        for text in ["", "tcp:host=localhost", "unix:runtime=yes", "unix:path=", "unix:path=/a%2", "unix:path=/a%zz"] {
            assert!(text.parse::<Addresses>().is_err(), "{text}");
        }
    }
}
