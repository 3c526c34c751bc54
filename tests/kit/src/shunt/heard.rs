//! What a client hears: signals, and the dictionaries in them.

use std::collections::HashMap;

use zbus::{Message, OwnedObjectPath, OwnedVariant};

use super::{MESSAGING, PATH};
use crate::private::note;

/// An `a{sv}` with what tests ask of it.
#[derive(Debug, Default)]
pub struct Dict(pub HashMap<String, OwnedVariant>);

impl Clone for Dict {
    fn clone(&self) -> Self {
        Self(self.0.iter().filter_map(|(k, v)| Some((k.clone(), v.try_clone().ok()?))).collect())
    }
}

impl Dict {
    /// A string entry; empty where there is none.
    pub fn text(&self, key: &str) -> String {
        let value = self.0.get(key).and_then(|v| v.try_clone().ok());
        value.and_then(|v| String::try_from(v).ok()).unwrap_or_default()
    }

    /// An entry of any other type, or none.
    pub fn get<T: TryFrom<OwnedVariant>>(&self, key: &str) -> Option<T> {
        self.0.get(key)?.try_clone().ok()?.try_into().ok()
    }
}

/// One signal of the daemons, whatever it is.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Interface and member, such as `org.shunt.Shunt1.Messaging.Received`.
    pub name: String,
    /// The object of `Received` and `Changed`.
    pub path: Option<OwnedObjectPath>,
    /// Their dictionary; that of `PropertiesChanged` too.
    pub dict: Dict,
    /// The strings of `RouteChanged`, `DecisionNeeded`, `IdentityChanged`.
    pub words: Vec<String>,
}

/// A text that was shown: one `Messaging.Received`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its object.
    pub path: OwnedObjectPath,
    /// The sender.
    pub from: String,
    /// The text.
    pub text: String,
    /// `im` or `sms`.
    pub bearer: String,
}

impl Received {
    pub(super) fn of(heard: &Heard) -> Option<Self> {
        let path = heard.path.clone().filter(|_| heard.name == format!("{MESSAGING}.Received"))?;
        Some(Self::from_record(path, &heard.dict))
    }

    pub(super) fn from_record(path: OwnedObjectPath, record: &Dict) -> Self {
        Self { path, from: record.text("from"), text: record.text("text"), bearer: record.text("bearer") }
    }

    pub(super) fn note(&self) {
        note(&self.from);
        note(&self.text);
    }

    /// The text's id: the last part of its path.
    pub fn id(&self) -> &str {
        self.path.as_str().rsplit('/').next().unwrap_or_default()
    }
}

/// A signal of the daemons, read without knowing their types.
pub(super) fn heard(message: &Message) -> Option<Heard> {
    let header = message.header();
    if header.message_type() != zbus::message::Type::Signal || !header.path()?.starts_with(PATH) {
        return None;
    }
    let name = format!("{}.{}", header.interface()?, header.member()?);
    let body = message.body();
    let mut heard = Heard { name, path: None, dict: Dict::default(), words: Vec::new() };
    if let Ok((path, dict)) = body.deserialize::<(OwnedObjectPath, HashMap<String, OwnedVariant>)>() {
        (heard.path, heard.dict) = (Some(path), Dict(dict));
    } else if let Ok((interface, dict, _)) = body.deserialize::<(String, HashMap<String, OwnedVariant>, Vec<String>)>()
    {
        (heard.words, heard.dict) = (vec![interface], Dict(dict));
    } else if let Ok((path, word)) = body.deserialize::<(OwnedObjectPath, String)>() {
        (heard.path, heard.words) = (Some(path), vec![word]);
    } else if let Ok((to, bearer, reason)) = body.deserialize::<(String, String, String)>() {
        heard.words = vec![to, bearer, reason];
    } else if let Ok(word) = body.deserialize::<String>() {
        heard.words = vec![word];
    }
    Some(heard)
}
