//! The one entry for fuzzing what the model makes of foreign text.

use super::{Address, Destination, Home, PhoneNumber, Segments, SimState, emergency};

/// Judges `text` as an address at every kind of home, and as a text; panics where the judgements
/// contradict each other. For `tests/fuzz` alone.
pub fn judge(text: &str) {
    let address = Address(text.into());
    for home in [None, Some(Home(49)), Some(Home(1)), Some(Home(7)), Some(Home(39)), Some(Home(370)), Some(Home(999))] {
        match address.destination(home) {
            Destination::Mobile(number) => {
                let again = Address(number.as_e164().into()).destination(home);
                assert!(again == Destination::Mobile(number.clone()), "a number said in full is itself");
                assert!(PhoneNumber::from_e164(number.as_e164()).is_ok(), "a mobile number is E.164");
                assert!(Home::of(&number).is_some(), "a number belongs somewhere");
            }
            Destination::SmsOnly => assert!(address.dialable().is_some(), "an SMS needs an address"),
            Destination::Unusable => assert!(address.dialable().is_none(), "an unusable address is not dialled"),
        }
    }
    let _verdict = emergency::is_emergency(&address, &[text.into()], SimState::Home);
    let Segments { count, .. } = Segments::of(text);
    assert!(count > 0, "a text takes an SMS at least");
    let fewest = text.chars().count().div_ceil(160);
    assert!(usize::from(count) >= fewest || count == u16::MAX, "no part holds more than 160 characters");
}
