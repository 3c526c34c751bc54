//! Phones, one cloud and one SMSC: everything that the main job needs, in one call.

use crate::cloud::Cloud;
use crate::directory::Directory;
use crate::evaluator::Evaluator;
use crate::phone::{Phone, PhoneBuilder, ShuntConfig};
use crate::proxy::Proxy;
use crate::shunt::Shunt;
use crate::smsc::Smsc;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A cloud and an SMSC, for any number of phones.
pub struct World {
    /// The SMSC.
    pub smsc: Smsc,
    /// ejabberd.
    pub cloud: Cloud,
    /// The directory.
    pub directory: Directory,
    programs: PathBuf,
    /// The modem that the directory sends its codes by.
    gateway: Option<Phone>,
    /// The second operator's evaluator.
    pub second: Option<Evaluator>,
}

/// The number that codes come from.
pub const GATEWAY: &str = "+4915100000001";

impl World {
    /// Starts both. `programs` has the daemons and, built with that feature, `shunt-directory`.
    ///
    /// # Errors
    /// Something did not start; the end of its log is in the text.
    pub async fn start(programs: &Path) -> Result<Self> {
        Self::limited(programs, "").await
    }

    /// The same with other limits on what an account may send, as for [`Cloud::start_limited`].
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn limited(programs: &Path, limits: &str) -> Result<Self> {
        let cloud = Cloud::start_limited(limits).await?;
        let directory = cloud.start_directory(&programs.join("shunt-directory")).await?;
        Ok(Self { smsc: Smsc::new(), cloud, directory, programs: programs.to_owned(), gateway: None, second: None })
    }

    /// The same with a directory that lets phones enrol themselves; its codes go by a modem of its own.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn enrolling(programs: &Path) -> Result<Self> {
        let (cloud, smsc) = (Cloud::start().await?, Smsc::new());
        let gateway = Phone::builder(&smsc, GATEWAY).start().await?;
        let more = format!("[enrolment]\n[enrolment.gateway.modem]\nbus = \"{}\"\n", gateway.bus().address());
        let directory =
            cloud.start_directory_with(&programs.join("shunt-directory"), crate::directory::FILE, &more).await?;
        Ok(Self { smsc, cloud, directory, programs: programs.to_owned(), gateway: Some(gateway), second: None })
    }

    /// As [`World::enrolling`], with a second operator's evaluator.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn of_two_operators(programs: &Path) -> Result<Self> {
        let (cloud, smsc) = (Cloud::start().await?, Smsc::new());
        let gateway = Phone::builder(&smsc, GATEWAY).start().await?;
        let more = format!("[enrolment]\n[enrolment.gateway.modem]\nbus = \"{}\"\n", gateway.bus().address());
        let binary = programs.join("shunt-directory");
        let second = Evaluator::start(&binary, cloud.dir(), "").await?;
        let directory = cloud.start_directory_of_two(&binary, &second, &more).await?;
        let (programs, gateway, second) = (programs.to_owned(), Some(gateway), Some(second));
        Ok(Self { smsc, cloud, directory, programs, gateway, second })
    }

    /// The configuration of a phone that is to enrol: the directory's keys are pinned.
    ///
    /// # Errors
    /// The keys can't be read.
    pub fn config_to_enrol(&self) -> Result<ShuntConfig> {
        let config = self.config().lines(&self.directory.pinned()?);
        Ok(match &self.second {
            Some(second) => config.second(second),
            None => config,
        })
    }

    /// The directory's modem, in a world that enrols.
    #[must_use]
    pub fn gateway(&self) -> Option<&Phone> {
        self.gateway.as_ref()
    }

    /// A phone to be, with the repository's own D-Bus and polkit files.
    #[must_use]
    pub fn builder(&self, number: &str) -> PhoneBuilder {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        Phone::builder(&self.smsc, number).shipped(&config)
    }

    /// The daemons' configuration for this cloud.
    #[must_use]
    pub fn config(&self) -> ShuntConfig {
        self.config_via(self.cloud.xmpp_addr())
    }

    /// The same with another way to the XMPP server, such as a proxy's.
    #[must_use]
    pub fn config_via(&self, xmpp: SocketAddr) -> ShuntConfig {
        let (domain, ca) = (self.cloud.domain(), self.cloud.ca_pem());
        ShuntConfig::new(&self.programs).cloud(domain, &xmpp.to_string(), &self.directory.addr().to_string(), ca)
    }

    /// A started phone with running, enrolled daemons; the switch is off.
    ///
    /// # Errors
    /// Something did not start.
    pub async fn phone(&self, number: &str) -> Result<Phone> {
        let mut phone = self.builder(number).start().await?;
        phone.start_shunt(self.config()).await?;
        self.enrol(&phone).await?;
        Ok(phone)
    }

    /// The same, with its own proxy in front of the XMPP server.
    ///
    /// # Errors
    /// Something did not start.
    pub async fn phone_behind_proxy(&self, number: &str) -> Result<(Phone, Proxy)> {
        let proxy = Proxy::start(self.cloud.xmpp_addr())?;
        let mut phone = self.builder(number).start().await?;
        phone.start_shunt(self.config_via(proxy.addr())).await?;
        self.enrol(&phone).await?;
        Ok((phone, proxy))
    }

    /// Provisions the phone's number at the directory and has the phone take the account file.
    ///
    /// # Errors
    /// One of both refused.
    pub async fn enrol(&self, phone: &Phone) -> Result<()> {
        let identity = phone.shunt().identity().await.context("the phone's identity")?;
        let file = self.directory.provision(phone.number(), &identity).await?;
        let path = phone.path("account.json");
        std::fs::write(&path, file)?;
        phone.shunt().import(&path).await.context("the phone takes its account")?;
        std::fs::remove_file(&path)?;
        Ok(())
    }
}

/// Turns a phone's switch on and waits until it is connected.
///
/// # Errors
/// It did not connect.
pub async fn go_online(shunt: &Shunt) -> Result<()> {
    shunt.set_enabled(true).await?;
    shunt.wait_service_state(&["online"]).await?;
    Ok(())
}

/// Turns it off and waits until that is true.
///
/// # Errors
/// It did not end.
pub async fn go_off(shunt: &Shunt) -> Result<()> {
    shunt.set_enabled(false).await?;
    shunt.wait_service_state(&["off"]).await?;
    Ok(())
}
