//! A simulated modem with its SIM: an AT command set (3GPP TS 27.005, 27.007) on an abstract
//! socket, as ModemManager opens it, or on a TCP port, as oFono's phonesim driver does.

mod answers;
mod identity;
mod port;
mod state;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;

pub use identity::Identity;
pub use state::Registration;

use crate::background::{self, Changes};
use crate::netns::Netns;
use crate::pdu::Pdu;
use crate::private::note;
use crate::smsc::Smsc;
use state::{Outgoing, State};

/// A modem; dropping it unplugs it.
pub struct Modem {
    shared: Arc<Shared>,
    port: Mutex<Option<JoinHandle<()>>>,
    /// Kept while unplugged, so that nobody else gets its number.
    tcp: Mutex<Option<std::net::TcpListener>>,
}

/// What the port, the SMSC and the test have in common.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    /// Another SIM than its own, while that is in.
    other_sim: Mutex<Option<Identity>>,
    pub(crate) smsc: Smsc,
    state: Mutex<State>,
    changes: Changes,
}

impl Shared {
    /// What the SIM that is in says of itself.
    pub(crate) fn sim(&self) -> Identity {
        let other = self.other_sim.lock().unwrap_or_else(PoisonError::into_inner);
        other.as_ref().unwrap_or(&self.identity).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part or status report from the network. False when the phone cannot take it now.
    pub(crate) fn receive(&self, pdu: Pdu, is_report: bool) -> bool {
        let mut state = self.state();
        let taken = state.attached() && if is_report { state.take_report(pdu) } else { state.take_text(pdu) };
        drop(state);
        if taken {
            self.changes.tell();
        }
        taken
    }

    /// Changes the state, wakes the port, and lets the SMSC look again.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let out = change(&mut self.state());
        self.changes.tell();
        self.smsc.forward();
        out
    }
}

impl Modem {
    /// A modem with a SIM, not yet plugged in.
    pub fn new(smsc: &Smsc, identity: Identity) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changes: Changes::new(),
            smsc: smsc.clone(),
            identity,
            other_sim: Mutex::default(),
        });
        shared.identity.note();
        smsc.register(&shared.identity.number, &shared);
        Self { shared, port: Mutex::new(None), tcp: Mutex::new(None) }
    }

    /// Where it sends.
    pub(crate) fn smsc(&self) -> &Smsc {
        &self.shared.smsc
    }

    /// What the modem and its SIM say of themselves.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// Listens on the abstract socket `abstract:NAME` (that prefix is part of its name), inside a
    /// network namespace where one is given: abstract sockets belong to one.
    pub fn plug_abstract(&self, name: &str, netns: Option<&Netns>) -> Result<()> {
        let name = format!("abstract:{name}");
        let bind = move || -> Result<StdListener> {
            let address = SocketAddr::from_abstract_name(name.as_bytes())?;
            StdListener::bind_addr(&address).with_context(|| format!("listening on {name}"))
        };
        let listener = match netns {
            Some(netns) => netns.run(bind)??,
            None => bind()?,
        };
        listener.set_nonblocking(true)?;
        let _context = background::enter();
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let shared = self.shared.clone();
        self.keep(background::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                port::serve(&shared, stream).await;
            }
        }));
        Ok(())
    }

    /// Listens on a loopback TCP port, the same each time, and returns it.
    pub fn plug_tcp(&self, netns: Option<&Netns>) -> Result<u16> {
        let mut tcp = self.tcp.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = match tcp.take() {
            Some(listener) => listener,
            None => {
                let bind = || std::net::TcpListener::bind("127.0.0.1:0").context("a port for the modem");
                match netns {
                    Some(netns) => netns.run(bind)??,
                    None => bind()?,
                }
            }
        };
        *tcp = Some(listener.try_clone()?);
        listener.set_nonblocking(true)?;
        let number = listener.local_addr()?.port();
        let _context = background::enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shared = self.shared.clone();
        self.keep(background::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                port::serve(&shared, stream).await;
            }
        }));
        Ok(number)
    }

    fn keep(&self, task: JoinHandle<()>) {
        let old = self.port.lock().unwrap_or_else(PoisonError::into_inner).replace(task);
        if let Some(old) = old {
            old.abort();
        }
    }

    /// Loses the port, as when a USB modem is pulled: connection cut, socket gone.
    pub async fn unplug(&self) {
        let task = self.port.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            let _cancelled = task.await;
        }
    }

    /// Changes the registration and says so to whom asked for it (`+CREG` and its kin).
    pub fn set_registration(&self, registration: Registration) {
        self.shared.change(|s| s.register(registration));
    }

    /// Takes the SIM out or puts it in. ModemManager notices at the next plugging in.
    pub fn set_sim_present(&self, present: bool) {
        self.shared.change(|s| s.sim_absent = !present);
    }

    /// Puts another SIM in, or its own again. ModemManager notices at the next plugging in.
    pub fn set_other_sim(&self, other: Option<Identity>) {
        self.shared.smsc.unregister(&self.shared.sim().number);
        other.iter().for_each(Identity::note);
        *self.shared.other_sim.lock().unwrap_or_else(PoisonError::into_inner) = other;
        self.shared.smsc.register(&self.shared.sim().number, &self.shared);
    }

    /// Whether the SIM is in.
    pub fn sim_present(&self) -> bool {
        !self.shared.state().sim_absent
    }

    /// Rings: somebody calls (V.250 RING, 3GPP TS 27.007 section 7.6 +CLIP).
    pub fn ring(&self, caller: &str) {
        note(caller);
        let line = format!("RING\r\n\r\n+CLIP: \"{caller}\",145");
        self.shared.change(|s| s.outgoing.push_back(Outgoing::Line(line)));
    }

    /// How many parts lie in the storage.
    pub fn stored(&self) -> usize {
        self.shared.state().storage.len()
    }

    /// Every command line that came, in order.
    pub fn commands(&self) -> Vec<String> {
        self.shared.state().commands.clone()
    }

    /// Waits until the storage is empty: everything was read and deleted.
    pub async fn wait_emptied(&self) -> Result<()> {
        self.wait_for("the modem's storage to be emptied", |m| m.stored() == 0).await
    }

    /// Waits until the modem is as told; `what` is said when it never is.
    pub async fn wait_for(&self, what: &str, mut told: impl FnMut(&Self) -> bool) -> Result<()> {
        self.shared.changes.until(what, || told(self).then_some(())).await
    }
}

impl Drop for Modem {
    fn drop(&mut self) {
        if let Some(task) = self.port.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}
