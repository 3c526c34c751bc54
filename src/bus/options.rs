//! Arguments off the wire: bounded, typed, and every unknown option an error, so that a misspelt one is
//! not silently ignored.

use super::{CONTACTS_MAX, Direction, Error, Filter, LIST_MAX, RouteOptions, SendOptions};
use crate::model::{Address, Bearer, Body, Consent, Diverted, Home, LineId, TextId, Timestamp};
use std::collections::HashMap;
use zbus::{OwnedVariant, Variant};

/// An `a{sv}` as methods take it.
pub(super) type Dict = HashMap<String, OwnedVariant>;

/// Where texts have their object paths.
pub(super) const MESSAGES: &str = "/org/shunt/Shunt1/message/";

/// Bytes beyond which no text fits into 255 segments: 153 septets each (3GPP TS 23.040 §9.2.3.24.1), and no
/// character of the GSM alphabet takes more than 3 bytes of UTF-8. Whether shorter ones fit, the core says.
const TEXT_MAX: usize = 255 * 153 * 3;

const WRONG_TYPE: Error = Error::BadArgument("an option has the wrong type: see config/org.shunt.Shunt1.xml");

/// A number as written: judged by the core, bounded here.
pub(super) fn address(written: &str) -> Result<Address, Error> {
    let fits = !written.is_empty() && written.len() <= 64 && !written.chars().any(char::is_control);
    if fits { Ok(Address(written.into())) } else { Err(Error::BadNumber) }
}

/// A safety number, written in groups or not.
pub(super) fn safety_number(written: &str) -> Result<Box<str>, Error> {
    let digits: String = written.chars().filter(|c| !c.is_ascii_whitespace()).take(61).collect();
    let whole = digits.len() == 60 && digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole { Ok(digits.into()) } else { Err(Error::BadArgument("a safety number has 60 digits")) }
}

/// Contacts as an address book has them: entries that could be no number are passed over.
pub(super) fn contacts(written: &[&str]) -> Result<Vec<Address>, Error> {
    if written.len() > CONTACTS_MAX {
        return Err(Error::TooMany("contacts; at most 20,000 are taken"));
    }
    Ok(written.iter().filter_map(|number| address(number).ok()).collect())
}

pub(super) fn body(text: &str) -> Result<Body, Error> {
    if text.len() > TEXT_MAX { Err(Error::TooLong) } else { Ok(Body(text.into())) }
}

pub(super) fn text_id(path: &str) -> Result<TextId, Error> {
    let id = path.strip_prefix(MESSAGES).and_then(TextId::from_hex);
    id.ok_or(Error::NotFound("no text has that path; see List"))
}

pub(super) fn bearer(token: &str) -> Result<Bearer, Error> {
    Bearer::from_token(token).ok_or(Error::BadArgument("a bearer is im or sms"))
}

/// Takes the known options out one by one.
struct Options(Dict);

