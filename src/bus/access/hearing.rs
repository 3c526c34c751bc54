//! Who hears: callers whose right stands hear at once. For one whose right is being asked for signals wait, so that a
//! polkit that does not answer costs nobody else anything, and the caller neither its place nor a text.

use super::callers::Due;
use super::gate::Gate;
use super::polkit::Answer;
use crate::bus::signal::Signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// How soon a polkit that did not answer is asked again, unless there is news of it before.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Gate {
    /// Tells those whom a signal concerns, as far as they still may hear it. Waits for nobody's judgement.
    pub(in crate::bus) async fn tell(self: &Arc<Self>, signal: Signal) {
        let names = self.callers().audience(signal.audience());
        let signal = Arc::new(signal);
        for name in names {
            let due = self.callers().due(&name, &signal, || self.catch_up(&name));
            match due {
                Due::Now => self.send(&name, &signal).await,
                Due::Later => {}
                Due::Never => {
                    log::warn!(
                        "{name} is told nothing more: polkit does not say whether it may hear what waits for it"
                    );
                    self.forget(name);
                }
            }
        }
    }

    async fn send(&self, name: &str, signal: &Signal) {
        if let Err(error) = signal.send(self.bus(), name).await {
            log::warn!("a signal could not be sent: {error}");
        }
    }

    /// Asks until it is known whether a caller may hear what waits for it.
    fn catch_up(self: &Arc<Self>, name: &str) -> AbortHandle {
        let (gate, name) = (self.clone(), Box::<str>::from(name));
        let task = tokio::spawn(async move {
            loop {
                let news = gate.news();
                match gate.judge_known(&name).await {
                    Ok((_, Answer::Allowed)) if gate.hand_over(&name).await => return,
                    // In doubt again.
                    Ok((_, Answer::Allowed)) => {}
                    // Either way there is something to ask.
                    Ok((_, Answer::Mute)) => drop(tokio::time::timeout(ASK_AGAIN, news).await),
                    Ok(_) | Err(_) => return gate.forget(name),
                }
            }
        });
        task.abort_handle()
    }

    /// Sends a caller what waits for it, in order, as long as its right stands; whether that was all.
    async fn hand_over(&self, name: &str) -> bool {
        while self.callers().judgement_stands(name) {
            let next = self.callers().next(name);
            match next {
                Some(signal) => self.send(name, &signal).await,
                None => return true,
            }
        }
        false
    }
}
