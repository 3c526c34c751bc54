//! What the modem is asked to do: each job runs beside the loop, and what comes of it is an event.

use super::event::Event;
use super::turn::ModemJob;
use crate::model::{Cause, SmsAttempt, TextId};
use crate::modem::{Modem, ModemError, Outcome, Retry, Sent, SmsObject};
use crate::router::SmsOutcome;
use std::rc::Rc;
use tokio::sync::mpsc;

/// Starts a job; its outcomes go to `events`.
pub(super) fn start<M: Modem + 'static>(modem: Rc<M>, events: mpsc::UnboundedSender<Event>, job: ModemJob) {
    tokio::task::spawn_local(async move {
        if !matches!(job, ModemJob::Now { .. }) {
            // Local tasks run before all others: whoever waits for the turn's answer gets it first.
            tokio::task::yield_now().await;
        }
        run(&*modem, &events, job).await;
    });
}

async fn run<M: Modem>(modem: &M, events: &mpsc::UnboundedSender<Event>, job: ModemJob) {
    // The loop ends before its channel: nobody waits then.
    let tell = |id: TextId, outcome| drop(events.send(Event::Sms(id, outcome)));
    match job {
        ModemJob::Now { id, line, sms } => match modem.create(&line, &sms).await {
            Err(error) => tell(id, failed(&error, error.retry().before_send())),
            Ok(object) => {
                let sent = modem.send(&line, &object).await;
                tell(id, prepared(object));
                tell(id, outcome(sent));
            }
        },
        ModemJob::Create { id, line, sms } => match modem.create(&line, &sms).await {
            Err(error) => tell(id, failed(&error, error.retry().before_send())),
            Ok(object) => tell(id, prepared(object)),
        },
        ModemJob::Send { id, line, sms } => tell(id, outcome(modem.send(&line, &sms).await)),
        ModemJob::Prove { id, line, sms, to, body } => {
            let proven = match modem.outcome(&line, &sms, &to, &body).await {
                Outcome::Sent(sent) => SmsOutcome::Sent { references: sent.references },
                Outcome::NotSent => SmsOutcome::Later(Cause::Restarted),
                Outcome::Unknown => SmsOutcome::Unknown(Cause::Restarted),
            };
            tell(id, proven);
        }
        ModemJob::Delete { line, sms } => {
            if let Err(error) = modem.delete(&line, &sms).await {
                log::warn!("an SMS could not be deleted from the modem: {error}");
            }
        }
    }
}

fn prepared(object: SmsObject) -> SmsOutcome {
    SmsOutcome::Prepared(SmsAttempt {
        object: object.object,
        owner: object.owner,
        issued: false,
        references: Vec::new(),
    })
}

fn outcome(sent: Result<Sent, ModemError>) -> SmsOutcome {
    match sent {
        Ok(sent) => SmsOutcome::Sent { references: sent.references },
        Err(error) => failed(&error, error.retry()),
    }
}

fn failed(error: &ModemError, retry: Retry) -> SmsOutcome {
    log::warn!("an SMS was not sent: {error}");
    match retry {
        Retry::Never(cause) => SmsOutcome::Never(cause),
        Retry::Later(cause) => SmsOutcome::Later(cause),
        Retry::Unknown(cause) => SmsOutcome::Unknown(cause),
    }
}
