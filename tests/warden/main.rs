//! The warden and the confinement, with the real `shuntd`. This test program is also the stand-in
//! for core and uplink: started under their names it does as the test tells it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod agents;
mod confinement;
mod probe;
mod set;
mod standin;
mod supervision;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// A test by its function's name.
macro_rules! trials {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Trial::test(stringify!($name), || { $module::$name(); Ok(()) })),*]
    };
}

fn main() -> ExitCode {
    let own = std::env::args_os().next().unwrap_or_default();
    match std::path::Path::new(&own).file_name().and_then(|name| name.to_str()) {
        Some("shuntd-core") => return standin::core(),
        Some("shuntd-uplink") => return standin::uplink(),
        _ => {}
    }
    let trials = trials![
        supervision::the_uplink_lives_only_between_start_and_stop,
        supervision::an_uplink_that_ends_by_itself_is_not_waited_for,
        supervision::an_uplink_that_ignores_the_end_is_killed_at_the_deadline,
        supervision::a_killed_uplink_is_reported_and_can_be_started_again,
        supervision::a_second_start_is_refused,
        supervision::stop_without_an_uplink_is_answered_at_once,
        supervision::a_missing_uplink_is_named,
        supervision::a_killed_core_takes_the_uplink_and_the_warden_with_it,
        supervision::the_cores_exit_code_is_the_wardens,
        supervision::a_core_that_closes_its_channel_ends_the_set,
        supervision::a_killed_warden_takes_both,
        supervision::a_core_started_by_somebody_else_has_no_channel,
        supervision::sigterm_ends_the_set_in_order,
        supervision::a_second_sigterm_ends_a_core_that_ignores_the_first,
        supervision::init_is_told_when_the_core_is_ready,
        supervision::an_idle_warden_sleeps_without_a_deadline,
        supervision::a_wrong_command_line_starts_nothing,
        agents::inits_socket_reaches_the_core_and_nobody_else,
        agents::a_socket_that_is_none_is_named_and_costs_nothing_else,
        confinement::the_probes_see_what_an_unconfined_process_may,
        confinement::the_core_gets_local_sockets_and_nothing_foreign,
        confinement::the_core_may_run_a_program_until_it_gives_that_up,
        confinement::the_uplink_gets_the_internet_and_nothing_else,
        confinement::what_the_daemons_need_still_works,
        confinement::children_inherit_the_channel_and_nothing_else,
        confinement::users_differ_when_started_as_root,
        confinement::neither_can_be_looked_into,
    ];
    let outcome = libtest_mimic::run(&Arguments::from_args(), trials);
    set::clean_up();
    outcome.exit_code()
}
