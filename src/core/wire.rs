//! The wall's end in the loop: frames are held against the permit table, both ways; whoever breaks it is ended.

use super::driver::Daemon;
use super::event::Event;
use crate::modem::Modem;
use crate::sys::warden;
use crate::wall::{Channel, FromUplink, Permit, ToUplink};
use tokio::sync::mpsc;

/// Frames that may wait for the uplink to take them. One that lets more pile up is hung.
const FRAMES: usize = 2048;

/// The wall to the living uplink.
pub(super) struct Wall {
    /// Which uplink's: frames of an earlier one count no more.
    life: u64,
    permit: Permit,
    frames: mpsc::Sender<ToUplink>,
}

impl<M: Modem + 'static> Daemon<M> {
    pub(super) fn write_frame(&mut self, frame: ToUplink) {
        let Some(wall) = &mut self.wall else { return };
        if let Err(violation) = wall.permit.sent(&frame) {
            log::warn!("the uplink is ended: {violation}");
            return self.wall_broken();
        }
        if wall.frames.try_send(frame).is_err() {
            log::warn!("the uplink takes nothing: it is ended");
            self.wall_broken();
        }
    }

    fn wall_broken(&mut self) {
        self.wall = None;
        // The loop ends before its channel: nobody waits then.
        drop(self.events.send(Event::WallClosed));
    }

    /// Holds a frame from the wall against the permit table.
    pub(super) fn judged(&mut self, life: u64, frame: Option<FromUplink>) -> Option<Event> {
        let wall = self.wall.as_mut().filter(|wall| wall.life == life)?;
        let Some(frame) = frame else { return Some(Event::WallClosed) };
        match wall.permit.check(&frame) {
            Ok(()) => Some(Event::Wall(Box::new(frame))),
            Err(violation) => {
                log::warn!("the uplink is ended: {violation}");
                Some(Event::WallClosed)
            }
        }
    }

    pub(super) fn warden_event(&mut self, event: warden::Event) -> Event {
        if let warden::Event::Started(stream) = event {
            self.lives += 1;
            let life = self.lives;
            let (mut sender, mut receiver) = Channel::<ToUplink, FromUplink>::from_stream(stream).split();
            let (frames, mut to_write) = mpsc::channel(FRAMES);
            let received = self.received.clone();
            tokio::task::spawn_local(async move {
                loop {
                    let frame = receiver.recv().await.unwrap_or_else(|error| {
                        log::warn!("the wall: {error}");
                        None
                    });
                    let ended = frame.is_none();
                    if received.send((life, frame)).await.is_err() || ended {
                        return;
                    }
                }
            });
            let broken = self.received.clone();
            // In one queue with the bus's tasks, so that a turn's effects happen in their order.
            tokio::spawn(async move {
                while let Some(frame) = to_write.recv().await {
                    if let Err(error) = sender.send(&frame).await {
                        log::warn!("the wall: {error}");
                        // The loop ends before its channel: nobody waits then.
                        drop(broken.send((life, None)).await);
                        return;
                    }
                }
            });
            self.wall = Some(Wall { life, permit: Permit::new(), frames });
            return Event::UplinkStarted;
        }
        if !matches!(event, warden::Event::StartFailed(_)) {
            self.wall = None;
        }
        Event::Warden(event)
    }
}
