//! `mmcli` left running through the door, telling what happens.

use super::{ALICE, programs};
use crate::session::App;
use shunt_kit::table::row;
use shunt_kit::{Phone, Smsc};

#[tokio::test(flavor = "multi_thread")]
async fn mmcli_monitors_modems_and_their_states() {
    let mut phone = Phone::builder(&Smsc::new(), ALICE).start().await.unwrap();
    let door = phone.door(programs()).unwrap();
    let monitor = |arguments: &[&str], log: &str| {
        let mut command = phone.command("mmcli");
        command.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", door.address()).env("LC_ALL", "C.UTF-8");
        App::start("mmcli", command, &phone.path(log)).unwrap()
    };
    let modems = monitor(&["--monitor-modems"], "monitor-modems.log");
    let states = monitor(&["-m", "any", "--monitor-state"], "monitor-state.log");
    modems.until("/Modem/0").unwrap();
    states.until("Initial state, 'registered'").unwrap();
    door.mmcli(&["-m", "any", "--disable"]).await.unwrap();
    let told = [states.until("--> 'disabling'").unwrap(), states.until("--> 'disabled'").unwrap()].len();
    phone.reattach().await.unwrap();
    let told = told + [modems.until("No modems were found").unwrap(), modems.until("(+)").unwrap()].len();
    row("mmcli", "monitor modems and their states", format_args!("{told} changes told"));
}
