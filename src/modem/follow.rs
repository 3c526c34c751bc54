//! Follows a modem service: its coming and going, and what it signals, one thing after the other.

use super::{
    ModemError, ModemEvent,
    bus::{self, BUS},
    lines::Lines,
};
use std::rc::Rc;
use tokio::task::JoinHandle;
use zbus::{Connection, MatchRule, Message, names::BusName};

/// Who follows one.
#[allow(async_fn_in_trait)]
pub(super) trait Follower: 'static {
    /// The service's name.
    const SERVICE: &'static str;

    fn connection(&self) -> &Connection;

    fn lines(&self) -> &Lines;

    /// The unique name of the instance that is known.
    fn owner(&self) -> Option<Box<str>>;

    /// The service is there, under this unique name.
    async fn came(&self, owner: &str);

    /// It is not there any more; its lines are told so by [`follow`].
    fn gone(&self);

    /// That instance signalled something: by which object, interface and member.
    async fn told(&self, from: (&str, &str, &str), signal: &Message);
}

/// Follows the service until the bus is gone. The first event says whether it is there.
pub(super) async fn follow<F: Follower>(
    follower: Rc<F>,
    mut rules: Vec<zbus::Result<MatchRule<'static>>>,
) -> Result<[JoinHandle<()>; 2], ModemError> {
    rules.push(bus::comes_and_goes(F::SERVICE));
    let (mut signals, pump) = bus::listen(follower.connection(), rules).await?;
    let worker = tokio::task::spawn_local(async move {
        match bus::owner_of(follower.connection(), F::SERVICE).await {
            Some(owner) => follower.came(&owner).await,
            None => follower.lines().tell(ModemEvent::Service { up: false }),
        }
        while let Some(signal) = signals.recv().await {
            take(&*follower, &signal).await;
        }
        // The bus is gone, and everything on it.
        gone(&*follower);
    });
    Ok([pump, worker])
}

async fn take<F: Follower>(follower: &F, signal: &Message) {
    let header = signal.header();
    let (Some(sender), Some(path), Some(interface), Some(member)) =
        (header.sender(), header.path(), header.interface(), header.member())
    else {
        return;
    };
    if interface.as_str() == BUS {
        return owner_changed(follower, signal).await;
    }
    // What an instance says that we do not know yet, or no more, is read when we know it.
    if follower.owner().as_deref() == Some(sender.as_str()) {
        follower.told((path.as_str(), interface.as_str(), member.as_str()), signal).await;
    }
}

async fn owner_changed<F: Follower>(follower: &F, signal: &Message) {
    let body = signal.body();
    let Ok((_, old, new)) = body.deserialize::<(BusName<'_>, &str, &str)>() else { return };
    if !old.is_empty() {
        gone(follower);
    }
    if !new.is_empty() && follower.owner().as_deref() != Some(new) {
        follower.came(new).await;
    }
}

fn gone<F: Follower>(follower: &F) {
    if follower.owner().is_some() {
        follower.gone();
        follower.lines().clear();
        follower.lines().tell(ModemEvent::Service { up: false });
    }
}
