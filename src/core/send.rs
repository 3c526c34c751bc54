//! A text is handed over over D-Bus: made, given its ordinal, submitted.

use super::Core;
use super::turn::Turn;
use crate::bus::{Error, Reply, SendOptions};
use crate::model::{Address, Bearer, Body, Reason, Segments, State, Text, TextId, Timestamp, WordingKey};
use crate::router::{Class, Input};
use crate::seal::BODY_MAX;
use crate::store::StoreError;

const TOKEN_TAKEN: Error = Error::BadArgument("that token is another text's: take a new one for each text");

impl Core {
    pub(super) fn send(
        &mut self,
        turn: &mut Turn<'_, '_>,
        to: Address,
        body: Body,
        options: SendOptions,
        reply: Reply<TextId>,
    ) -> Result<(), StoreError> {
        if let Some(token) = &options.token
            && let Some(earlier) = turn.tx.text_by_token(token)?
        {
            let peer = self.classify(&to, self.line(options.line.as_ref())).1;
            let same = earlier.body == body && (earlier.to == to || (peer.is_some() && earlier.peer == peer));
            // Else it would be taken for sent, and lost.
            turn.answer(reply, if same { Ok(earlier.id) } else { Err(TOKEN_TAKEN) });
            return Ok(());
        }
        match self.new_text(turn, to, body, options)? {
            Ok((text, class)) => {
                turn.answer(reply, Ok(text.id));
                self.submit(turn, text, class)
            }
            Err(error) => {
                turn.answer(reply, Err(error));
                Ok(())
            }
        }
    }

    pub(super) fn submit(&mut self, turn: &mut Turn<'_, '_>, text: Text, class: Class) -> Result<(), StoreError> {
        if let Some(peer) = &text.peer {
            self.change_peer(turn, &peer.clone(), |record| record.wrote_to = true)?;
        }
        self.route(turn, Input::Submit(Box::new(text), class))
    }

    pub(super) fn new_text(
        &self,
        turn: &Turn<'_, '_>,
        to: Address,
        body: Body,
        options: SendOptions,
    ) -> Result<Result<(Text, Class), Error>, StoreError> {
        let (mut text, class) = match self.blank_text(turn.now.wall, to, body, options) {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        // A short code has no twin; a text without a peer needs no ordinal.
        if let Some(peer) = &text.peer {
            text.wording = turn.tx.wording(peer, &text.body.0);
            text.ordinal = turn.tx.ordinal(text.wording, Self::ordinals_since(turn.now.wall))?;
        }
        Ok(Ok((text, class)))
    }

    /// A text as it is handed over; touches no store.
    fn blank_text(&self, at: Timestamp, to: Address, body: Body, options: SendOptions) -> Result<(Text, Class), Error> {
        let line = self.line(options.line.as_ref()).ok_or({
            if options.line.is_some() && !self.lines.is_empty() {
                Error::NotFound("no such line")
            } else {
                Error::NoModem
            }
        })?;
        if to.dialable().is_none() {
            return Err(Error::BadNumber);
        }
        let segments = Segments::of(&body.0);
        // A letter holds less than a multipart SMS can.
        let only = if body.0.len() > BODY_MAX { Some(Bearer::Sms) } else { options.only };
        if segments.too_long() || (only != options.only && options.only == Some(Bearer::Im)) {
            return Err(Error::TooLong);
        }
        let (class, peer) = self.classify(&to, Some(line));
        let text = Text {
            id: TextId::new(at, super::random()),
            line: line.id.clone(),
            to,
            peer,
            body,
            at,
            state: State::Queued,
            reason: Reason::Unknown,
            only,
            wording: WordingKey([0; 32]),
            ordinal: 0,
            im: None,
            sms: None,
            retries: 0,
            encoding: segments.encoding,
            token: options.token,
            report: options.report,
            cancelled: false,
            diverted: None,
        };
        Ok((text, class))
    }

    pub(super) fn is_emergency(&self, to: &Address, options: &SendOptions) -> bool {
        self.classify(to, self.line(options.line.as_ref())).0 == Class::Emergency
    }

    /// As [`Self::blank_text`]. A repeated token is not looked for: that would be the store's.
    pub(super) fn emergency_text(
        &self,
        at: Timestamp,
        to: Address,
        body: Body,
        options: SendOptions,
    ) -> Result<Text, Error> {
        self.blank_text(at, to, body, SendOptions { token: None, ..options }).map(|(text, _)| text)
    }

    /// Records an emergency text that the modem has already.
    pub(super) fn emergency_begun(&mut self, turn: &mut Turn<'_, '_>, text: Text) -> Result<(), StoreError> {
        self.begun = Some(text.id);
        self.route(turn, Input::Submit(Box::new(text), Class::Emergency))
    }
}
