//! An epoch's secrets: a VOPRF seed, an Ed25519 seed and an X25519 seed, each base64 in a file of its
//! own (0600).

use super::config::{Epoch, is_epoch};
use super::files::{self, NewFile};
use crate::seal::{
    CertificateError, DirectoryKeys, DirectorySigner, EnrolmentKey, EpochKey, Evaluator, EvaluatorError,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand_core::{OsRng, RngCore};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// Not readable, or readable by others.
    #[error("{path}: the key can't be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// Not a key.
    #[error("{path}: holds no key: it must be the file that `shunt-directory keygen` made")]
    Malformed { path: PathBuf },
    /// A name that an epoch can't have.
    #[error("--epoch must be one lower-case letter")]
    Name,
    /// Not writable, or there already.
    #[error("{path}: the key can't be made: {source}")]
    Write { path: PathBuf, source: io::Error },
    /// The system has no randomness.
    #[error("the system gave no random bytes: {0}")]
    Random(rand_core::Error),
    /// No evaluator from that seed.
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
    /// No signer from that seed.
    #[error(transparent)]
    Signer(#[from] CertificateError),
}

type Seed = Zeroizing<[u8; 32]>;

/// One epoch's secrets, ready for use.
pub(super) struct EpochSecrets {
    pub(super) evaluator: Evaluator,
    pub(super) signer: DirectorySigner,
    pub(super) enrolment: EnrolmentKey,
    /// The second evaluator's public key.
    pub(super) second: Option<[u8; 32]>,
}

/// All epochs that are served.
pub(super) struct Epochs(Vec<EpochSecrets>);

impl Epochs {
    pub(super) fn load(epochs: &[Epoch]) -> Result<Self, KeyError> {
        let load = |epoch: &Epoch| {
            let (voprf, ed25519, x25519) = (read(&epoch.voprf)?, read(&epoch.ed25519)?, read(&epoch.x25519)?);
            let secrets = EpochSecrets::new(epoch.name, &voprf, &ed25519, &x25519)?;
            Ok::<_, KeyError>(EpochSecrets { second: epoch.second, ..secrets })
        };
        Ok(Self(epochs.iter().map(load).collect::<Result<_, _>>()?))
    }

    pub(super) fn secrets(&self, epoch: char) -> Option<&EpochSecrets> {
        self.0.iter().find(|secrets| secrets.evaluator.epoch() == epoch)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = char> {
        self.0.iter().map(|secrets| secrets.evaluator.epoch())
    }

    /// What phones pin; the current epoch is the last.
    pub(super) fn public(&self, current: char) -> DirectoryKeys {
        let mut epochs: Vec<_> = self.0.iter().map(EpochSecrets::public).collect();
        epochs.sort_by_key(|key| key.epoch == current);
        DirectoryKeys { epochs }
    }
}

impl EpochSecrets {
    fn new(epoch: char, voprf: &Seed, ed25519: &Seed, x25519: &Seed) -> Result<Self, KeyError> {
        let evaluator = Evaluator::from_seed(**voprf, epoch)?;
        let enrolment = EnrolmentKey::from_seed(x25519);
        Ok(Self { evaluator, signer: DirectorySigner::from_seed(ed25519)?, enrolment, second: None })
    }

    pub(super) fn public(&self) -> EpochKey {
        let Self { evaluator, signer, enrolment, second } = self;
        EpochKey {
            epoch: evaluator.epoch(),
            voprf: evaluator.public_key(),
            second: *second,
            certificate: signer.public_key(),
            enrolment: enrolment.public_key(),
        }
    }
}

/// Makes an epoch's three files in `dir` (0700 if it is new) and gives back what belongs into the
/// configuration, with the public keys as comments.
pub(super) fn keygen(dir: &Path, epoch: char) -> Result<String, KeyError> {
    // All names are known to be free before one of them is used.
    let place = |kind| place(dir, epoch, kind);
    let (voprf, ed25519, x25519) = (place("voprf")?, place("ed25519")?, place("x25519")?);
    let seeds = [random()?, random()?, random()?];
    let public = EpochSecrets::new(epoch, &seeds[0], &seeds[1], &seeds[2])?.public();
    let told = format!(
        "# public VOPRF key: {}\n# public certificate key: {}\n# public enrolment key: {}\n\
         [[epoch]]\nname = \"{epoch}\"\nvoprf = {:?}\ned25519 = {:?}\nx25519 = {:?}\n",
        BASE64.encode(public.voprf),
        BASE64.encode(public.certificate),
        BASE64.encode(public.enrolment),
        absolute(&voprf.0),
        absolute(&ed25519.0),
        absolute(&x25519.0),
    );
    for ((path, file), seed) in [voprf, ed25519, x25519].into_iter().zip(seeds) {
        write(path, file, &seed)?;
    }
    Ok(told)
}

/// The same of a second evaluator, which has one file.
pub(super) fn keygen_evaluator(dir: &Path, epoch: char) -> Result<String, KeyError> {
    let (path, file) = place(dir, epoch, "voprf")?;
    let seed = random()?;
    let public = Evaluator::from_seed(*seed, epoch)?.public_key();
    let told = format!(
        "# public VOPRF key: {}\n[[epoch]]\nname = \"{epoch}\"\nvoprf = {:?}\n",
        BASE64.encode(public),
        absolute(&path)
    );
    write(path, file, &seed)?;
    Ok(told)
}

/// Makes the token that this operator has at the second evaluator's, and gives back what belongs into its
/// configuration there: a hash, so that no secret changes hands.
pub(super) fn operator_token(out: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::Write { path: out.into(), source };
    let file = NewFile::create(out).map_err(failed)?;
    let token = text(&random()?);
    let told = format!("operator = \"{}\"\n", BASE64.encode(token_hash(token.trim_end())));
    file.finish(token.as_bytes()).map_err(failed)?;
    Ok(told)
}

/// An epoch's evaluator, from its file.
pub(super) fn evaluator(epoch: char, voprf: &Path) -> Result<Evaluator, KeyError> {
    Ok(Evaluator::from_seed(*read(voprf)?, epoch)?)
}

/// A free place for one of an epoch's files.
fn place(dir: &Path, epoch: char, kind: &str) -> Result<(PathBuf, NewFile), KeyError> {
    if !is_epoch(epoch) {
        return Err(KeyError::Name);
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| KeyError::Write { path: dir.into(), source })?;
    let path = dir.join(format!("{epoch}.{kind}"));
    match NewFile::create(&path) {
        Ok(file) => Ok((path, file)),
        Err(source) => Err(KeyError::Write { path, source }),
    }
}

fn write(path: PathBuf, file: NewFile, seed: &Seed) -> Result<(), KeyError> {
    file.finish(text(seed).as_bytes()).map_err(|source| KeyError::Write { path, source })
}

/// A secret's line in a file of its own.
fn text(seed: &Seed) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(45));
    BASE64.encode_string(seed.as_slice(), &mut text);
    text.push('\n');
    text
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or(path.into()).to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Seed, KeyError> {
    let text = files::read_private(path).map_err(|source| KeyError::Read { path: path.into(), source })?;
    let mut seed = Seed::new([0; 32]);
    match BASE64.decode_slice(text.trim_ascii(), seed.as_mut_slice()) {
        Ok(32) => Ok(seed),
        _ => Err(KeyError::Malformed { path: path.into() }),
    }
}

/// 32 random bytes from the system.
pub(super) fn random() -> Result<Seed, KeyError> {
    let mut bytes = Seed::new([0; 32]);
    OsRng.try_fill_bytes(bytes.as_mut_slice()).map_err(KeyError::Random)?;
    Ok(bytes)
}

/// SHA-256 of a bearer token's text: what the database knows a device by.
pub(super) fn token_hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn epoch(dir: &TempDir, name: char) -> Epoch {
        let file = |kind| dir.path().join(format!("{name}.{kind}"));
        Epoch { name, voprf: file("voprf"), ed25519: file("ed25519"), x25519: file("x25519"), second: None }
    }

    #[test]
    fn made_keys_are_those_that_are_loaded() {
        let dir = TempDir::new().unwrap();
        let told = keygen(dir.path(), 'a').unwrap();
        let public = Epochs::load(&[epoch(&dir, 'a')]).unwrap().public('a');
        let key = public.epoch('a').unwrap();
        assert!(told.contains(&BASE64.encode(key.voprf)));
        assert!(told.contains(&BASE64.encode(key.certificate)));
        assert!(told.contains(&BASE64.encode(key.enrolment)));
        let lines: toml::Table = told.parse().unwrap();
        assert_eq!(lines["epoch"][0]["voprf"].as_str(), epoch(&dir, 'a').voprf.to_str());
    }

    #[test]
    fn keys_are_never_overwritten() {
        let dir = TempDir::new().unwrap();
        keygen(dir.path(), 'a').unwrap();
        let before = std::fs::read(epoch(&dir, 'a').voprf).unwrap();
        std::fs::remove_file(epoch(&dir, 'a').ed25519).unwrap();
        assert!(matches!(keygen(dir.path(), 'a'), Err(KeyError::Write { .. })));
        assert_eq!(std::fs::read(epoch(&dir, 'a').voprf).unwrap(), before);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_current_epoch_is_the_last_that_phones_are_told() {
        let dir = TempDir::new().unwrap();
        keygen(dir.path(), 'a').unwrap();
        keygen(dir.path(), 'b').unwrap();
        let epochs = Epochs::load(&[epoch(&dir, 'a'), epoch(&dir, 'b')]).unwrap();
        assert_eq!(epochs.public('a').current().unwrap().epoch, 'a');
        assert_eq!(epochs.public('b').current().unwrap().epoch, 'b');
    }

    #[test]
    fn a_file_that_is_no_key_is_named() {
        let dir = TempDir::new().unwrap();
        keygen(dir.path(), 'a').unwrap();
        std::fs::write(epoch(&dir, 'a').voprf, "AAAA").unwrap();
        assert!(matches!(Epochs::load(&[epoch(&dir, 'a')]), Err(KeyError::Malformed { .. })));
    }

    #[test]
    fn an_epoch_has_a_letter_for_a_name() {
        let dir = TempDir::new().unwrap();
        for name in ['A', '1', '/', 'ä'] {
            assert!(matches!(keygen(dir.path(), name), Err(KeyError::Name)), "{name}");
        }
    }
}
