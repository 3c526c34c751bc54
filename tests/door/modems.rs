//! Modems come and go, and ModemManager itself, under apps that stay connected.

use crate::{
    BOB,
    core::{LINE, Script},
    diverting::{IM, phone},
    receiving::{core, im, shown_as},
};
use shunt_kit::{Incoming as Sms, Phone};
use std::collections::BTreeSet;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// An unmodified client, and what it has said.
struct Client {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
    /// Where this round began.
    round: usize,
}

impl Client {
    fn start(phone: &Phone, bus: &str, program: &[&str]) -> Self {
        let mut command = Command::from(phone.command(program[0]));
        command.args(&program[1..]).env("DBUS_SYSTEM_BUS_ADDRESS", bus).env("LC_ALL", "C.UTF-8");
        let mut child = command.kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines, said: Vec::new(), round: 0 }
    }

    /// How often it said this in this round.
    fn said(&self, wanted: &str) -> usize {
        self.said.iter().skip(self.round).filter(|line| *line == wanted).count()
    }

    /// Waits until it said this in this round.
    async fn says(&mut self, wanted: &str) {
        while self.said(wanted) == 0 {
            let next = tokio::time::timeout(std::time::Duration::from_secs(60), self.lines.next_line()).await;
            let line = next.unwrap_or_else(|_| panic!("{wanted:?} never came: {:#?}", self.said));
            self.said.push(line.unwrap().expect("the client goes on").trim_end().to_owned());
        }
    }

    /// What it said of modems, in order; and the SMS that it knew, but for our objects: while a modem starts it is the
    /// client's own speed whether one is listed or announced.
    fn said_of_theirs(&self) -> (Vec<&str>, BTreeSet<&str>) {
        let (mut modems, mut texts) = (Vec::new(), BTreeSet::new());
        for line in self.said.iter().filter(|line| !line.contains("/SMS/10737418")) {
            match line.split_once(' ') {
                Some(("added" | "lists", text)) => drop(texts.insert(text)),
                _ => modems.push(line.as_str()),
            }
        }
        (modems, texts)
    }
}

#[tokio::test]
async fn instant_messages_follow_their_line_and_modems_come_and_go_as_without_the_door() {
    let (smsc, mut phone, door) = phone().await;
    let inbox = vec![im(7, "before")];
    let core = core(&phone, Script { inbox, ..IM }).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/door/client.py");
    let (direct, through) = (phone.bus().address().to_owned(), door.address());
    let library = ["/usr/bin/python3", "-u", script];
    let mut app = Client::start(&phone, &through, &library);
    let mut beside = Client::start(&phone, &direct, &library);
    let mut monitors = [&direct, &through].map(|bus| Client::start(&phone, bus, &["mmcli", "--monitor-modems"]));
    let mut modem = phone.sms().modem().clone();
    let ours =
        |event: &str, modem: &str, serial: u32, text: &str| format!("{event} {modem} {} {text}", shown_as(serial));
    app.says(&ours("lists", &modem, 7, "before")).await;
    beside.says(&format!("modem {modem}")).await;
    for monitor in &mut monitors {
        monitor.says(&format!("    {modem} [Emulated] Test Modem")).await;
    }

    for round in 1..=3 {
        for client in [&mut app, &mut beside] {
            client.round = client.said.len();
        }
        // By the last time the service itself is another one, and numbers its objects from the beginning.
        if round < 3 {
            phone.reattach().await.unwrap()
        } else {
            phone.restart_modem_service().await.unwrap()
        }
        for client in [&mut app, &mut beside] {
            client.says(&format!("gone {modem}")).await;
        }
        core.move_line(LINE, None).await;
        modem = phone.sms().modem().clone();
        for client in [&mut app, &mut beside] {
            client.says(&format!("modem {modem}")).await;
        }
        core.move_line(LINE, Some(&modem)).await;
        app.says(&ours("added", &modem, 7, "before")).await;
        core.receive(im(10 + round, &format!("during {round}"))).await;
        app.says(&ours("added", &modem, 10 + round, &format!("during {round}"))).await;
        smsc.inject(phone.number(), &Sms::text(BOB, &format!("an SMS {round}")));
        let real = phone.sms().wait_received(|shown| shown.text == format!("an SMS {round}")).await.unwrap();
        for client in [&mut app, &mut beside] {
            client.says(&format!("added {modem} {} an SMS {round}", real.path)).await;
        }
        // An app that connects only now sees the same.
        let listed = phone.sms_through(&door).await.unwrap().list().await.unwrap();
        let mut texts: Vec<_> = listed.iter().map(|shown| shown.text.clone()).collect();
        texts.retain(|text| !text.starts_with("an SMS"));
        let during = (1..=round).map(|round| format!("during {round}"));
        assert_eq!(texts, ["before".to_owned()].into_iter().chain(during).collect::<Vec<_>>());
        let mut paths: Vec<_> = listed.iter().map(|shown| shown.path.clone()).collect();
        paths.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        paths.dedup();
        assert_eq!(paths.len(), listed.len(), "none of ours is one of theirs");
        assert_eq!(app.said(&ours("added", &modem, 7, "before")), 1, "{:#?}", app.said);
    }
    assert_eq!(app.said_of_theirs(), beside.said_of_theirs());
    for monitor in &mut monitors {
        monitor.says(&format!("(+) {modem} [Emulated] Test Modem")).await;
    }
    let [direct, through] = monitors;
    assert_eq!(through.said, direct.said);
}
