//! One sealed request and its sealed answer: HPKE in base mode with X25519, HKDF-SHA256 and
//! ChaCha20-Poly1305 (RFC 9180); the answer under a key exported from it, as RFC 9458 §4.4 does.

use super::filling::{ANSWER, REQUEST};
use super::{Code, EnrolmentError, SessionId};
use crate::model::PhoneNumber;
use crate::seal::column::expand;
use crate::seal::{CodecError, IdentityKey};
use hpke::aead::{AeadCtxR, AeadCtxS, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// Version, session, identity key, epoch: in clear, and bound to the sealed part.
const HEADER: usize = 1 + 16 + 64 + 1;

const ENCAPSULATED: usize = 32;
const TAG: usize = 16;
const SALT: usize = 32;

/// What a request asks; part of the key schedule, so that none can serve as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`super::Start`].
    Start,
    /// [`super::Confirm`].
    Confirm,
    /// [`super::NewSecret`].
    Secret,
}

impl Kind {
    fn info(self) -> &'static [u8] {
        match self {
            Self::Start => b"shunt enrolment 1 start",
            Self::Confirm => b"shunt enrolment 1 confirm",
            Self::Secret => b"shunt enrolment 1 secret",
        }
    }
}

/// What stands in clear before the sealed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The session.
    pub session: SessionId,
    /// The phone's identity key.
    pub identity: IdentityKey,
    /// The epoch whose key it is sealed to, a to z.
    pub epoch: char,
}

/// A request to the directory, ready for the wire; all have the same length.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRequest(Vec<u8>);

impl SealedRequest {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The session it belongs to, which its path names. Judges nothing else: the uplink has no keys.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        let (_version, rest) = self.0.split_first()?;
        rest.first_chunk().copied().map(SessionId::from_bytes)
    }

    /// A request that the store kept, for sending it again byte for byte.
    pub fn again(stored: Vec<u8>) -> Result<Self, EnrolmentError> {
        Header::read(&stored)?;
        Ok(Self(stored))
    }
}

impl fmt::Debug for SealedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedRequest({} bytes)", self.0.len())
    }
}

/// Opens the one answer to a request. A phone keeps it, sealed, until the answer came.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey(..)")
    }
}

/// The directory's secret key of an epoch, which requests are sealed to.
pub struct EnrolmentKey {
    secret: <X25519HkdfSha256 as Kem>::PrivateKey,
    public: [u8; 32],
    tags: hmac::Key,
}

impl fmt::Debug for EnrolmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentKey(..)")
    }
}

impl Header {
    fn to_bytes(self) -> Result<[u8; HEADER], EnrolmentError> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.session.as_bytes());
        bytes.extend_from_slice(self.identity.ed25519());
        bytes.extend_from_slice(self.identity.curve25519());
        bytes.push(u8::try_from(self.epoch).map_err(|_| EnrolmentError::Header)?);
        bytes.try_into().map_err(|_| EnrolmentError::Header)
    }

    /// Identity key and epoch: who begins a session in one is the only one that may confirm it.
    #[must_use]
    pub fn phone(&self) -> Vec<u8> {
        let epoch = self.epoch.to_string();
        [self.identity.ed25519().as_slice(), self.identity.curve25519(), epoch.as_bytes()].concat()
    }

    /// The header of a request of the right length.
    pub fn read(request: &[u8]) -> Result<Self, EnrolmentError> {
        match request.first() {
            None => return Err(CodecError::Empty.into()),
            Some(&VERSION) => {}
            Some(&version) => return Err(CodecError::Version(version).into()),
        }
        if request.len() != HEADER + ENCAPSULATED + REQUEST + TAG {
            return Err(CodecError::Malformed.into());
        }
        let (_, rest) = request.split_first().ok_or(EnrolmentError::Header)?;
        let (session, rest) = rest.split_first_chunk().ok_or(EnrolmentError::Header)?;
        let (ed25519, rest) = rest.split_first_chunk().ok_or(EnrolmentError::Header)?;
        let (curve25519, rest) = rest.split_first_chunk().ok_or(EnrolmentError::Header)?;
        let epoch = rest.first().map(|byte| char::from(*byte)).filter(char::is_ascii_lowercase);
        Ok(Self {
            session: SessionId::from_bytes(*session),
            identity: IdentityKey::from_bytes(*ed25519, *curve25519).map_err(|_| EnrolmentError::Header)?,
            epoch: epoch.ok_or(EnrolmentError::Header)?,
        })
    }
}

type Suite<Role> = (Role, AnswerKey);

/// Seals what is filled up for the directory whose key of the epoch is `to`; the key opens the answer.
pub(super) fn seal(
    kind: Kind,
    header: Header,
    to: &[u8; 32],
    filled: &[u8],
) -> Result<Suite<SealedRequest>, EnrolmentError> {
    let header = header.to_bytes()?;
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to).map_err(|_| EnrolmentError::Sealed)?;
    let (encapsulated, mut context): (_, AeadCtxS<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>) =
        setup_sender(&OpModeS::Base, &to, kind.info()).map_err(|_| EnrolmentError::Sealed)?;
    let sealed = context.seal(filled, &header).map_err(|_| EnrolmentError::Sealed)?;
    let key = export(|label, key| context.export(label, key))?;
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(&encapsulated.to_bytes());
    bytes.extend_from_slice(&sealed);
    Ok((SealedRequest(bytes), key))
}

