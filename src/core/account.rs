//! The account and the identity: taken, checked, kept.

use super::Core;
use super::event::Event;
use super::turn::{Effect, Turn};
use crate::bus::{Error, Reply};
use crate::router::SwitchInput;
use crate::seal::{AccountError, AccountFile, CertificateError, EpochKey, Identity};
use crate::store::{Blob, StoreError};

/// An account file that is being checked.
pub(super) struct Import {
    file: AccountFile,
    reply: Reply<()>,
}

impl Core {
    /// This phone's identity key; made when first asked for.
    pub(super) fn identity_text(&mut self, turn: &mut Turn<'_, '_>) -> Result<String, Error> {
        if let Some(token) = self.degraded {
            return Err(Error::Store(token));
        }
        if let Some(identity) = &self.identity {
            return Ok(identity.key().to_text());
        }
        let identity = Identity::new(turn.now.wall);
        let pickle = identity.to_pickle().map_err(|_| Error::Store("the identity can't be encoded"))?;
        let text = identity.key().to_text();
        turn.write(move |tx| tx.put_blob(Blob::Identity, &pickle));
        self.identity = Some(identity);
        Ok(text)
    }

    /// Takes an account file, if it is one for this phone.
    pub(super) fn import(&mut self, turn: &mut Turn<'_, '_>, bytes: &[u8], reply: Reply<()>) {
        match self.importable(bytes) {
            Ok(file) => {
                let Some(key) = self.identity.as_ref().map(Identity::key) else { return };
                let now = turn.now.wall;
                let import = Box::new(Import { file, reply });
                turn.effect(Effect::Compute(Box::new(move || {
                    let checked = import.file.check(&key, now);
                    Event::Account(import, checked)
                })));
            }
            Err(error) => turn.answer(reply, Err(error)),
        }
    }

    fn importable(&self, bytes: &[u8]) -> Result<AccountFile, Error> {
        if let Some(token) = self.degraded {
            return Err(Error::Store(token));
        }
        if self.identity.is_none() {
            return Err(Error::BadAccount(
                "this phone has no identity yet: `shuntctl identity` shows the key to provision",
            ));
        }
        let file = AccountFile::parse(bytes).map_err(|error| refused(&error))?;
        let Some(cloud) = &self.config.cloud else { return Ok(file) };
        if cloud.domain != file.jid.domain() {
            return Err(Error::BadAccount("it is of another domain than [cloud] domain in the config"));
        }
        let pinned =
            cloud.epochs.iter().all(|pin| file.keys.epoch(pin.epoch).is_none_or(|key| *key == EpochKey::from(pin)));
        let known = cloud.epochs.is_empty()
            || file.keys.epochs.iter().all(|key| cloud.epochs.iter().any(|pin| pin.epoch == key.epoch));
        if pinned && known {
            Ok(file)
        } else {
            Err(Error::BadAccount("its directory keys are not those pinned under [cloud] epochs in the config"))
        }
    }

    pub(super) fn account_checked(
        &mut self,
        turn: &mut Turn<'_, '_>,
        import: Import,
        checked: &Result<(), AccountError>,
    ) -> Result<(), StoreError> {
        let Import { file, reply } = import;
        // While it was checked the store may have failed, or the phone been withdrawn.
        let own = self.identity.as_ref().map(Identity::key) == Some(file.certificate.identity);
        let refusal = match (self.degraded, checked) {
            (Some(token), _) => Some(Error::Store(token)),
            (None, Err(error)) => Some(refused(error)),
            (None, Ok(())) if !own || self.withdrawal.is_some() => Some(refused(&AccountError::OtherIdentity)),
            (None, Ok(())) => None,
        };
        if let Some(error) = refusal {
            turn.answer(reply, Err(error));
            return Ok(());
        }
        self.tell_ended(turn, None);
        self.forget_enrolment(turn, Err(Error::EnrolmentEnded("an account file was imported")));
        let renewed = self.account.is_some();
        match self.account.as_ref().filter(|own| holds(own, &file)) {
            // It was taken before; its secret is used up, and it proves nothing new.
            Some(own) => {
                let (secret, certificate) = (own.secret.clone(), own.certificate.clone());
                self.keep_account(turn, AccountFile { secret, certificate, ..file })?;
            }
            None => {
                self.keep_account(turn, file)?;
                // The operator, who made the file, vouches for the number, and has seen the secret.
                self.number_proven(turn);
                self.forget_secret(turn)?;
                self.want_secret(turn)?;
            }
        }
        self.set_account_line(turn, None)?;
        self.find_account_line(turn)?;
        log::info!("an account was imported");
        if renewed {
            // The running uplink speaks for the old one.
            self.switch_event(turn, SwitchInput::Account(false))?;
        }
        self.switch_event(turn, SwitchInput::Enrolling(false))?;
        self.switch_event(turn, SwitchInput::Account(true))?;
        turn.promise(reply);
        Ok(())
    }
}

impl Core {
    /// The account with the keys that count now.
    pub(super) fn with_pins(&self, mut file: AccountFile) -> AccountFile {
        file.keys = file.keys.pinned(&self.pinned_keys(), file.jid.epoch());
        if self.roots.second.is_some() {
            file.second.clone_from(&self.roots.second);
        }
        file
    }

    /// Takes an account that was checked.
    pub(super) fn keep_account(&mut self, turn: &mut Turn<'_, '_>, file: AccountFile) -> Result<(), StoreError> {
        let file = self.with_pins(file);
        if self.account.as_ref().is_some_and(|old| old.jid != file.jid) {
            // Peers can't tell whose these would be, from the new address: each is begun anew, with the proof.
            self.sessions.clear();
            turn.write(|tx| tx.drop_sessions());
        }
        match file.to_json() {
            Ok(text) => turn.write(move |tx| tx.put_blob(Blob::Account, text.as_bytes())),
            Err(error) => return Err(StoreError::Io(error.to_string())),
        }
        if self.account.as_ref().is_some_and(|own| own.number != file.number) {
            self.account_lines = super::lines::AccountLines::default();
        }
        self.account = Some(file);
        self.published_at = None;
        Ok(())
    }
}

/// Whether that account is the file's, and nothing in the file is newer.
fn holds(own: &AccountFile, file: &AccountFile) -> bool {
    let (own, file) = (&own.certificate, &file.certificate);
    (&own.jid, &own.identity) == (&file.jid, &file.identity) && own.issued >= file.issued
}

/// The part of the reason that a caller can act on; fixed words, as errors end up in logs.
fn refused(error: &AccountError) -> Error {
    log::warn!("an account file was refused: {error}");
    Error::BadAccount(match error {
        AccountError::OtherIdentity => {
            "it is for another phone's key; provision it with what `shuntctl identity` shows"
        }
        AccountError::Certificate(CertificateError::Expired) => "its certificate has expired; provision it again",
        AccountError::OtherNumber | AccountError::Transcript(_) => "its transcript does not prove its number",
        AccountError::Certificate(_) => "its certificate does not hold; check the clock, or provision it again",
        _ => "it is damaged or incomplete; the journal says where",
    })
}
