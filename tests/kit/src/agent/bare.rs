//! An agent that does nothing by itself: for what a faulty one does.

use std::collections::HashMap;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use zbus::message::Type;
use zbus::{Message, MessageStream, Variant};

use super::{Daemon, Told};
use crate::background::HANG;
use crate::phone::Phone;

/// A registered agent on the bus whose test answers each call, or does not.
pub struct Bare {
    daemon: Daemon,
    line: String,
    calls: MessageStream,
}

impl Bare {
    /// Registers, and tells one line of that name, with the phone's number.
    pub async fn start(phone: &Phone, line: &str) -> Result<Self> {
        let connection = phone.bus().connect().await?;
        let calls = MessageStream::from(&connection);
        let daemon = Daemon { connection, on_bus: true };
        daemon.register().await?;
        let none: HashMap<&str, Variant<'_>> = HashMap::new();
        daemon.call("Line", &(line, phone.number(), "home", none)).await?;
        Ok(Self { daemon, line: line.to_owned(), calls })
    }

    /// The next `Send`; other calls stay unanswered.
    pub async fn asked(&mut self) -> Result<Message> {
        let call = async {
            loop {
                let message = self.calls.next().await.context("the bus is gone")??;
                let header = message.header();
                let member = header.member().map(|member| member.as_str());
                if (header.message_type(), member) == (Type::MethodCall, Some("Send")) {
                    return Ok(message);
                }
            }
        };
        tokio::time::timeout(HANG, call).await.context("waited in vain for a Send")?
    }

    /// Answers a `Send`: it left, with that message reference.
    pub async fn sent(&self, call: &Message, reference: u8) -> Result<()> {
        let answer = Message::method_return(&call.header()).build(&vec![reference])?;
        Ok(self.daemon.connection.send(&answer).await?)
    }

    /// A status report: delivered.
    pub async fn delivered(&self, to: &str, reference: u8) -> Result<()> {
        self.daemon.call("Report", &(&*self.line, to, reference, true)).await.map(drop)
    }

    /// Reports an SMS.
    pub async fn incoming(&self, from: &str, text: &str, stamp: &str) -> Result<Told> {
        self.daemon.incoming(&self.line, from, text, stamp, None).await
    }
}
