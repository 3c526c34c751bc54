//! `org.shunt.Shunt1.Agents`: for a ROM's agent, on the bus and on the agents' socket.

use crate::bus::agents::Seat;
use crate::bus::core::Shared;
use crate::bus::details;
use crate::bus::options::{self, Dict, LineOptions};
use crate::bus::{Caller, Error, Request, SendOptions};
use crate::model::{Address, Body, Diverted, Line, PhoneNumber, SimState};
use crate::modem::agent::Port;
use crate::modem::{IncomingSms, Kind, SmsObject, StatusReport};
use std::sync::Arc;
use zbus::message::Header;
use zbus::{Connection, ObjectPath, OwnedObjectPath, interface};

pub(in crate::bus) struct Agents {
    pub(in crate::bus) shared: Arc<Shared>,
    /// Who is at the other end of a connection of its own; on the bus, each call says it.
    pub(in crate::bus) peer: Option<Caller>,
}

impl Agents {
    /// A caller that may be the agent, by its uid.
    async fn candidate(&self, call: &Header<'_>) -> Result<(Caller, &Seat), Error> {
        let seat = self.shared.seat.as_ref();
        let seat = seat.ok_or(Error::Denied("no agent is expected: set [modem] backend = \"agent\""))?;
        let caller = match &self.peer {
            Some(peer) => peer.clone(),
            None => self.shared.gate.who(call).await?,
        };
        if seat.lets(caller.uid) { Ok((caller, seat)) } else { Err(Error::Denied("add the uid to [agent] uids")) }
    }

    /// The agent.
    async fn agent(&self, call: &Header<'_>) -> Result<(Caller, &Seat), Error> {
        let (caller, seat) = self.candidate(call).await?;
        if seat.port.is_agent(&caller.name) { Ok((caller, seat)) } else { Err(Error::Denied("call Register first")) }
    }
}

#[interface(name = "org.shunt.Shunt1.Agents", introspection_docs = false)]
impl Agents {
    /// The last to register is the agent, until it leaves.
    async fn register(
        &self,
        agent: ObjectPath<'_>,
        #[zbus(header)] call: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), Error> {
        let (caller, seat) = self.candidate(&call).await?;
        let on_bus = self.peer.is_none();
        // First listen for its leaving, then see whether it is still there.
        let leaving = if on_bus { self.shared.gate.leaving(&caller.name).await } else { None };
        if on_bus {
            self.shared.gate.who(&call).await?;
        }
        let destination = on_bus.then(|| caller.name.clone());
        let way = (connection.clone(), destination, OwnedObjectPath::from(agent));
        seat.port.register(&caller.name, way);
        crate::bus::agents::forget_when_gone(&self.shared, seat.port.clone(), caller.name, connection.clone(), leaving);
        Ok(())
    }

    /// A line is new or changed.
    async fn line(
        &self,
        line: &str,
        number: &str,
        state: &str,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), Error> {
        let (_, seat) = self.agent(&call).await?;
        let (written, LineOptions { home, emergency }) = (options::line(line)?, LineOptions::parse(options)?);
        let number = if number.is_empty() { None } else { Some(number) };
        let number = number.map(|e164| PhoneNumber::from_e164(e164).map_err(|_| Error::BadNumber)).transpose()?;
        let sim = match state {
            "absent" => SimState::Absent,
            "locked" => SimState::Locked,
            "searching" => SimState::Searching,
            "home" => SimState::Home,
            "roaming" => SimState::Roaming,
            _ => return Err(Error::BadArgument("a line is absent, locked, searching, home or roaming")),
        };
        let home = home.or_else(|| number.as_ref().and_then(crate::model::Home::of));
        let id = seat.port.line_id(&written);
        seat.port.line(
            &written,
            Line { slot: Port::slot(&id), id, modem: Some(written.clone()), number, sim, home, emergency },
        );
        Ok(())
    }

    /// A line is gone.
    async fn line_gone(&self, line: &str, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        let (_, seat) = self.agent(&call).await?;
        let gone = seat.port.line_gone(seat.port.line_id(&options::line(line)?));
        if gone { Ok(()) } else { Err(Error::NotFound("no such line")) }
    }

    /// An SMS came in; answered once it is durable.
    #[zbus(out_args("twin", "shown"))]
    async fn incoming(
        &self,
        line: &str,
        from: &str,
        text: &str,
        stamp: &str,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(bool, String), Error> {
        let (_, seat) = self.agent(&call).await?;
        let written = options::line(line)?;
        let sms = IncomingSms {
            line: seat.port.line_id(&written),
            sms: none(),
            from: options::address(from)?,
            body: options::body(text)?,
            sent: options::time(options)?,
            stamp: options::stamp(stamp)?,
            kind: Kind::Plain,
        };
        let (twin, Body(shown)) = self.shared.ask(|reply| Request::Incoming { sms, reply }).await?;
        Ok((twin, shown.into()))
    }

    /// A text that an app sends; answered once it is settled as far as the app cares.
    #[zbus(out_args("outcome", "reason", "message"))]
    async fn outgoing(
        &self,
        to: &str,
        text: &str,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(&'static str, &'static str, OwnedObjectPath), Error> {
        let (caller, _) = self.agent(&call).await?;
        let (to, text) = (options::address(to)?, options::body(text)?);
        let SendOptions { line, token, report, only } = SendOptions::parse(options)?;
        if only.is_some() || token.is_none() {
            return Err(Error::BadArgument("an agent names a token, random for each text, and no bearer"));
        }
        let modem = line.map(|line| line.0);
        let options = SendOptions { token, report, ..SendOptions::default() };
        let diverted = Diverted { object: "/".into(), owner: "".into(), waits: true, report_deleted: false };
        let ask = |reply| Request::Divert { to, text, options, modem, diverted, caller, reply };
        let settled = self.shared.ask(ask).await?;
        let path = settled.id.map_or_else(OwnedObjectPath::default, details::path);
        Ok((settled.outcome.token(), settled.reason.token(), path))
    }

    /// A status report came in.
    async fn report(
        &self,
        line: &str,
        to: &str,
        reference: u8,
        delivered: bool,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), Error> {
        let (_, seat) = self.agent(&call).await?;
        let line = seat.port.line_id(&options::line(line)?);
        let to: Address = options::address(to)?;
        let report = StatusReport { line, sms: none(), to, reference, delivered: Some(delivered) };
        self.shared.ask(|reply| Request::Report { report, reply }).await
    }
}

/// The agent holds no objects.
fn none() -> SmsObject {
    SmsObject { object: "/".into(), owner: "".into() }
}
