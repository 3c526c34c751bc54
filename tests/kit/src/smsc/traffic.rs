//! What went through the SMSC, as a test counts it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::pdu::Submit;

/// Everything since the SMSC's start.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Submits that modems tried, taken or not.
    pub attempts: usize,
    /// Parts that were taken.
    pub parts: Vec<SubmittedPart>,
    /// Texts of which all parts were taken.
    pub texts: Vec<SubmittedText>,
    /// Parts that reached a phone's storage.
    pub delivered: Vec<Delivered>,
    /// Status reports: to whom, about which recipient, TP-ST.
    pub reports: Vec<(String, String, u8)>,
    unfinished: BTreeMap<(String, String, u16, u8), BTreeMap<u8, String>>,
}

/// One SMS-SUBMIT that was taken.
#[derive(Debug, Clone)]
pub struct SubmittedPart {
    /// The sender's number.
    pub from: String,
    /// The recipient, in international form where there is one.
    pub to: String,
    /// The TP-MR that the modem answered.
    pub reference: u8,
    /// Whether it asked for a status report.
    pub report: bool,
    /// TP-VP.
    pub validity: Option<Duration>,
    /// When it was taken, which is its time stamp.
    pub at: SystemTime,
}

/// One text that was taken whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedText {
    /// The sender's number.
    pub from: String,
    /// The recipient, in international form where there is one.
    pub to: String,
    /// The text to its last space; none for data.
    pub text: Option<String>,
    /// How many parts it took.
    pub parts: usize,
    /// Whether its last part asked for a status report.
    pub report: bool,
    /// TP-VP of its last part.
    pub validity: Option<Duration>,
}

/// One part that reached a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The recipient.
    pub to: String,
    /// The sender as shown.
    pub from: String,
    /// This part's text; none for data.
    pub text: Option<String>,
}

impl Traffic {
    pub(super) fn took(&mut self, from: &str, to: &str, reference: u8, submit: &Submit, at: SystemTime) {
        let Submit { report, validity, .. } = *submit;
        let (from, to) = (from.to_owned(), to.to_owned());
        self.parts.push(SubmittedPart { from: from.clone(), to: to.clone(), reference, report, validity, at });
        let text = submit.data.text();
        let (Some(concat), Some(piece)) = (submit.data.concat(), &text) else {
            self.texts.push(SubmittedText { from, to, text, parts: 1, report, validity });
            return;
        };
        let key = (from, to, concat.reference, concat.total);
        let pieces = self.unfinished.entry(key.clone()).or_default();
        pieces.insert(concat.part, piece.clone());
        if pieces.len() < usize::from(concat.total) {
            return;
        }
        let pieces = self.unfinished.remove(&key).unwrap_or_default();
        let (from, to, ..) = key;
        let (parts, text) = (pieces.len(), pieces.into_values().collect());
        self.texts.push(SubmittedText { from, to, text: Some(text), parts, report, validity });
    }

    /// Texts from one number to another, in order.
    pub fn between(&self, from: &str, to: &str) -> Vec<&str> {
        self.texts.iter().filter(|t| t.from == from && t.to == to).filter_map(|t| t.text.as_deref()).collect()
    }
}
