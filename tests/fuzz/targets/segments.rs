//! Foreign text: as an address, as an SMS to be counted, as a wording, as an SMS with a mark.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::router::split_mark;
use shunt::seal::skeleton;

fuzz_target!(|text: &str| {
    shunt::model::fuzz::judge(text);
    assert_eq!(skeleton(text), skeleton(&format!("{text} \n")));
    let _ = split_mark(text);
});
