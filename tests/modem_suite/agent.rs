//! A ROM's agent: the reference agent of the kit, on the simulated modem, and our objects on the bus for it.

use crate::bench::{ALICE, Bench, Proof, Service, name, run};
use shunt::bus::access::Rules;
use shunt::bus::{Bus, Published, Request, Seat};
use shunt::modem::agent::Agent;
use shunt::modem::{ModemError, ModemEvent};
use shunt_kit::agent::Bare;
use shunt_kit::{Phone, Smsc};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

pub(crate) struct Real;

/// Our objects, and who registered there.
pub(crate) struct Rest {
    _bus: Bus,
    agent: Option<shunt_kit::agent::Agent>,
}

impl Service for Real {
    type Backend = Agent;
    type Rest = Rest;
    const EMOJI: bool = true;
    const PROOF: Proof = Proof::Name;
    const KEEPS: bool = false;
    // By the word of the ModemManager below it.
    const LISTS_LOST: bool = true;
    const UP_WITHOUT_SIM: bool = false;

    async fn backend(phone: &Phone) -> (Agent, UnboundedReceiver<ModemEvent>, Rest) {
        let (modem, mut told) = Agent::new(Box::new(name));
        let seat = Seat { port: modem.port(), uids: Vec::new() };
        let connection = phone.bus().connect().await.unwrap();
        let (bus, mut requests) =
            Bus::serve_with(&connection, Rules::default(), Published::default(), Some(seat)).await.unwrap();
        let (tell, events) = mpsc::unbounded_channel();
        tokio::task::spawn_local(async move {
            loop {
                tokio::select! {
                    Some(event) = told.recv() => drop(tell.send(event)),
                    Some(request) = requests.recv() => asked(request, &tell),
                    else => return,
                }
            }
        });
        let agent = match phone.modem_manager() {
            Some(_) => Some(shunt_kit::agent::Agent::start(phone, None).await.unwrap()),
            None => None,
        };
        (modem, events, Rest { _bus: bus, agent })
    }

    async fn stop(_phone: &mut Phone, rest: &mut Rest) {
        rest.agent = None;
    }

    async fn restart(phone: &mut Phone, rest: &mut Rest) {
        rest.agent = None;
        if phone.modem_manager().is_none() {
            phone.restart_modem_service().await.unwrap();
        }
        rest.agent = Some(shunt_kit::agent::Agent::start(phone, None).await.unwrap());
    }
}

/// What the core takes of the agent's word, as the other services tell it.
fn asked(request: Request, tell: &UnboundedSender<ModemEvent>) {
    match request {
        Request::Incoming { sms, reply } => {
            let body = sms.body.clone();
            tell.send(ModemEvent::Received(sms)).unwrap();
            reply.send(Ok((false, body))).unwrap();
        }
        Request::Report { report, reply } => {
            tell.send(ModemEvent::Report(report)).unwrap();
            reply.send(Ok(())).unwrap();
        }
        Request::CallerGone { .. } => {}
        other => panic!("an agent asks no such thing: {other:?}"),
    }
}

#[test]
fn an_answer_after_the_time_is_up_is_nobodys() {
    run(async {
        let smsc = Smsc::new();
        let phone = Phone::builder(&smsc, ALICE).without_modem_manager().start().await.unwrap();
        let mut bench = Bench::<Real>::on(smsc, phone).await;
        let mut agent = Bare::start(&bench.phone, "sub-1").await.unwrap();
        let line = bench.line().await;
        assert_eq!(bench.text(&line, "late").await, Err(ModemError::Mute));
        let call = agent.asked().await.unwrap();
        agent.sent(&call, 1).await.unwrap();
        let next = async {
            let call = agent.asked().await.unwrap();
            agent.sent(&call, 2).await.unwrap();
        };
        let (sent, ()) = tokio::join!(bench.text(&line, "next"), next);
        assert_eq!(sent.unwrap().1.references, [2]);
    });
}
