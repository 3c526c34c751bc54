use super::*;
use proptest::prelude::*;

fn to(address: &str, home: Option<u16>) -> Destination {
    Address(address.into()).destination(home.map(Home))
}

fn is(address: &str, home: Option<u16>, number: &str) {
    match to(address, home) {
        Destination::Mobile(found) => assert_eq!(found.as_e164(), number, "{address}"),
        other => panic!("{address} is {other:?}"),
    }
}

#[test]
fn e164_is_taken_as_it_is_and_nothing_else() {
    for good in ["+4915112345678", "+12025550123", "+6834000", "+8613812345678"] {
        assert_eq!(PhoneNumber::from_e164(good).unwrap().as_e164(), good);
    }
    for bad in [
        "",
        "+",
        "4915112345678",
        "+0151123456",
        "+49 151",
        "+999123456789",
        "+4915112345678901",
        "+49١٥١١٢٣٤٥٦٧٨",
        "+49151-1234",
        "++4915112345678",
        "+491511\n",
    ] {
        assert_eq!(PhoneNumber::from_e164(bad), Err(BadNumber), "{bad}");
    }
}

#[test]
fn separators_schemes_and_invisible_marks_are_read_over() {
    for written in [
        "+49 151 1234-5678",
        "tel:+49-151-12345678",
        "SMS:+4915112345678",
        "smsto:+4915112345678?body=x",
        "sms://+4915112345678",
        "+49 (0)151 12345678",
        "+49 (0) 151 12345678",
        "\u{202a}+49 151 12345678\u{202c}",
        "(+49) 151.123/456 78",
        "+49\u{a0}151\u{2011}12345678",
        "＋４９１５１１２３４５６７８",
        "+٤٩١٥١١٢٣٤٥٦٧٨",
        "+۴۹۱۵۱۱۲۳۴۵۶۷۸",
        "+४९१५११२३४५६७८",
    ] {
        is(written, None, "+4915112345678");
        assert_eq!(Address(written.into()).dialable().as_deref(), Some("+4915112345678"), "{written}");
    }
}

#[test]
fn national_numbers_belong_to_home() {
    for (written, home, number) in [
        ("0151 12345678", 49, "+4915112345678"),
        ("0049 151 12345678", 49, "+4915112345678"),
        ("0033 6 12 34 56 78", 49, "+33612345678"),
        ("(202) 555-0123", 1, "+12025550123"),
        ("1 202 555 0123", 1, "+12025550123"),
        ("011 49 151 12345678", 1, "+4915112345678"),
        ("07700 900123", 44, "+447700900123"),
        ("347 123 4567", 39, "+393471234567"),
        ("8 912 345-67-89", 7, "+79123456789"),
        ("912 345-67-89", 7, "+79123456789"),
        ("8 10 49 151 12345678", 7, "+4915112345678"),
        ("06 20 123 4567", 36, "+36201234567"),
        ("98765 43210", 91, "+919876543210"),
        ("098765 43210", 91, "+919876543210"),
        ("138 1234 5678", 86, "+8613812345678"),
        ("0011 49 151 12345678", 61, "+4915112345678"),
        ("0412 345 678", 61, "+61412345678"),
        ("090-1234-5678", 81, "+819012345678"),
        ("8 029 123 45 67", 375, "+375291234567"),
        ("8 612 34567", 370, "+37061234567"),
        ("0612 34567", 370, "+37061234567"),
        ("9123 4567", 65, "+6591234567"),
        ("11 91234 5678", 55, "+5511912345678"),
        ("07 01 23 45 67", 225, "+2250701234567"),
    ] {
        is(written, Some(home), number);
    }
}

#[test]
fn without_a_home_national_numbers_go_by_sms() {
    for written in ["015112345678", "004915112345678", "2025550123", "tel:015112345678;phone-context=+49"] {
        assert_eq!(to(written, None), Destination::SmsOnly, "{written}");
    }
    assert_eq!(to("tel:015112345678;phone-context=example.com", Some(49)), Destination::SmsOnly);
}

