//! Tells systemd that the daemon is up (sd_notify(3)): one datagram.

#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(not(target_os = "android"))]
use std::os::linux::net::SocketAddrExt;
use std::{
    ffi::OsStr,
    io,
    os::unix::{
        ffi::OsStrExt,
        net::{SocketAddr, UnixDatagram},
    },
};

/// Sends `READY=1` to the socket that `NOTIFY_SOCKET` names: a path, or an abstract name after `@`.
pub(super) fn ready(socket: &OsStr) -> io::Result<()> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(listener: &UnixDatagram) -> Vec<u8> {
        let mut got = [0; 16];
        let length = listener.recv(&mut got).unwrap();
        got[..length].to_vec()
    }

    #[test]
    fn paths_and_abstract_names_get_the_word() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        ready(path.as_os_str()).unwrap();
        assert_eq!(word(&listener), b"READY=1");

        let name = format!("shunt-notify-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        ready(OsStr::new(&format!("@{name}"))).unwrap();
        assert_eq!(word(&listener), b"READY=1");
    }
}
