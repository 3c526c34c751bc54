//! Instant messages that came, as the core tells them. It lists them page by page, and has them for ever: here is
//! what is needed to show them, and of the newest what they say.

use super::{
    Action, Asking, Desk, Phase, Purpose,
    held::Held,
    names::*,
    object,
    objects::{Content, Dict, im_number, im_path, stamp},
};
use crate::door::wire::Message;
use std::collections::{BTreeMap, HashMap};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

/// Instant messages that are shown: the newest.
const MOST: usize = 10_000;
/// Bytes of what they say that are kept here; the rest is asked for when an app reads it.
const ROOM: usize = 256 * 1024;
pub(super) const NOT_FOUND: &str = "org.shunt.Error.NotFound";

/// An instant message that came in.
pub(super) struct Im {
    /// The core's object.
    pub(super) message: String,
    /// Shown by the modem that has it.
    pub(super) line: Box<str>,
    /// While there is room for it.
    pub(super) content: Option<Content>,
    /// It was told by oFono, which tells once, and the core is to delete it.
    pub(super) told: bool,
}

/// Instant messages by the core's number.
#[derive(Default)]
pub(super) struct Inbox {
    ims: BTreeMap<u32, Im>,
    /// The size of what those say whose content is here.
    size: usize,
    /// None of those before has its content here.
    whole_from: u32,
    /// The highest number that was seen.
    last: u32,
    asking: Asking,
}

impl Inbox {
    pub(super) fn get(&self, path: &str) -> Option<&Im> {
        self.ims.get(&im_number(path)?)
    }

    /// All of a line, or of every one.
    pub(super) fn paths(&self, line: Option<&str>) -> impl Iterator<Item = String> {
        let of = move |im: &Im| line.is_none_or(|line| *im.line == *line);
        self.ims.iter().filter(move |(_, im)| of(im)).filter_map(|(number, _)| im_path(*number))
    }

    /// The line of each.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.ims.values().map(|im| &*im.line)
    }

    /// Whether it is a new one.
    pub(super) fn put(&mut self, number: u32, mut im: Im) -> bool {
        let old = self.remove(number);
        im.told = old.as_ref().is_some_and(|old| old.told);
        if im.told {
            im.content = None;
        }
        self.size += im.size();
        self.ims.insert(number, im);
        self.last = self.last.max(number);
        self.whole_from = self.whole_from.min(number);
        while self.size > ROOM {
            let Some((number, oldest)) = self.ims.range_mut(self.whole_from..).next() else { break };
            self.size -= oldest.size();
            oldest.content = None;
            self.whole_from = number.saturating_add(1);
        }
        while self.ims.len() > MOST {
            let oldest = self.ims.pop_first();
            self.size -= oldest.map_or(0, |(_, oldest)| oldest.size());
        }
        old.is_none()
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Im> {
        let im = self.ims.remove(&number)?;
        self.size -= im.size();
        Some(im)
    }

    /// One after the other, for oFono: those that it has not told.
    pub(super) fn tell_each(&mut self, mut tell: impl FnMut(&Im, &Content) -> bool) {
        for im in self.ims.values_mut() {
            if let Some(content) = im.content.as_ref().filter(|_| !im.told)
                && tell(im, content)
            {
                self.size -= im.size();
                (im.told, im.content) = (true, None);
            }
        }
    }

    /// Whether there are some whose content has no room here.
    pub(super) fn waits_for_room(&self) -> bool {
        self.ims.values().any(|im| im.content.is_none() && !im.told)
    }
}

impl Im {
    fn size(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.from.len() + content.text.len() + content.stamp.len())
    }
}

impl Desk {
    /// The core's `Received`: an SMS the app has from its modem service.
    pub(super) fn received(&mut self, message: &Message<'_>) {
        let details = message.body::<(OwnedObjectPath, Dict)>().map(|(_, details)| details);
        if details.is_none_or(|details| text(&details, "bearer") != "sms") {
            self.ask_inbox(self.inbox.last);
        }
    }

    /// The core's `Changed`: one that any app deleted goes, once, and with a text its report.
    pub(super) fn changed(&mut self, message: &Message<'_>) {
        let Some((object, details)) = message.body::<(OwnedObjectPath, Dict)>() else { return };
        if details.get("deleted").is_some_and(|deleted| bool::try_from(deleted) == Ok(true)) {
            let known = self.inbox.ims.iter().find(|(_, im)| im.message == object.as_str());
            if let Some(number) = known.map(|(number, _)| *number) {
                return self.drop_im(number);
            }
            let report = self.reports.iter().find(|(_, report)| report.message == object.as_str());
            if let Some(path) = report.map(|(path, _)| path.clone()) {
                self.drop_report(&path);
            }
        }
    }

    /// It is no more: whoever was shown it is told.
    pub(super) fn drop_im(&mut self, number: u32) {
        if let (Some(im), Some(path)) = (self.inbox.remove(number), im_path(number))
            && let Some(modem) = self.told_at(&im.line)
        {
            self.tell(&modem, vec![], vec![path]);
        }
    }

    /// Asks for those after a number. While an answer is under way, for what is new once it is here.
    pub(super) fn ask_inbox(&mut self, after: u32) {
        if self.inbox.asking.begin() {
            let options = HashMap::from([("after", Variant::from(after))]);
            self.call_core(Purpose::Inbox { after }, "Inbox", &(options,));
        }
    }

    /// The core may be another one than before.
    pub(super) fn ask_inbox_anew(&mut self) {
        self.inbox.asking = Asking::default();
        self.ask_inbox(0);
    }

