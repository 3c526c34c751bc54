//! What the core may rely on of a modem: one suite of behaviours, written against the trait, run on
//! each real modem service over the simulated modem.

#![allow(async_fn_in_trait, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod agent;
mod bench;
mod failing;
mod incoming;
mod lines;
mod modemmanager;
mod ofono;
mod sending;
mod size;

/// Runs behaviours on a service.
macro_rules! behaviours {
    ($module:ident: $service:ty { $($file:ident { $($behaviour:ident,)* })* }) => {
        mod $module {
            $($(#[test]
            fn $behaviour() {
                crate::bench::run(crate::$file::$behaviour::<$service>());
            })*)*
        }
    };
}

behaviours! {
    on_modemmanager: crate::modemmanager::Real {
        lines {
            a_sim_becomes_a_line_with_number_home_and_emergency_numbers,
            a_sim_that_does_not_know_its_number_is_a_line_all_the_same,
            registration_is_followed,
            a_modem_without_sim_is_no_line,
            a_modem_that_comes_back_is_the_same_line,
            a_restarted_service_is_another_owner_whose_objects_prove_nothing,
            a_service_that_comes_later_is_found,
        }
        sending {
            texts_of_every_alphabet_and_length_arrive_whole,
            spaces_and_line_feeds_at_the_end_survive,
            addresses_are_written_as_the_modem_takes_them,
            what_cannot_be_sent_is_refused_before_it_reaches_the_modem,
            a_report_names_the_reference_that_send_gave,
            a_delivered_text_is_reported_so,
            the_outcome_is_proven_by_owner_number_and_text,
            the_outcome_of_a_send_under_way_is_waited_for,
            own_objects_are_not_reported_as_received,
        }
        incoming {
            a_text_is_received_whole_with_sender_and_time,
            senders_may_be_names_and_short_codes,
            a_text_of_which_a_part_is_missing_waits_for_it,
            what_the_modem_held_before_is_received_at_the_start,
            a_repeated_sms_has_the_same_marks,
            what_is_no_text_for_the_user_is_told_as_such,
        }
        failing {
            each_refusal_of_modem_and_network_is_judged_by_what_it_proves,
            a_refused_part_of_a_long_text_shows_nothing_and_a_new_attempt_sends_it_whole,
            a_mute_modem_leaves_the_outcome_open,
            a_lost_port_leaves_the_outcome_open,
            a_service_that_dies_under_a_send_leaves_the_outcome_open,
            a_broken_bus_leaves_the_outcome_open,
        }
        size {
            a_text_takes_as_many_parts_as_foretold,
        }
    }
}

behaviours! {
    on_an_agent: crate::agent::Real {
        lines {
            a_sim_becomes_a_line_with_number_home_and_emergency_numbers,
            a_sim_that_does_not_know_its_number_is_a_line_all_the_same,
            registration_is_followed,
            a_modem_without_sim_is_no_line,
            a_modem_that_comes_back_is_the_same_line,
            a_restarted_service_is_another_owner_whose_objects_prove_nothing,
            a_service_that_comes_later_is_found,
        }
        sending {
            texts_of_every_alphabet_and_length_arrive_whole,
            spaces_and_line_feeds_at_the_end_survive,
            addresses_are_written_as_the_modem_takes_them,
            what_cannot_be_sent_is_refused_before_it_reaches_the_modem,
            a_report_names_the_reference_that_send_gave,
            a_delivered_text_is_reported_so,
            the_outcome_is_proven_by_owner_number_and_text,
            the_outcome_of_a_send_under_way_is_waited_for,
            own_objects_are_not_reported_as_received,
        }
        incoming {
            a_text_is_received_whole_with_sender_and_time,
            senders_may_be_names_and_short_codes,
            a_text_of_which_a_part_is_missing_waits_for_it,
            what_the_modem_held_before_is_received_at_the_start,
            a_repeated_sms_has_the_same_marks,
            what_is_no_text_for_the_user_is_told_as_such,
        }
        failing {
            each_refusal_of_modem_and_network_is_judged_by_what_it_proves,
            a_refused_part_of_a_long_text_shows_nothing_and_a_new_attempt_sends_it_whole,
            a_mute_modem_leaves_the_outcome_open,
            a_lost_port_leaves_the_outcome_open,
            a_service_that_dies_under_a_send_leaves_the_outcome_open,
            a_broken_bus_leaves_the_outcome_open,
        }
        size {
            a_text_takes_as_many_parts_as_foretold,
        }
    }
}

// Not for oFono: what is proven of an issued `send`, status reports, what the modem held before, the
// network's reasons. `ofono` shows what holds instead.
behaviours! {
    on_ofono: crate::ofono::Real {
        lines {
            a_sim_becomes_a_line_with_number_home_and_emergency_numbers,
            a_sim_that_does_not_know_its_number_is_a_line_all_the_same,
            registration_is_followed,
            a_modem_without_sim_is_no_line,
            a_modem_that_comes_back_is_the_same_line,
            a_restarted_service_is_another_owner_whose_objects_prove_nothing,
            a_service_that_comes_later_is_found,
        }
        sending {
            texts_of_every_alphabet_and_length_arrive_whole,
            spaces_and_line_feeds_at_the_end_survive,
            addresses_are_written_as_the_modem_takes_them,
            what_cannot_be_sent_is_refused_before_it_reaches_the_modem,
            the_outcome_is_proven_by_owner_number_and_text,
            own_objects_are_not_reported_as_received,
        }
        incoming {
            a_text_is_received_whole_with_sender_and_time,
            senders_may_be_names_and_short_codes,
            a_text_of_which_a_part_is_missing_waits_for_it,
            a_repeated_sms_has_the_same_marks,
            what_is_no_text_for_the_user_is_told_as_such,
        }
        failing {
            a_mute_modem_leaves_the_outcome_open,
            a_lost_port_leaves_the_outcome_open,
            a_service_that_dies_under_a_send_leaves_the_outcome_open,
            a_broken_bus_leaves_the_outcome_open,
        }
        size {
            a_text_takes_as_many_parts_as_foretold,
        }
    }
}
