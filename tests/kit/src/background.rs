//! The kit's own runtime: simulated modems answer on it, so that a test may block its thread.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long any wait of the kit lasts before it is called a hang. Not a measure of speed.
pub const HANG: Duration = Duration::from_secs(90);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("shunt-kit")
            .enable_all()
            .build()
            .expect("a thread for the kit's runtime")
    })
}

/// Runs a task beside the tests. Sockets that it uses must be made inside it or under [`enter`].
pub(crate) fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    runtime().spawn(task)
}

/// Makes the kit's runtime the current one, for registering sockets with it.
pub(crate) fn enter() -> tokio::runtime::EnterGuard<'static> {
    runtime().enter()
}

/// Bumped whenever something changed that somebody may wait for.
#[derive(Debug)]
pub(crate) struct Changes(watch::Sender<u64>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn tell(&self) {
        self.0.send_modify(|n| *n += 1);
    }

    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// Returns what `look` finds, looking again at each change.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
        let mut changes = self.listen();
        let found = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look() {
                    return found;
                }
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        match tokio::time::timeout(HANG, found).await {
            Ok(found) => Ok(found),
            Err(_) => bail!("waited in vain for: {what}"),
        }
    }
}
