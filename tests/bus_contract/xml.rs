//! The documented XML and the live introspection say the same.

use crate::support::{Served, phone};

/// Tags in order, without comments, whitespace and what introspection does not decide.
fn tags(xml: &str) -> Vec<String> {
    let mut rest = xml;
    let mut tags = Vec::new();
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").expect("an end of the comment").1;
            continue;
        }
        let (tag, after) = after.split_once('>').expect("an end of the tag");
        rest = after;
        if !tag.starts_with(['?', '!']) {
            tags.push(normal(tag));
        }
    }
    tags
}

fn normal(tag: &str) -> String {
    let tag = tag.trim().trim_end_matches('/').trim();
    let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let mut attributes: Vec<String> =
        attributes.split('"').collect::<Vec<_>>().chunks(2).map(|pair| pair.concat().trim().to_owned()).collect();
    attributes.retain(|attribute| !attribute.is_empty());
    attributes.sort();
    // An empty element may be written in two ways; its end tag alone says nothing.
    format!("{name} {}", attributes.join(" "))
}

/// One line for each member and each of its arguments, sorted by interface and member.
fn members(xml: &str) -> Vec<String> {
    let (mut interface, mut member, mut found, mut place) = (String::new(), String::new(), Vec::new(), 0);
    for tag in tags(xml) {
        let element = tag.split(' ').next().unwrap().to_owned();
        match element.as_str() {
            "interface" => interface = tag,
            "method" | "signal" | "property" => {
                place = 0;
                member = tag;
                found.push(format!("{interface} | {member}"));
            }
            "arg" | "annotation" => {
                place += 1;
                found.push(format!("{interface} | {member} | {place} {tag}"));
            }
            _ => {}
        }
    }
    found.retain(|line| line.contains("org.shunt."));
    found.sort();
    found
}

#[tokio::test]
async fn live_introspection_is_the_documented_contract() {
    let phone = phone().without_polkit().start().await.unwrap();
    let served = Served::as_root(&phone).await;
    let live = served.introspect().await;
    let documented = include_str!("../../config/org.shunt.Shunt1.xml");
    let (live, documented) = (members(&live), members(documented));
    assert!(documented.len() > 70, "the reader of the XML finds its members: {}", documented.len());
    assert_eq!(live, documented);
}

#[test]
fn every_member_is_documented_right_above_it() {
    let documented = include_str!("../../config/org.shunt.Shunt1.xml");
    let mut last_comment_names = String::new();
    for chunk in documented.split("<!--").skip(1) {
        let (comment, code) = chunk.split_once("-->").unwrap();
        last_comment_names.clear();
        last_comment_names.push_str(comment.trim().split(':').next().unwrap());
        for (at, tag) in
            tags(code).iter().filter(|t| ["method", "signal", "property"].contains(&element(t))).enumerate()
        {
            let name = tag.split(' ').find_map(|a| a.strip_prefix("name=")).unwrap();
            assert_eq!((at, name), (0, last_comment_names.as_str()), "each member has its own comment, named first");
        }
    }
}

fn element(tag: &str) -> &str {
    tag.split(' ').next().unwrap()
}
