//! An uplink without an account: it takes enrolments to the directory, and has no XMPP connection.

use super::UplinkError;
use super::directory::{self, Directory};
use super::socket::Meter;
use super::tls::Tls;
use crate::wall::{Counters, FromUplink, ToUplink, UplinkPermit, Visit};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;

/// Serves the core until it closes the wall or says `Close`.
pub(super) async fn serve(mut wall: super::Wall, mut permit: UplinkPermit, visit: Visit) -> Result<(), UplinkError> {
    let meter = Arc::<Meter>::default();
    let tls = Tls::pinned(&visit.ca);
    let directory = Arc::new(Directory { url: visit.directory, token: None, tls, meter: meter.clone() });
    let mut asked = FuturesUnordered::new();
    let mut told = Counters::default();
    loop {
        tokio::select! {
            message = wall.recv() => {
                let Some(message) = message? else { return Ok(()) };
                permit.check(&message)?;
                match message {
                    ToUplink::Errand { request, errand } => {
                        asked.push(directory::errand(directory.clone(), request, errand));
                    }
                    // `Close`: the permit table lets nothing else through.
                    _ => return Ok(()),
                }
            }
            Some(answer) = asked.next() => {
                wall.send(&answer).await?;
                let counted = meter.read();
                if counted != told {
                    told = counted;
                    wall.send(&FromUplink::Counters(counted)).await?;
                }
            }
        }
    }
}