    /// Takes a page of the core's list, and tells the app what is new on it and what is gone from it.
    pub(super) fn found_inbox(&mut self, after: u32, message: &Message<'_>) {
        type Row = (OwnedObjectPath, u32, String, String, i64, String);
        let again = self.inbox.asking.end();
        // An error: no rights, or no store. What is known stays.
        let Some((rows, more)) = message.body::<(Vec<Row>, bool)>() else { return };
        let mut came: BTreeMap<Box<str>, Vec<String>> = BTreeMap::new();
        let mut listed = Vec::new();
        for (object, number, from, text, at, line) in rows {
            let Some(path) = im_path(number) else { continue };
            let (line, content) = (line.into_boxed_str(), Some(Content { from, text, stamp: stamp(at) }));
            listed.push(number);
            let moved = self.inbox.ims.get(&number).map(|im| im.line.clone()).filter(|was| *was != line);
            if let Some(modem) = moved.as_ref().and_then(|was| self.told_at(was)) {
                self.tell(&modem, vec![], vec![path.clone()]);
            }
            let im = Im { message: object.to_string(), line: line.clone(), content, told: false };
            if self.inbox.put(number, im) || moved.is_some() {
                came.entry(line).or_default().push(path);
            }
        }
        // Only rising numbers go on.
        let next = listed.last().copied().filter(|last| more && *last > after);
        let through = next.unwrap_or(u32::MAX);
        let known = self.inbox.ims.range(after.saturating_add(1)..=through).map(|(number, _)| *number);
        let gone: Vec<u32> = known.filter(|number| !listed.contains(number)).collect();
        gone.into_iter().for_each(|number| self.drop_im(number));
        if self.phase == Phase::Ready {
            for (line, came) in came {
                if let Some(modem) = self.told_at(&line) {
                    self.tell(&modem, came, vec![]);
                }
            }
            self.show_lines();
        } else {
            self.ofono_due = Some(self.in_patience());
        }
        match next {
            Some(next) => {
                self.ask_inbox(next);
                if again {
                    self.inbox.asking.begin();
                }
            }
            None if again => self.ask_inbox(self.inbox.last),
            None => {}
        }
    }

    /// The app reads one whose content has no room here.
    pub(super) fn fetch(&mut self, message: &Message<'_>, im: &str) -> Option<()> {
        self.put(message, Held::new(message, self.in_patience()));
        let get = (CORE, CORE_PATH, CORE_MESSAGING, "Get");
        self.call(
            Purpose::Content { call: message.head.serial, path: message.head.path.to_owned() },
            get,
            &(object(im),),
        );
        Some(())
    }

    pub(super) fn found_content(&mut self, call: u32, path: &str, message: &Message<'_>) {
        if let (NOT_FOUND, Some(number)) = (message.head.error, im_number(path)) {
            self.drop_im(number);
        }
        let content = message.body::<(Dict,)>().map(|(all,)| {
            let at = all.get("time").and_then(|at| u64::try_from(at).ok());
            let stamp = stamp(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(0));
            Content { from: text(&all, "from"), text: text(&all, "text"), stamp }
        });
        let Some(content) = content else { return self.release(call) };
        let Some(held) = self.held.remove(&call) else { return };
        let shown = Message::read(&held.bytes).and_then(|asked| self.show_ours(&asked, content.properties()));
        if shown.is_none() {
            self.out.push(Action::ToBus(held.bytes));
        }
    }
}

pub(super) fn text(all: &Dict, name: &str) -> String {
    all.get(name).and_then(|value| <&str>::try_from(&**value).ok()).unwrap_or_default().to_owned()
}

pub(super) fn number(all: &Dict, name: &str) -> Option<u32> {
    let value: &OwnedVariant = all.get(name)?;
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn im(size: usize) -> Im {
        let content = Content { from: String::new(), text: "x".repeat(size), stamp: String::new() };
        Im { message: "/a".into(), line: "line".into(), content: Some(content), told: false }
    }

    fn whole(inbox: &Inbox) -> Vec<u32> {
        inbox.ims.iter().filter(|(_, im)| im.content.is_some()).map(|(number, _)| *number).collect()
    }

    #[test]
    fn what_the_newest_say_is_kept_and_the_rest_only_listed() {
        let mut inbox = Inbox::default();
        for number in [1, 3, 5, 7, 9] {
            assert!(inbox.put(number, im(ROOM / 4)));
        }
        assert_eq!((whole(&inbox), inbox.size), (vec![3, 5, 7, 9], ROOM));
        assert!(!inbox.put(1, im(ROOM / 4)), "listed again");
        assert_eq!(whole(&inbox), [3, 5, 7, 9]);
        assert!(inbox.remove(5).is_some());
        assert!(!inbox.put(1, im(ROOM / 4)));
        assert_eq!((whole(&inbox), inbox.size), (vec![1, 3, 7, 9], ROOM), "there is room again");
        assert!(inbox.put(2, im(ROOM + 1)));
        assert_eq!(inbox.size, 3 * (ROOM / 4));
        assert_eq!(whole(&inbox), [3, 7, 9]);
    }

    #[test]
    fn ten_thousand_are_listed_and_no_more() {
        let mut inbox = Inbox::default();
        assert!((0..20_000).all(|number| inbox.put(number, im(100))));
        assert_eq!((inbox.paths(None).count(), inbox.paths(Some("line")).count()), (MOST, MOST));
        assert!(inbox.size <= ROOM && inbox.get(&im_path(9_999).unwrap()).is_none());
        (0..20_000).for_each(|number| drop(inbox.remove(number)));
        assert_eq!(inbox.size, 0);
    }
}