#[test]
fn short_codes_names_service_codes_and_landlines_go_by_sms() {
    for (written, home) in [
        ("22000", 49),
        ("72", 33),
        ("+49 22000", 49),
        ("Vodafone", 49),
        ("DB-Info 24", 49),
        ("*100#", 49),
        ("#31#0151", 49),
        ("o2", 49),
        ("030 1234567", 49),
        ("+49 30 1234567", 1),
        ("15112345678", 49),
        ("+1 800 555 0123", 1),
        ("+800 1234 5678", 49),
        ("10086", 86),
        ("1069012345678", 86),
        ("+49 0151 12345678", 49),
        ("+999 123 456 789", 49),
        ("+1 202 555", 1),
        ("1-800-FLOWERS", 1),
        ("me@example.org", 49),
        ("112", 49),
        ("0", 49),
        ("00", 49),
        ("0151,123", 49),
    ] {
        assert_eq!(to(written, Some(home)), Destination::SmsOnly, "{written}");
    }
}

#[test]
fn what_cannot_be_sent_to_is_refused() {
    let long = "1".repeat(21);
    for written in [
        "",
        " ",
        "-()",
        "+",
        "++49151123456",
        "+abc",
        "+49151x",
        "+*21#",
        "tel:",
        "\u{202a}\u{202c}",
        "015\u{0}1",
        "0151\n123",
        "?!",
        &long,
        &"a".repeat(200),
    ] {
        assert_eq!(to(written, Some(49)), Destination::Unusable, "{written}");
        assert_eq!(Address(written.into()).dialable(), None, "{written}");
    }
}

#[test]
fn home_follows_sim_and_number() {
    assert_eq!(Home::from_mcc(262), Some(Home(49)));
    assert_eq!(Home::from_mcc(310), Some(Home(1)));
    assert_eq!(Home::from_mcc(901), None);
    assert_eq!(Home::from_mcc(1), None);
    assert_eq!(Home::of(&PhoneNumber::from_e164("+35312345678").unwrap()), Some(Home(353)));
}

#[test]
fn debug_shows_no_digit() {
    let number = PhoneNumber::from_e164("+4915112345678").unwrap();
    let shown = format!("{number:?} {:?} {:?}", Address("0151".into()), Destination::Mobile(number.clone()));
    assert!(!shown.contains(|c: char| c.is_ascii_digit()), "{shown}");
}

proptest! {
    #[test]
    fn any_input_is_judged_and_a_mobile_is_stable(written in ".{0,40}", home in prop::option::of(1u16..1000)) {
        crate::model::fuzz::judge(&written);
        let address = Address(written.as_str().into());
        let destination = address.destination(home.map(Home));
        prop_assert_eq!(address.dialable().is_none(), destination == Destination::Unusable);
        if let Destination::Mobile(number) = destination {
            prop_assert_eq!(&PhoneNumber::from_e164(number.as_e164()), &Ok(number.clone()));
            // Said in full it means the same everywhere.
            let again = Address(number.as_e164().into()).destination(None);
            prop_assert_eq!(again, Destination::Mobile(number));
        }
    }

    #[test]
    fn numbers_of_every_plan_survive_decoration(
        at in 0..plan::PLANS.len(), tail in "[0-9]{4,12}", gap in "[ ./()-]{0,2}", script in 0usize..4, home in prop::option::of(1u16..1000)
    ) {
        let digits: String = format!("{}{tail}", plan::PLANS[at].code);
        let plain = Address(format!("+{digits}").into()).destination(None);
        let zero = ['0', '０', '٠', '۰'][script];
        let dressed: String = digits.chars()
            .map(|c| char::from_u32(u32::from(zero) + c.to_digit(10).unwrap()).unwrap().to_string())
            .collect::<Vec<_>>().join(&gap);
        // "(0)" is a way of writing, not decoration.
        prop_assume!(!gap.contains('('));
        prop_assert_eq!(Address(format!("tel:+{dressed}").into()).destination(home.map(Home)), plain);
    }

    #[test]
    fn a_number_dialled_at_home_is_the_number_said_in_full(tail in "[0-9]{8}", which in 0usize..4) {
        let (code, trunk, lead) = [(49, "0", "151"), (44, "0", "77"), (1, "", "20"), (7, "8", "91")][which];
        let full = format!("+{code}{lead}{tail}");
        let at_home = Address(format!("{trunk}{lead}{tail}").into()).destination(Some(Home(code)));
        prop_assert_eq!(at_home, Address(full.into()).destination(None));
    }
}
