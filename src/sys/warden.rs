//! The core's side of its channel to the warden, for tokio.

use super::{
    control::{self, ControlError, Reply, Request, Status},
    inherit::inherited_control,
};
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixStream,
};

/// Why the warden did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum WardenError {
    /// The warden is gone; the kernel is ending this process too.
    #[error("the warden is gone: end")]
    Gone,
    /// The uplink could not be started.
    #[error("the uplink could not be started: is shuntd-uplink installed beside shuntd-core?")]
    StartFailed(#[source] io::Error),
    /// The channel broke.
    #[error("the channel to the warden broke: end, init starts the set again")]
    Channel(#[source] ControlError),
    /// This process's runtime refused the descriptor.
    #[error("the channel to the warden can't be used")]
    Io(#[from] io::Error),
}

/// What the warden tells.
#[derive(Debug)]
pub enum Event {
    /// The uplink runs; the core's end of the wall.
    Started(UnixStream),
    /// It could not be started.
    StartFailed(io::Error),
    /// It died unasked.
    Died(Status),
    /// Asked for, and dead: no process, no socket.
    Stopped,
}

/// The channel. Either [`request`](Self::request) and [`event`](Self::event) for a loop that does
/// other things meanwhile, or [`start`](Self::start) and [`stop`](Self::stop) that wait.
pub struct WardenHandle {
    channel: AsyncFd<OwnedFd>,
}

impl WardenHandle {
    /// On the descriptor that the warden gave this process. Inside a runtime; once.
    ///
    /// # Errors
    /// The process was not started by the warden.
    pub fn inherited() -> Result<Self, WardenError> {
        Self::new(inherited_control()?)
    }

    /// On a core's end of [`control::pair`]. Inside a runtime (tokio panics outside one).
    ///
    /// # Errors
    /// The kernel's.
    #[allow(unsafe_code)]
    pub fn new(channel: OwnedFd) -> Result<Self, WardenError> {
        rustix::io::ioctl_fionbio(&channel, true).map_err(io::Error::from)?;
        fcntl_setfd(&channel, FdFlags::CLOEXEC).map_err(io::Error::from)?;
        // SAFETY: `OwnedFd` is an open descriptor of its own, always the same; `AsyncFd` owns it to
        // the end, and nothing here closes or replaces it meanwhile.
        let channel = unsafe { AsyncFd::register_with_interest(channel, Interest::READABLE) };
        let channel = channel.map_err(io::Error::from)?;
        Ok(Self { channel })
    }

    /// For `confine::core`.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.channel.get_ref().as_fd()
    }

    /// Asks, without waiting for what comes of it. `Start` while an uplink lives gets `StartFailed`,
    /// `Stop` while none lives gets `Stopped` at once.
    ///
    /// # Errors
    /// The warden is gone or does not read.
    pub fn request(&self, request: Request) -> Result<(), WardenError> {
        control::ask(self.descriptor(), request).map_err(named)
    }

    /// What the warden tells next. Cancel-safe.
    ///
    /// # Errors
    /// The warden is gone, or the channel broke.
    pub async fn event(&self) -> Result<Event, WardenError> {
        loop {
            let mut ready = self.channel.readable().await?;
            match control::replied(self.channel.get_ref()) {
                Ok(Reply::Started(wall)) => {
                    let wall = std::os::unix::net::UnixStream::from(wall);
                    wall.set_nonblocking(true)?;
                    return Ok(Event::Started(UnixStream::from_std(wall)?));
                }
                Ok(Reply::StartFailed(error)) => return Ok(Event::StartFailed(io::Error::from_raw_os_error(error))),
                Ok(Reply::Died(status)) => return Ok(Event::Died(status)),
                Ok(Reply::Stopped) => return Ok(Event::Stopped),
                Err(ControlError::WouldBlock) => ready.clear_ready(),
                Err(e) => return Err(named(e)),
            }
        }
    }

    /// Tells init, through the warden, that the core is up.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn ready(&self) -> Result<(), WardenError> {
        self.request(Request::Ready)
    }

    /// Starts the uplink and gives the core's end of the wall.
    ///
    /// # Errors
    /// It could not be started, or the warden is gone.
    pub async fn start(&self) -> Result<UnixStream, WardenError> {
        self.request(Request::Start)?;
        loop {
            match self.event().await? {
                Event::Started(wall) => return Ok(wall),
                Event::StartFailed(e) => return Err(WardenError::StartFailed(e)),
                // Of the one before.
                Event::Died(_) | Event::Stopped => {}
            }
        }
    }

    /// Returns when the uplink is dead, within about a second. Drop the end of the wall first: an
    /// uplink that sees it closed leaves politely; at the deadline it is killed.
    ///
    /// # Errors
    /// The warden is gone, or the channel broke.
    pub async fn stop(&self) -> Result<(), WardenError> {
        self.request(Request::Stop)?;
        while !matches!(self.event().await?, Event::Stopped) {}
        Ok(())
    }

    /// Waits until the uplink dies unasked. Cancel-safe.
    ///
    /// # Errors
    /// The warden is gone, or the channel broke.
    pub async fn died(&self) -> Result<Status, WardenError> {
        loop {
            if let Event::Died(status) = self.event().await? {
                return Ok(status);
            }
        }
    }
}

fn named(error: ControlError) -> WardenError {
    match error {
        ControlError::Gone => WardenError::Gone,
        other => WardenError::Channel(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn start_gives_the_wall_past_the_news_of_the_one_before() {
        run(async {
            let (warden, core) = control::pair().unwrap();
            let handle = WardenHandle::new(core).unwrap();
            let (ours, theirs) = control::wall().unwrap();
            control::reply(&warden, &Reply::Died(Status::Signal(9))).unwrap();
            control::reply(&warden, &Reply::Started(ours)).unwrap();
            let wall = handle.start().await.unwrap();
            assert_eq!(control::asked(&warden).unwrap(), Request::Start);
            rustix::io::write(&theirs, b"x").unwrap();
            wall.readable().await.unwrap();
        });
    }

    #[test]
    fn a_start_that_fails_says_why() {
        run(async {
            let (warden, core) = control::pair().unwrap();
            let handle = WardenHandle::new(core).unwrap();
            control::reply(&warden, &Reply::StartFailed(libc::ENOENT)).unwrap();
            let Err(WardenError::StartFailed(e)) = handle.start().await else { panic!("it started") };
            assert_eq!(e.kind(), io::ErrorKind::NotFound);
        });
    }

    #[test]
    fn a_dropped_wait_loses_no_event() {
        run(async {
            let (warden, core) = control::pair().unwrap();
            let handle = WardenHandle::new(core).unwrap();
            assert!(tokio::time::timeout(std::time::Duration::ZERO, handle.event()).await.is_err());
            control::reply(&warden, &Reply::Died(Status::Exited(1))).unwrap();
            assert_eq!(handle.died().await.unwrap(), Status::Exited(1));
        });
    }

    #[test]
    fn a_warden_that_is_gone_is_named() {
        run(async {
            let (warden, core) = control::pair().unwrap();
            let handle = WardenHandle::new(core).unwrap();
            drop(warden);
            assert!(matches!(handle.event().await, Err(WardenError::Gone)));
            assert!(matches!(handle.start().await, Err(WardenError::Gone)));
        });
    }
}