impl Options {
    fn string(&mut self, name: &str, max: usize) -> Result<Option<String>, Error> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let value = String::try_from(value).map_err(|_| WRONG_TYPE)?;
        if value.len() > max {
            return Err(Error::BadArgument("an option is too long: see config/org.shunt.Shunt1.xml"));
        }
        Ok(Some(value))
    }

    fn flag(&mut self, name: &str) -> Result<bool, Error> {
        match self.0.remove(name).map(Variant::from) {
            None => Ok(false),
            Some(Variant::Bool(value)) => Ok(value),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// A number that fits into 64 bits: any unsigned type will do, shells guess them.
    fn number(&mut self, name: &str) -> Result<Option<u64>, Error> {
        match self.0.remove(name).map(Variant::from) {
            None => Ok(None),
            Some(Variant::U64(value)) => Ok(Some(value)),
            Some(Variant::U32(value)) => Ok(Some(value.into())),
            Some(Variant::I64(value)) => u64::try_from(value).map(Some).map_err(|_| WRONG_TYPE),
            Some(Variant::I32(value)) => u64::try_from(value).map(Some).map_err(|_| WRONG_TYPE),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// An object path; shells say it as a string.
    fn path(&mut self, name: &str) -> Result<Option<Box<str>>, Error> {
        match self.0.remove(name).map(Variant::from) {
            None => Ok(None),
            Some(Variant::ObjectPath(path)) => Ok(Some(path.as_str().into())),
            Some(Variant::Str(path)) => Ok(Some(path.as_str().into())),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    fn line(&mut self) -> Result<Option<LineId>, Error> {
        Ok(self.string("line", 64)?.filter(|line| !line.is_empty()).map(|line| LineId(line.into())))
    }

    fn done(self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::BadArgument("unknown option: see config/org.shunt.Shunt1.xml for those that there are"))
        }
    }
}

impl SendOptions {
    pub(super) fn parse(options: Dict) -> Result<Self, Error> {
        let mut options = Options(options);
        let parsed = Self {
            line: options.line()?,
            only: match options.string("bearer", 8)?.as_deref() {
                None | Some("") => None,
                Some(token) => Some(bearer(token)?),
            },
            token: options.string("token", 64)?.filter(|token| !token.is_empty()).map(Into::into),
            report: options.flag("report")?,
        };
        options.done().map(|()| parsed)
    }
}

/// `Divert`'s options.
#[derive(Debug)]
pub(super) struct DivertOptions {
    /// Token and report.
    pub(super) options: SendOptions,
    /// The modem service's object.
    pub(super) modem: Option<Box<str>>,
    /// The app's own SMS object.
    pub(super) diverted: Diverted,
}

impl DivertOptions {
    pub(super) fn parse(options: Dict) -> Result<Self, Error> {
        let mut options = Options(options);
        let token = options.string("token", 64)?.filter(|token| !token.is_empty());
        let token = token.ok_or(Error::BadArgument("token is missing: a random one for each text"))?;
        let (object, owner) = (options.path("sms")?, options.string("owner", 255)?.unwrap_or_default());
        if object.is_some() == owner.is_empty() {
            return Err(Error::BadArgument("sms and owner come together: the app's object, and who made it"));
        }
        let parsed = Self {
            options: SendOptions {
                token: Some(token.into()),
                report: options.flag("report")?,
                ..SendOptions::default()
            },
            modem: options.path("modem")?,
            diverted: Diverted {
                object: object.unwrap_or_else(|| "/".into()),
                owner: owner.into(),
                waits: true,
                report_deleted: false,
            },
        };
        options.done().map(|()| parsed)
    }
}

/// `Agents.Line`'s options.
pub(super) struct LineOptions {
    /// From the SIM's mobile country code.
    pub(super) home: Option<Home>,
    /// Emergency numbers beyond the standard ones.
    pub(super) emergency: Vec<Box<str>>,
}

impl LineOptions {
    pub(super) fn parse(options: Dict) -> Result<Self, Error> {
        let mut options = Options(options);
        let home = match options.number("mcc")? {
            None => None,
            Some(mcc) => {
                let home = u16::try_from(mcc).ok().and_then(Home::from_mcc);
                Some(home.ok_or(Error::BadArgument("mcc is no mobile country code"))?)
            }
        };
        let emergency = options.0.remove("emergency").map(Vec::<String>::try_from).transpose();
        let emergency = emergency.map_err(|_| WRONG_TYPE)?.unwrap_or_default();
        if emergency.len() > 32 || emergency.iter().any(|number| number.len() > 16) {
            return Err(Error::BadArgument("emergency has at most 32 numbers of at most 16 digits"));
        }
        let emergency = emergency.into_iter().map(String::into_boxed_str).collect();
        options.done().map(|()| Self { home, emergency })
    }
}

/// What an agent calls a line.
pub(super) fn line(written: &str) -> Result<Box<str>, Error> {
    let fits = !written.is_empty() && written.len() <= 64;
    if fits { Ok(written.into()) } else { Err(Error::BadArgument("a line has a name of 1 to 64 bytes")) }
}

/// The SMSC's time stamp as an agent spells it: for telling repeats.
pub(super) fn stamp(written: &str) -> Result<Box<str>, Error> {
    let fits = !written.is_empty() && written.len() <= 64;
    if fits { Ok(written.into()) } else { Err(Error::BadArgument("a stamp has 1 to 64 bytes")) }
}

/// `Agents.Incoming`'s options: when the SMSC took it.
pub(super) fn time(options: Dict) -> Result<Option<Timestamp>, Error> {
    let mut options = Options(options);
    let time = options.number("time")?;
    options.done().map(|()| time.map(timestamp))
}

/// `Ask`'s options: the modem.
pub(super) fn modem(options: Dict) -> Result<Option<Box<str>>, Error> {
    let mut options = Options(options);
    let modem = options.path("modem")?;
    options.done().map(|()| modem)
}

/// `Sent`'s options: the modem service's unique name.
pub(super) fn owner(options: Dict) -> Result<Box<str>, Error> {
    let mut options = Options(options);
    let owner = options.string("owner", 255)?;
    options.done()?;
    owner.map(Into::into).ok_or(Error::BadArgument("owner is missing: the modem service's unique name"))
}

/// `Inbox`'s options: the number after which the page begins.
pub(super) fn after(options: Dict) -> Result<u32, Error> {
    let mut options = Options(options);
    let after = options.number("after")?.unwrap_or(0);
    options.done()?;
    u32::try_from(after).map_err(|_| WRONG_TYPE)
}

impl RouteOptions {
    pub(super) fn parse(options: Dict) -> Result<Self, Error> {
        if options.is_empty() {
            return Ok(Self::default());
        }
        let mut options = Options(options);
        let parsed = Self {
            line: options.line()?,
            text: options.string("text", usize::MAX)?.map(|text| body(&text)).transpose()?,
            explain: options.flag("explain")?,
        };
        options.done().map(|()| parsed)
    }
}

impl Filter {
    pub(super) fn parse(options: Dict) -> Result<Self, Error> {
        let mut options = Options(options);
        let direction = match options.string("direction", 16)?.as_deref() {
            None | Some("") => None,
            Some("incoming") => Some(Direction::Incoming),
            Some("outgoing") => Some(Direction::Outgoing),
            Some(_) => return Err(Error::BadArgument("a direction is incoming or outgoing")),
        };
        let limit = match options.number("limit")? {
            None => LIST_MAX,
            Some(0) => return Err(Error::BadArgument("a limit is at least 1")),
            Some(limit) => u32::try_from(limit).unwrap_or(LIST_MAX).min(LIST_MAX),
        };
        let parsed = Self {
            direction,
            peer: options.string("peer", 64)?.map(|peer| address(&peer)).transpose()?,
            unacknowledged: options.flag("unacknowledged")?,
            since: options.number("since")?.map(timestamp),
            after: options.path("after")?.map(|path| text_id(&path)).transpose()?,
            limit,
        };
        options.done().map(|()| parsed)
    }
}

impl Consent {
    pub(super) fn parse(options: Dict) -> Result<Option<Self>, Error> {
        let mut options = Options(options);
        let text = options.string("consent", 64)?.unwrap_or_default();
        let locale = options.string("locale", 32)?.unwrap_or_default();
        options.done()?;
        if text.is_empty() && !locale.is_empty() {
            return Err(Error::BadArgument("locale without consent: name the consent text that was shown"));
        }
        Ok((!text.is_empty()).then(|| Self { text: text.into(), locale: locale.into() }))
    }
}

/// Milliseconds since 1970 as D-Bus carries them.
pub(super) fn timestamp(ms: u64) -> Timestamp {
    Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::ObjectPath;

    fn dict(entries: Vec<(&str, Variant<'static>)>) -> Dict {
        entries.into_iter().map(|(name, value)| (name.to_owned(), value.try_into().unwrap())).collect()
    }

    #[test]
    fn misspelt_option_is_named_as_an_error_and_not_ignored() {
        assert!(matches!(SendOptions::parse(dict(vec![("lien", "a".into())])), Err(Error::BadArgument(_))));
        assert!(matches!(RouteOptions::parse(dict(vec![("Text", "a".into())])), Err(Error::BadArgument(_))));
        assert!(matches!(Filter::parse(dict(vec![("from", "a".into())])), Err(Error::BadArgument(_))));
        assert!(matches!(Consent::parse(dict(vec![("text", "a".into())])), Err(Error::BadArgument(_))));
    }

    #[test]
    fn option_of_the_wrong_type_is_an_error() {
        assert!(SendOptions::parse(dict(vec![("report", "yes".into())])).is_err());
        assert!(SendOptions::parse(dict(vec![("token", 7_u32.into())])).is_err());
        assert!(Filter::parse(dict(vec![("since", "yesterday".into())])).is_err());
        assert!(Filter::parse(dict(vec![("since", (-1_i64).into())])).is_err());
    }

    #[test]
    fn options_arrive_as_they_were_given() {
        let options =
            dict(vec![("line", "l1".into()), ("bearer", "im".into()), ("token", "t".into()), ("report", true.into())]);
        let parsed = SendOptions::parse(options).unwrap();
        assert_eq!(parsed.line, Some(LineId("l1".into())));
        assert_eq!((parsed.only, parsed.token.as_deref(), parsed.report), (Some(Bearer::Im), Some("t"), true));
        let id = TextId([7; 16]);
        let filter = Filter::parse(dict(vec![
            ("direction", "incoming".into()),
            ("unacknowledged", true.into()),
            ("since", 5_u64.into()),
            ("limit", 1_000_000_u32.into()),
            ("after", format!("{MESSAGES}{}", id.to_hex()).into()),
        ]))
        .unwrap();
        assert_eq!(filter.direction, Some(Direction::Incoming));
        assert_eq!((filter.since, filter.limit, filter.after), (Some(Timestamp(5)), LIST_MAX, Some(id)));
    }

    /// Options with some replaced, or taken out.
    fn but(all: Vec<(&'static str, Variant<'static>)>, name: &str, with: Option<Variant<'static>>) -> Dict {
        let mut all = dict(all);
        all.remove(name);
        all.extend(with.map(|value| (name.to_owned(), value.try_into().unwrap())));
        all
    }

    #[test]
    fn a_diverted_text_has_a_token_and_its_object_an_owner() {
        let all = || {
            vec![
                ("token", "t".into()),
                ("sms", ObjectPath::from_static_str("/sms/1").unwrap().into()),
                ("owner", ":1.7".into()),
                ("modem", "/modem/0".into()),
                ("report", true.into()),
            ]
        };
        let DivertOptions { options, modem, diverted } = DivertOptions::parse(dict(all())).unwrap();
        assert_eq!((options.token.as_deref(), options.report, options.line), (Some("t"), true, None));
        assert_eq!(modem.as_deref(), Some("/modem/0"), "shells say a path as a string");
        assert_eq!((&*diverted.object, &*diverted.owner, diverted.waits), ("/sms/1", ":1.7", true));
        for (name, with) in [
            ("token", None),
            ("token", Some("".into())),
            ("token", Some("t".repeat(65).into())),
            ("token", Some(7_u32.into())),
            ("owner", None),
            ("owner", Some("".into())),
            ("owner", Some("n".repeat(256).into())),
            ("sms", None),
            ("sms", Some(1_u32.into())),
            ("modem", Some(true.into())),
            ("report", Some("yes".into())),
            ("bearer", Some("im".into())),
        ] {
            let refused = DivertOptions::parse(but(all(), name, with)).map(|_| ());
            assert!(matches!(refused, Err(Error::BadArgument(_))), "{name}: {refused:?}");
        }
        // oFono makes no object before it sends.
        let ofono = DivertOptions::parse(dict(vec![("token", "t".into())])).unwrap();
        assert_eq!((&*ofono.diverted.object, &*ofono.diverted.owner, ofono.modem), ("/", "", None));
    }

    #[test]
    fn a_line_is_at_home_in_a_country_and_has_few_short_emergency_numbers() {
        let all = || vec![("mcc", 262_u32.into()), ("emergency", vec!["110".to_owned(), "19222".to_owned()].into())];
        let LineOptions { home, emergency } = LineOptions::parse(dict(all())).unwrap();
        assert_eq!((home, emergency), (Some(Home(49)), vec!["110".into(), "19222".into()]));
        assert_eq!(LineOptions::parse(Dict::new()).unwrap().home, None);
        for (name, with) in [
            ("mcc", Variant::from(0_u32)),
            ("mcc", 1_000_u32.into()),
            ("mcc", 65_798_u32.into()),
            ("mcc", "262".into()),
            ("emergency", "110".into()),
            ("emergency", vec!["1".repeat(17)].into()),
            ("emergency", vec!["110".to_owned(); 33].into()),
            ("number", "1".into()),
        ] {
            let refused = LineOptions::parse(but(all(), name, Some(with))).map(|_| ());
            assert!(matches!(refused, Err(Error::BadArgument(_))), "{name}: {refused:?}");
        }
    }

    #[test]
    fn text_beyond_any_255_segments_is_refused_before_it_is_looked_at() {
        assert_eq!(body(&"€".repeat(255 * 153)).map(|_| ()), Ok(()));
        assert_eq!(body(&"a".repeat(TEXT_MAX + 1)), Err(Error::TooLong));
        let long = dict(vec![("text", "a".repeat(TEXT_MAX + 1).into())]);
        assert_eq!(RouteOptions::parse(long), Err(Error::TooLong));
    }

    #[test]
    fn addresses_are_bounded_and_printable() {
        assert!(address("+49 (170) 123-45").is_ok());
        for bad in ["", "+49\n170", &"1".repeat(65)] {
            assert_eq!(address(bad), Err(Error::BadNumber));
        }
    }

    proptest::proptest! {
        #[test]
        fn only_paths_of_texts_name_texts(path in "(/org/shunt/Shunt1/message/)?[0-9a-fA-F/]{0,40}") {
            if let Ok(id) = text_id(&path) {
                proptest::prop_assert_eq!(format!("{MESSAGES}{}", id.to_hex()), path);
            }
        }
    }
}
