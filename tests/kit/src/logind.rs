//! What of logind matters to who must not be online asleep: delay inhibitors and `PrepareForSleep`, from
//! python-dbusmock's logind. The real one needs to be the machine's, and suspends it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use zbus::{Connection, MatchRule, MessageStream, Variant, message};

use crate::background::HANG;
use crate::bus::name_owned;
use crate::phone::Phone;
use crate::process::Process;

const SERVICE: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
/// `InhibitDelayMaxSec`, logind's default.
const DELAY: Duration = Duration::from_secs(5);

/// python-dbusmock's, made to tell of its inhibitors.
const TEMPLATE: &str = include_str!("logind.py");

/// What, who, why, mode, uid, pid.
type Inhibitor = (String, String, String, String, u32, u32);

/// A logind on a phone's bus; dropping it ends it.
pub struct Logind {
    connection: Connection,
    _process: Process,
}

impl Logind {
    /// Puts it on a phone's bus.
    ///
    /// # Errors
    /// Somebody else is logind there.
    pub async fn start(phone: &Phone) -> Result<Self> {
        let mut command = Command::new("/usr/bin/python3");
        let template = phone.dir().join("logind.py");
        std::fs::write(&template, TEMPLATE)?;
        command.args(["-m", "dbusmock", "--system", "--template"]).arg(template);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", phone.bus().address());
        let mut process = Process::start("logind", command, &phone.dir().join("logind.log"))?;
        let connection = phone.bus().connect().await?;
        process.until("its name on the bus", name_owned(&connection, SERVICE)).await?;
        Ok(Self { connection, _process: process })
    }

    /// Waits until so many delay inhibitors for sleep are held.
    ///
    /// # Errors
    /// That never comes.
    pub async fn wait_held(&self, count: usize) -> Result<()> {
        tokio::time::timeout(HANG, self.until_held(count)).await.context("waited in vain for inhibitors")?
    }

    /// Announces sleep.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn prepare(&self) -> Result<()> {
        self.announce(true).await
    }

    /// Announces sleep, and waits until nobody holds it up.
    ///
    /// # Errors
    /// Somebody still does when logind would wait no longer.
    pub async fn sleep(&self) -> Result<()> {
        self.prepare().await?;
        let released = tokio::time::timeout(DELAY, self.until_held(0)).await;
        released.context("sleep was held up for longer than logind waits")?
    }

    /// Announces that the system woke.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn wake(&self) -> Result<()> {
        self.announce(false).await
    }

    async fn until_held(&self, count: usize) -> Result<()> {
        let rule = MatchRule::builder().msg_type(message::Type::Signal).sender(SERVICE).path(PATH);
        let rule = rule.interface("org.freedesktop.DBus.Properties").build()?;
        let mut changes = MessageStream::for_match_rule(rule, &self.connection, None).await?;
        loop {
            let answer = self.connection.call_method(Some(SERVICE), PATH, Some(MANAGER), "ListInhibitors", &()).await?;
            let all: Vec<Inhibitor> = answer.body().deserialize()?;
            if all.iter().filter(|held| (held.0.as_str(), held.3.as_str()) == ("sleep", "delay")).count() == count {
                return Ok(());
            }
            changes.next().await.context("the bus is gone")??;
        }
    }

    async fn announce(&self, start: bool) -> Result<()> {
        let signal = (MANAGER, "PrepareForSleep", "b", vec![Variant::from(start)]);
        let mock = Some("org.freedesktop.DBus.Mock");
        self.connection.call_method(Some(SERVICE), PATH, mock, "EmitSignal", &signal).await?;
        Ok(())
    }
}
