//! Lines: found, followed, lost and found again.

use crate::bench::{ALICE, Bench, Proof, Service, name};
use shunt::model::{Home, SimState};
use shunt::modem::{Modem, ModemError, ModemEvent, Outcome};
use shunt_kit::{Phone, Registration, Smsc};

fn gone(event: &ModemEvent) -> Option<shunt::model::LineId> {
    match event {
        ModemEvent::LineGone(line) => Some(line.clone()),
        _ => None,
    }
}

fn service(up: bool) -> impl Fn(&ModemEvent) -> Option<()> {
    move |event| (*event == ModemEvent::Service { up }).then_some(())
}

pub(crate) async fn a_sim_becomes_a_line_with_number_home_and_emergency_numbers<S: Service>() {
    let mut bench = Bench::<S>::with(|phone| phone.identity(|sim| sim.emergency = vec!["110".to_owned()])).await;
    bench.event("the service", service(true)).await;
    let line = bench.line_where("the line", |line| line.sim == SimState::Home).await;
    assert_eq!(line.number.unwrap().as_e164(), ALICE);
    assert_eq!(line.home, Some(Home(49)));
    assert_eq!(line.id, name(&bench.phone.modem().identity().iccid));
    // oFono adds the standard's own.
    assert!(line.emergency.contains(&"110".into()), "{:?}", line.emergency);
}

pub(crate) async fn a_sim_that_does_not_know_its_number_is_a_line_all_the_same<S: Service>() {
    let mut bench = Bench::<S>::with(|phone| phone.identity(|sim| sim.tells_number = false)).await;
    let line = bench.line_where("the line", |line| line.sim == SimState::Home).await;
    assert_eq!(line.number, None);
    assert_eq!(line.home, Some(Home(49)));
}

pub(crate) async fn registration_is_followed<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    bench.line().await;
    for (registration, sim) in [
        (Registration::Roaming, SimState::Roaming),
        (Registration::Searching, SimState::Searching),
        (Registration::Home, SimState::Home),
    ] {
        // ModemManager's look-up of the operator may overtake the news and undo it; the network says
        // it again with every new cell.
        loop {
            bench.phone.modem().set_registration(registration);
            let told = bench.line_where("the new registration", |line| line.sim == sim);
            if tokio::time::timeout(std::time::Duration::from_secs(2), told).await.is_ok() {
                break;
            }
        }
    }
}

pub(crate) async fn a_modem_without_sim_is_no_line<S: Service>() {
    let mut bench = Bench::<S>::with(|phone| phone.without_sim()).await;
    if S::UP_WITHOUT_SIM {
        bench.event("the service", service(true)).await;
    }
    let nobody = name("");
    assert_eq!(bench.modem.list(&nobody).await, Err(ModemError::NoModem));
    assert_eq!(bench.modem.create(&nobody, &crate::bench::to_bob("x")).await, Err(ModemError::NoModem));
    assert!(!bench.unasked().iter().any(|event| matches!(event, ModemEvent::Line(_))));
}

pub(crate) async fn a_modem_that_comes_back_is_the_same_line<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    bench.unasked();
    bench.phone.lose_port().await;
    bench.phone.reattach().await.unwrap();
    assert_eq!(bench.event("the line to go", gone).await, line);
    assert_eq!(bench.line().await, line);
    bench.text(&line, "again").await.unwrap();
    assert_eq!(bench.smsc.submitted_total(), 1);
}

pub(crate) async fn a_restarted_service_is_another_owner_whose_objects_prove_nothing<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let (sms, _) = bench.text(&line, "before").await.unwrap();
    bench.event("the service", service(true)).await;
    bench.unasked();
    bench.restart().await;
    assert_eq!(bench.event("the line to go", gone).await, line);
    bench.event("the service to go", service(false)).await;
    bench.event("the service to come", service(true)).await;
    assert_eq!(bench.line().await, line);

    let (twin, _) = bench.text(&line, "before").await.unwrap();
    if S::PROOF != Proof::Name {
        assert_ne!(twin.owner, sms.owner);
    }
    let to = shunt::model::Address(crate::bench::BOB.into());
    let body = shunt::model::Body("before".into());
    assert_eq!(bench.modem.outcome(&line, &sms, &to, &body).await, Outcome::Unknown);
    assert_eq!(bench.modem.send(&line, &sms).await, Err(ModemError::Gone));
    assert_eq!(bench.modem.delete(&line, &sms).await, Ok(()));
    assert_eq!(bench.smsc.submitted_total(), 2, "nothing was sent for the old object");
    if S::PROOF == Proof::Text {
        assert_eq!(twin.object, sms.object, "the new instance numbers its objects afresh");
        assert!(matches!(bench.modem.outcome(&line, &twin, &to, &body).await, Outcome::Sent(_)), "nor deleted");
    }
}

pub(crate) async fn a_service_that_comes_later_is_found<S: Service>() {
    let smsc = Smsc::new();
    let phone = S::on(Phone::builder(&smsc, ALICE)).without_modem_manager().start().await.unwrap();
    let mut bench = Bench::<S>::on(smsc, phone).await;
    bench.event("no service", service(false)).await;
    bench.restart().await;
    bench.event("the service", service(true)).await;
}
