//! Addresses as they come off the wire (RFC 7622 §3).

/// The longest localpart.
const MAX_LOCALPART: usize = 1023;

/// Who sent something, as the server vouches for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sender<'a> {
    /// Our server itself: its domain, or nobody named.
    Server,
    /// An account of our domain; with its resource.
    Account(&'a str, Option<&'a str>),
    /// Anybody else.
    Stranger,
}

impl<'a> Sender<'a> {
    /// Reads a `from`.
    pub(crate) fn of(from: Option<&'a str>, domain: &str) -> Self {
        let Some(from) = from else { return Self::Server };
        let (bare, resource) = match from.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (from, None),
        };
        match bare.split_once('@') {
            None if bare == domain => Self::Server,
            Some((local, its)) if its == domain && (1..=MAX_LOCALPART).contains(&local.len()) => {
                Self::Account(local, resource)
            }
            _ => Self::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_accounts_of_our_own_domain_are_accounts() {
        let of = |from| Sender::of(Some(from), "shunt.test");
        assert_eq!(of("1abc@shunt.test"), Sender::Account("1abc", None));
        assert_eq!(of("1abc@shunt.test/a@b/c"), Sender::Account("1abc", Some("a@b/c")));
        assert_eq!(of("shunt.test"), Sender::Server);
        assert_eq!(Sender::of(None, "shunt.test"), Sender::Server);
        for stranger in ["1abc@shunt.test.evil", "@shunt.test", "evil/1abc@shunt.test", "", "a@b@shunt.test", "other"] {
            assert_eq!(of(stranger), Sender::Stranger, "{stranger}");
        }
        let long = format!("{}@shunt.test", "a".repeat(1024));
        assert_eq!(of(&long), Sender::Stranger);
    }
}
