//! An enrolment under way, and what is kept of it.

use super::turn::Turn;
use crate::bus::Reply;
use crate::router::{Doing, EnrolStep, Enrolling};
use crate::seal::encode_wiped;
use crate::store::Blob;
use crate::wall::RequestId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// What an enrolment is for; its order is the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Aim {
    /// The first account.
    Account,
    /// A fresh proof for the account that there is.
    Proof,
    /// An account in the current epoch, in place of the one that there is.
    Move,
}

/// What is kept of an enrolment; its order is the encoding.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) session: [u8; 16],
    pub(super) number: Zeroizing<String>,
    pub(super) epoch: char,
    pub(super) begun: i64,
    pub(super) asked: bool,
    pub(super) start: Vec<u8>,
    pub(super) confirm: Option<KeptConfirm>,
    pub(super) aim: Aim,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptConfirm {
    pub(super) request: Vec<u8>,
    pub(super) answer_key: Zeroizing<[u8; 32]>,
    pub(super) blind: Zeroizing<[u8; 32]>,
}

/// An enrolment under way.
pub(super) struct Enrolment {
    pub(super) kept: Kept,
    pub(super) life: Enrolling,
    /// What the directory was asked last.
    pub(super) asked: Option<(RequestId, EnrolStep)>,
    /// Who waits for its code's outcome.
    pub(super) waits: Option<Reply<()>>,
}

impl Enrolment {
    pub(super) fn doing(&self) -> Doing {
        self.life.doing()
    }

    pub(super) fn deadline(&self) -> crate::model::Instant {
        self.life.deadline()
    }

    pub(super) fn aim(&self) -> Aim {
        self.kept.aim
    }

    /// Whether the account may be replaced any moment: that the directory does not know the old one then means nothing.
    pub(super) fn replaces(&self) -> bool {
        self.kept.aim == Aim::Move && self.kept.confirm.is_some()
    }

    /// For the export.
    pub(super) fn told(&self) -> Value {
        let Kept { session: _, number, epoch, begun, asked, start: _, confirm, aim } = &self.kept;
        json!({
            "number": number.as_str(),
            "epoch": epoch,
            "begun": begun,
            "code-sent": asked,
            "code-given-back": confirm.is_some(),
            "for": match aim {
                Aim::Account => "account",
                Aim::Proof => "proof",
                Aim::Move => "new-epoch",
            },
            "request": "held, not exported",
        })
    }

    pub(super) fn keep(&self, turn: &mut Turn<'_, '_>) {
        match encode_wiped(&self.kept) {
            Ok(bytes) => turn.write(move |tx| tx.put_blob(Blob::Enrolment, &bytes)),
            Err(error) => log::error!("the enrolment can't be stored: {error}"),
        }
    }
}
