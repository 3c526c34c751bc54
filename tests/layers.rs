//! The layers of the design: dependencies point one way only; `unsafe` is in one place; the words
//! are `std` only; the decisions do no I/O. Read from the source as written, each check shown to
//! find what it looks for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each may use those before it.
const LAYERS: [&str; 12] =
    ["model", "router", "seal", "wall", "store", "modem", "network", "bus", "config", "door", "uplink", "sys"];
/// On top, beside each other: they use any layer, none of each other. `bin` uses all.
const TOP: [&str; 5] = ["core", "warden", "ctl", "directory", "log"];
/// What a layer must not use although it stands before it: the uplink process has no business with it.
const NEVER: [(&str, &[&str]); 1] = [("uplink", &["router", "store", "modem", "bus", "config", "door"])];
/// What decides has no clock, no chance, no disk, no net.
const NOT_IN_ROUTER: [&str; 7] = ["tokio", "zbus", "rusqlite", "log", "rand_core", "rustix", "libc"];

#[test]
fn dependencies_point_up_the_list_only() {
    let found = everywhere(upward);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn unsafe_stays_in_one_place() {
    let found = everywhere(|layer, _, code| if layer == "sys" { vec![] } else { unsafety(code) });
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_words_are_std_only_and_the_decisions_do_no_io() {
    let every = dependencies();
    assert!(every.contains("serde") && every.contains("tokio_xmpp"), "{every:?}");
    let found = everywhere(|layer, _, code| match layer {
        "model" => crates(code, &every),
        "router" => crates(code, &NOT_IN_ROUTER.map(str::to_owned).into()),
        _ => vec![],
    });
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_check_finds_each_way_to_break_a_layer() {
    let bad = |layer, depth, text: &str| !upward(layer, depth, &code(text)).is_empty();
    assert!(bad("model", 2, "use crate::seal::Sealed;"));
    assert!(bad("model", 2, "fn f(x: crate :: seal::Sealed) {}"));
    assert!(bad("wall", 2, "use crate::{model::Text, store};"));
    assert!(bad("wall", 2, "use crate::{model::{Text, Line}, /* , */ store::{self}};"));
    assert!(bad("seal", 1, "use super::sys::now;"));
    assert!(bad("seal", 2, "use super::super::sys::now;"));
    assert!(bad("core", 1, "use crate::warden::run;"));
    assert!(bad("uplink", 2, "use crate::router::Route;"));
    assert!(bad("model", 2, "use crate::new_module::X;"), "a module without a place");
    assert!(bad("unheard_of", 2, "fn f() {}"), "a module without a place");

    assert!(!bad("wall", 2, "use crate::{model::{Text, store}, seal::Sealed};"));
    assert!(!bad("wall", 2, "// use crate::store;\nconst A: &str = \"crate::store\"; /* crate::store */"));
    assert!(!bad("bin", 2, "use shunt::warden::run; use shunt::core;"));
    assert!(bad("ctl", 2, "use shunt::warden::run;"));
    assert!(!bad("sys", 3, "use super::super::users;"));
}

#[test]
fn the_other_checks_find_what_they_look_for() {
    assert!(!unsafety(&code("fn f() { unsafe { g() } }")).is_empty());
    assert!(!unsafety(&code("#[allow(unsafe_code)] fn f() {}")).is_empty());
    assert!(unsafety(&code("// unsafe\nconst A: char = '\"'; const B: &str = r#\"unsafe\"#;")).is_empty());
    let some = BTreeSet::from(["serde".to_owned()]);
    assert!(!crates(&code("use serde::Serialize;"), &some).is_empty());
    assert!(!crates(&code("#[derive(::serde::Serialize)]"), &some).is_empty());
    assert!(crates(&code("use std::fmt; use crate::serde::X;"), &some).is_empty());
}

/// Runs a check on all of `src`; findings with their file.
fn everywhere(check: impl Fn(&str, usize, &[String]) -> Vec<String>) -> Vec<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(files.len() > 20);
    let mut found = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap().with_extension("");
        let mut path: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
        if path.last() == Some(&"mod") {
            path.pop();
        }
        if path == ["lib"] {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let findings = check(path[0], path.len(), &code(&text));
        found.extend(findings.into_iter().map(|finding| format!("{}: {finding}", inside.display())));
    }
    found
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// References that the layers forbid.
fn upward(layer: &str, depth: usize, code: &[String]) -> Vec<String> {
    if layer != "bin" && !LAYERS.contains(&layer) && !TOP.contains(&layer) {
        return vec![format!("{layer} has no place among the layers: give it one in tests/layers.rs and the design")];
    }
    let mut used = BTreeSet::new();
    for at in 0..code.len() {
        let rest = match code[at].as_str() {
            "crate" | "shunt" if follows(code, at, "::") && !preceded(code, at) => &code[at + 2..],
            "super" if !preceded(code, at) => {
                let chain = supers(&code[at..]);
                // In a module inside a file one `super` more reaches the same place.
                match chain >= depth && follows(code, at + 2 * (chain - 1), "::") {
                    true => &code[at + 2 * chain..],
                    false => continue,
                }
            }
            _ => continue,
        };
        let known = |name: &String| LAYERS.contains(&name.as_str()) || TOP.contains(&name.as_str());
        let names = first_names(rest);
        let absolute = code[at] != "super";
        used.extend(names.into_iter().filter(|name| absolute || known(name)));
    }
    used.iter().filter_map(|name| forbidden(layer, name)).collect()
}

fn forbidden(layer: &str, used: &str) -> Option<String> {
    let place = |name: &str| LAYERS.iter().position(|known| *known == name);
    if layer == used || layer == "bin" || ["self", "*"].contains(&used) {
        return None;
    }
    if NEVER.iter().any(|(of, never)| *of == layer && never.contains(&used)) {
        return Some(format!("{layer} must never use {used}"));
    }
    match (place(layer), place(used)) {
        (_, None) if !TOP.contains(&used) => Some(format!("uses {used}, which has no place among the layers")),
        (_, None) => Some(format!("{layer} uses {used}, which is on top")),
        (Some(own), Some(other)) if other > own => Some(format!("{layer} uses {used}, which stands after it")),
        _ => None,
    }
}

fn follows(code: &[String], at: usize, what: &str) -> bool {
    code.get(at + 1).is_some_and(|next| next == what)
}

/// Whether it is inside a longer path.
fn preceded(code: &[String], at: usize) -> bool {
    at > 0 && code[at - 1] == "::" && at > 1 && is_word(&code[at - 2])
}

fn supers(code: &[String]) -> usize {
    code.chunks(2).take_while(|pair| pair[0] == "super" && pair.get(1).is_some_and(|next| next == "::")).count().max(1)
}

/// `a::b` → a; `{a::b, c::{d}}` → a, c.
fn first_names(rest: &[String]) -> Vec<String> {
    if rest.first().is_none_or(|first| first != "{") {
        return rest.first().cloned().into_iter().collect();
    }
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, false);
    for token in rest {
        match token.as_str() {
            "{" => {
                depth += 1;
                fresh = depth == 1;
            }
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," if depth == 1 => fresh = true,
            _ if fresh => {
                names.push(token.clone());
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn unsafety(code: &[String]) -> Vec<String> {
    code.iter()
        .filter(|token| ["unsafe", "unsafe_code"].contains(&token.as_str()))
        .map(|t| format!("has {t}"))
        .collect()
}

/// Paths that begin with one of the crates.
fn crates(code: &[String], which: &BTreeSet<String>) -> Vec<String> {
    let begins = |at: &usize| follows(code, *at, "::") && !preceded(code, *at);
    (0..code.len())
        .filter(begins)
        .filter(|at| which.contains(&code[*at]))
        .map(|at| format!("uses {}", code[at]))
        .collect()
}

/// The names under `[dependencies]`, as paths spell them.
fn dependencies() -> BTreeSet<String> {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let after = manifest.split_once("\n[dependencies]\n").unwrap().1;
    let section = after.split_once("\n[").unwrap().0;
    let names =
        section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim().replace('-', "_"));
    names.filter(|name| !name.starts_with('#')).collect()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Words and punctuation (`::` is one), without comments, strings and characters.
fn code(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut tokens, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
            if ["r", "br"].contains(&word.as_str()) && at(i + hashes) == '"' {
                let end: String = format!("\"{}", "#".repeat(hashes));
                let rest: String = chars[i + hashes + 1..].iter().collect();
                let length = rest.split(&end).next().unwrap_or_default().chars().count();
                i += hashes + 1 + length + end.len();
            } else {
                tokens.push(word);
            }
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push("::".into());
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.into());
            }
            i += 1;
        }
    }
    tokens
}