fn export(context: impl FnOnce(&[u8], &mut [u8]) -> Result<(), hpke::HpkeError>) -> Result<AnswerKey, EnrolmentError> {
    let mut key = Zeroizing::new([0; 32]);
    context(b"shunt enrolment 1 answer", key.as_mut_slice()).map_err(|_| EnrolmentError::Sealed)?;
    Ok(AnswerKey(key))
}

impl EnrolmentKey {
    /// Derives the key of an epoch from 32 secret random bytes (RFC 9180 §7.1.3).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let (secret, public) = X25519HkdfSha256::derive_keypair(seed);
        let tags = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, seed), b"shunt enrolment 1 tags");
        Self { secret, public: public.to_bytes().into(), tags: hmac::Key::new(hmac::HMAC_SHA256, tags.as_ref()) }
    }

    /// A digest of these parts, the first of which says what for, under a key that follows from the
    /// epoch's: the same at every instance that holds its file, and nobody else's.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.tags);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().unwrap_or_default()
    }

    /// The code of a session whose row has this salt, for this number: made anew when it is to be
    /// compared, so that neither code nor number is kept by anybody.
    #[must_use]
    pub fn code(&self, header: &Header, salt: &[u8; 16], number: &PhoneNumber) -> Code {
        let (session, phone) = (header.session.as_bytes(), header.phone());
        let tag = self.tag(&[b"code", salt, session, &phone, number.as_e164().as_bytes()]);
        Code::from_tag(&tag)
    }

    /// What ties a session to the number that it was begun for. Who has the key but not the session's id, 128 random
    /// bits, can search no number by it.
    #[must_use]
    pub fn bound(&self, header: &Header, number: &PhoneNumber) -> [u8; 32] {
        self.tag(&[b"session's number", header.session.as_bytes(), number.as_e164().as_bytes()])
    }

    /// What phones pin.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.public
    }

    /// Opens a request of this kind; what is in it is filled up.
    pub(super) fn open(
        &self,
        kind: Kind,
        request: &[u8],
    ) -> Result<(Header, Zeroizing<Vec<u8>>, AnswerKey), EnrolmentError> {
        let header = Header::read(request)?;
        let (clear, rest) = request.split_at_checked(HEADER).ok_or(EnrolmentError::Header)?;
        let (encapsulated, sealed) = rest.split_at_checked(ENCAPSULATED).ok_or(EnrolmentError::Header)?;
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| EnrolmentError::Sealed)?;
        let mut context: AeadCtxR<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256> =
            setup_receiver(&OpModeR::Base, &self.secret, &encapsulated, kind.info())
                .map_err(|_| EnrolmentError::Sealed)?;
        let filled = Zeroizing::new(context.open(sealed, clear).map_err(|_| EnrolmentError::Sealed)?);
        let key = export(|label, key| context.export(label, key))?;
        Ok((header, filled, key))
    }
}

impl AnswerKey {
    /// For the phone's sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The inverse of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A fresh salt makes each answer's key its own, so that the nonce may be zero.
    fn cipher(&self, salt: &[u8]) -> Result<LessSafeKey, EnrolmentError> {
        let prk = Salt::new(HKDF_SHA256, salt).extract(&*self.0);
        let key = expand(&prk, b"shunt enrolment 1 answer key").ok_or(EnrolmentError::Sealed)?;
        UnboundKey::new(&CHACHA20_POLY1305, &*key).map(LessSafeKey::new).map_err(|_| EnrolmentError::Sealed)
    }

    /// Version ‖ salt ‖ sealed, always of the same length; what is in it is filled up.
    pub(super) fn seal(&self, session: &SessionId, filled: &[u8]) -> Result<Vec<u8>, EnrolmentError> {
        let mut salt = [0; SALT];
        SystemRandom::new().fill(&mut salt).map_err(|_| EnrolmentError::Sealed)?;
        let mut sealed = Zeroizing::new(filled.to_vec());
        let tag = self
            .cipher(&salt)?
            .seal_in_place_separate_tag(zero(), Aad::from(session.as_bytes()), &mut sealed)
            .map_err(|_| EnrolmentError::Sealed)?;
        Ok([&[VERSION], salt.as_slice(), &sealed, tag.as_ref()].concat())
    }

    /// The inverse of [`Self::seal`].
    pub(super) fn open(&self, session: &SessionId, answer: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
        let (version, rest) = answer.split_first().ok_or(CodecError::Empty)?;
        if *version != VERSION {
            return Err(CodecError::Version(*version).into());
        }
        if answer.len() != 1 + SALT + ANSWER + TAG {
            return Err(CodecError::Malformed.into());
        }
        let (salt, sealed) = rest.split_at_checked(SALT).ok_or(CodecError::Malformed)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let cipher = self.cipher(salt)?;
        let opened = cipher.open_in_place(zero(), Aad::from(session.as_bytes()), &mut sealed);
        let length = opened.map_err(|_| EnrolmentError::Sealed)?.len();
        sealed.truncate(length);
        Ok(sealed)
    }
}

fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
