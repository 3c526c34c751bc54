//! How phones enrol by themselves: who sends codes, and how many.

use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;

/// How phones enrol by themselves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Seconds that a code is good for: 1 to 600.
    #[serde(default = "life")]
    pub life: u64,
    /// Who sends the SMS.
    pub gateway: Gateway,
    /// Limits against SMS pumping.
    #[serde(default)]
    pub limits: SmsLimits,
    /// Balancers: behind them a client's address is the last of `X-Forwarded-For`.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
    /// Command that is run when the country or global limit is reached; the limit and the country
    /// are added as arguments.
    #[serde(default)]
    pub alarm: Vec<String>,
}

fn life() -> u64 {
    600
}

/// Who sends code SMS.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Gateway {
    /// A modem on this machine, through ModemManager.
    Modem(SmsModem),
    /// A provider.
    Smpp(Smpp),
}

/// A modem on this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsModem {
    /// Address of the bus that ModemManager is on; the system bus without it.
    pub bus: Option<String>,
}

/// An SMPP 3.4 provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smpp {
    /// `host:port`.
    pub address: String,
    /// The account, up to 15 characters.
    pub system_id: String,
    /// File with its password, up to 8 characters; readable by its owner alone.
    pub password: PathBuf,
    /// Whom the SMS come from: a number with `+`, or a name of up to 11 characters.
    pub source: String,
    /// PEM file of the CA that vouches for the provider; without it the connection is not encrypted.
    pub ca: Option<PathBuf>,
}

/// How many code SMS are sent.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsLimits {
    /// To one number.
    pub number_per_day: u32,
    /// For clients of one IPv4 /24 or IPv6 /48.
    pub block_per_hour: u32,
    /// To the numbers of one country.
    pub country_per_hour: u32,
    /// In all.
    pub global_per_hour: u32,
}

impl SmsLimits {
    pub(super) fn allow_any(&self) -> bool {
        let Self { number_per_day, block_per_hour, country_per_hour, global_per_hour } = *self;
        [number_per_day, block_per_hour, country_per_hour, global_per_hour].iter().all(|most| *most > 0)
    }
}

impl Default for SmsLimits {
    fn default() -> Self {
        Self { number_per_day: 5, block_per_hour: 30, country_per_hour: 500, global_per_hour: 1_000 }
    }
}
