//! The numbers that the ROM's contacts app handed over: under `mutual` they learn that this phone is online.

use super::Core;
use super::turn::Turn;
use crate::bus::{Error, Reply};
use crate::model::{Address, PhoneNumber};
use crate::store::{Blob, StoreError, Tx};

/// A number's digits as the store keeps them.
const WIDTH: usize = size_of::<u64>();

/// Contacts' numbers, sorted. Eight bytes each: an address book is in memory all day.
#[derive(Default)]
pub(super) struct Contacts(Vec<u64>);

impl Contacts {
    pub(super) fn load(tx: &Tx<'_>) -> Result<Self, StoreError> {
        let bytes = tx.blob(Blob::Contacts)?;
        let digits = bytes.iter().flat_map(|bytes| bytes.as_chunks::<WIDTH>().0);
        Ok(Self(digits.map(|digits| u64::from_be_bytes(*digits)).collect()))
    }

    fn new<'n>(numbers: impl Iterator<Item = &'n PhoneNumber>) -> Self {
        let mut all: Vec<u64> = numbers.filter_map(digits).collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    /// In E.164 form, for the user to read.
    pub(super) fn numbers(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|digits| format!("+{digits}"))
    }

    pub(super) fn has(&self, number: &PhoneNumber) -> bool {
        digits(number).is_some_and(|digits| self.0.binary_search(&digits).is_ok())
    }
}

/// E.164 has at most 15 digits and none begins with 0: a number says it all.
fn digits(number: &PhoneNumber) -> Option<u64> {
    number.as_e164().strip_prefix('+')?.parse().ok()
}

impl Core {
    /// Replaces the contacts; what is no mobile number is passed over.
    pub(super) fn set_contacts(&mut self, turn: &mut Turn<'_, '_>, written: &[Address], reply: Reply<()>) {
        if let Some(token) = self.degraded {
            return turn.answer(reply, Err(Error::Store(token)));
        }
        let line = self.line(None);
        let numbers: Vec<PhoneNumber> = written.iter().filter_map(|one| self.classify(one, line).1).collect();
        self.contacts = Contacts::new(numbers.iter());
        let bytes = zeroize::Zeroizing::new(
            self.contacts.0.iter().flat_map(|digits| digits.to_be_bytes()).collect::<Vec<u8>>(),
        );
        turn.write(
            move |tx| if bytes.is_empty() { tx.drop_blob(Blob::Contacts) } else { tx.put_blob(Blob::Contacts, &bytes) },
        );
        turn.promise(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_found_by_the_whole_number() {
        let number = |e164| PhoneNumber::from_e164(e164).unwrap();
        let (bob, carol) = (number("+491707654321"), number("+6834567"));
        let contacts = Contacts::new([&bob, &carol, &bob].into_iter());
        assert_eq!(contacts.0.len(), 2);
        assert!(contacts.has(&bob) && contacts.has(&carol));
        assert!(!contacts.has(&number("+49170765432")) && !Contacts::default().has(&bob));
    }
}
