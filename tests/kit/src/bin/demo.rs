//! `make demo`: the main job, told as it happens on two phones and a cloud.
//!
//! Usage: `demo PROGRAMS [--json]`, where PROGRAMS is the directory of the built daemons.

use anyhow::{Result, anyhow, bail};
use serde_json::json;
use shunt_kit::phone::Phone;
use shunt_kit::proxy::{Mode, Proxy};
use shunt_kit::world::{World, go_off, go_online};
use std::path::PathBuf;
use std::time::Instant;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

/// What one step showed.
struct Step {
    step: &'static str,
    bearer: String,
    reason: String,
    ms: u128,
    sms_at_smsc: usize,
    shown: usize,
    inet_sockets: usize,
}

struct Demo {
    world: World,
    alice: Phone,
    bob: Phone,
    proxy: Proxy,
    json: bool,
}

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(programs) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: demo PROGRAMS [--json]");
        return std::process::ExitCode::from(64);
    };
    let json = match arguments.next() {
        None => false,
        Some(option) if option == "--json" => true,
        Some(other) => {
            eprintln!("demo: unknown argument {other:?}; there is only --json");
            return std::process::ExitCode::from(64);
        }
    };
    let told = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                told = tell(programs, json) => told,
                // What was started and written is taken away on this way out, too.
                _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
            }
        })
    });
    match told {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn tell(programs: PathBuf, json: bool) -> Result<()> {
    let begun = Instant::now();
    let world = World::start(&programs).await?;
    let alice = world.phone(ALICE).await?;
    let (bob, proxy) = world.phone_behind_proxy(BOB).await?;
    let mut demo = Demo { world, alice, bob, proxy, json };
    demo.say(&format!(
        "Two phones, each with ModemManager, an emulated modem and the three daemons; one SMSC; one cloud\n\
         (ejabberd and shunt-directory). Up and enrolled after {} ms.\n",
        begun.elapsed().as_millis()
    ));

    demo.say("The switch is off, as on every new phone. Alice writes to Bob:");
    demo.text("switch-off", "Are you there?", "sms").await?;

    demo.say("Both turn the switch on. Alice writes the same way as before:");
    go_online(demo.alice.shunt()).await?;
    go_online(demo.bob.shunt()).await?;
    // The icon: on a busy machine the first text alone might not wait for the answer.
    demo.alice.shunt().wait_route(BOB, "im", "online").await?;
    demo.text("both-on", "And now?", "im").await?;

    demo.say("Bob turns the switch off. His phone is simply not online:");
    go_off(demo.bob.shunt()).await?;
    demo.text("recipient-offline", "Dinner at eight?", "sms").await?;

    demo.say("Bob is back:");
    go_online(demo.bob.shunt()).await?;
    demo.alice.shunt().wait_route(BOB, "im", "online").await?;
    demo.text("recipient-back", "Bring the salad.", "im").await?;

    demo.say("Bob's network drops everything; nobody has noticed yet. The receipt does not come, so the text is\nrevoked and goes by SMS, marked, in case it was shown after all:");
    demo.proxy.set(Mode::BlackHole).await?;
    demo.text("recipient-cut", "The train is late.", "sms").await?;
    demo.proxy.set(Mode::Pass).await?;
    demo.bob.shunt().wait_service_state(&["online"]).await?;
    demo.once("The train is late.")?;

    demo.say("Alice turns the switch off. No process of hers has a network socket any more:");
    go_off(demo.alice.shunt()).await?;
    let step = demo.text("switched-off-again", "Good night.", "sms").await?;
    if step.inet_sockets != 0 || demo.alice.shunt_pid("shuntd-uplink").is_some() {
        bail!("a socket or the uplink is left after the switch went off");
    }
    demo.say(&format!("\nDone after {:.1} s.", begun.elapsed().as_secs_f32()));
    demo.alice.stop_shunt().await?;
    demo.bob.stop_shunt().await
}

impl Demo {
    fn say(&self, line: &str) {
        if !self.json {
            println!("{line}");
        }
    }

    /// Alice sends Bob a text, and the step is told when Bob has seen it and Alice knows its end.
    async fn text(&self, step: &'static str, text: &str, expected: &str) -> Result<Step> {
        let before = self.world.smsc.submitted_total();
        let begun = Instant::now();
        let path = self.alice.shunt().send(BOB, text).await?;
        let got = self.bob.shunt().wait_received(|got| got.text == text).await?;
        let ms = begun.elapsed().as_millis();
        let ends = ["im-delivered", "sms-sent", "sms-delivered", "failed", "uncertain"];
        let state = self.alice.shunt().wait_state(&path, &ends).await?;
        let record = self.alice.shunt().get(&path).await?;
        let step = Step {
            step,
            bearer: got.bearer,
            reason: record.text("reason"),
            ms,
            sms_at_smsc: self.world.smsc.submitted_total() - before,
            shown: self.bob.shunt().shown(text),
            inet_sockets: self.alice.inet_sockets()?,
        };
        self.show(&step, &state);
        if step.bearer != expected || step.shown != 1 || step.sms_at_smsc != usize::from(expected == "sms") {
            bail!("step {}: that is not how it should go", step.step);
        }
        Ok(step)
    }

    fn show(&self, step: &Step, state: &str) {
        if self.json {
            let line = json!({
                "step": step.step, "bearer": step.bearer, "reason": step.reason, "ms": step.ms as u64,
                "sms_at_smsc": step.sms_at_smsc, "shown": step.shown, "inet_sockets": step.inet_sockets,
            });
            println!("{line}");
            return;
        }
        println!(
            "    {:<3}  {:>6} ms   reason {:<19} {} SMS at the SMSC, shown {} time{}, state {state}, {} network socket{}\n",
            step.bearer.to_uppercase(),
            step.ms,
            step.reason,
            step.sms_at_smsc,
            step.shown,
            if step.shown == 1 { "" } else { "s" },
            step.inet_sockets,
            if step.inet_sockets == 1 { "" } else { "s" },
        );
    }

    fn once(&self, text: &str) -> Result<()> {
        let shown = self.bob.shunt().shown(text);
        if shown == 1 { Ok(()) } else { bail!("{text:?} was shown {shown} times") }
    }
}
