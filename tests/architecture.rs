//! Who may know whom: the dependency table of `docs/architecture.md`, checked against the text of `src`.
#![cfg(not(target_arch = "wasm32"))]

use std::path::Path;

/// A room of the house, the rooms it may import, and what it must not even name.
struct Room {
    name: &'static str,
    imports: &'static [&'static str],
    never: &'static [&'static str],
}

/// What only a browser has.
const WEB: &[&str] = &["JsValue", "web_sys", "js_sys", "wasm_bindgen::", "rexie", "gloo_net"];

/// A decision that waits, looks at a clock or draws its own lots cannot be repeated; the order of a hash decides nothing.
const PURE: &[&str] = &[
    "async ",
    ".await",
    "HashMap",
    "HashSet",
    "Instant::now",
    "SystemTime::now",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "thread_rng",
];

const ROOMS: &[Room] = &[
    Room { name: "model", imports: &[], never: &[] },
    Room { name: "layout", imports: &["model"], never: &[] },
    Room { name: "query", imports: &["model"], never: &["serde_json"] },
    Room { name: "plan", imports: &["model", "planted"], never: &["serde_json"] },
    Room { name: "schedule", imports: &["model", "planted"], never: &["serde_json"] },
    Room { name: "planted", imports: &[], never: &[] },
    Room { name: "port", imports: &["model"], never: &["HashMap", "HashSet"] },
    Room {
        name: "engine",
        imports: &["model", "plan", "planted", "port", "query", "schedule"],
        never: &["serde_json::from", "HashMap", "HashSet", "Instant::now", "SystemTime::now"],
    },
    Room {
        name: "protocol",
        imports: &["model", "port"],
        // Of the ports it knows HTTP, and the one that it is.
        never: &["RawStore", "port::Store", "port::Host", "Leadership", "HashMap", "HashSet"],
    },
    Room { name: "memory", imports: &["layout", "model", "port"], never: &["HashMap", "HashSet"] },
    Room { name: "browser", imports: &["layout", "model", "port"], never: &[] },
    Room {
        name: "js",
        imports: &[
            "browser", "engine", "layout", "memory", "model", "plan", "port", "protocol", "query",
            "schedule",
        ],
        never: &["rexie"],
    },
];

/// Rooms whose decisions must be the same on every run.
const PURE_ROOMS: &[&str] = &["model", "layout", "plan", "query", "schedule", "planted"];

/// Rooms that only a browser has.
const WEB_ROOMS: &[&str] = &["browser", "js"];

/// What breaks the table in a file. `path` is below `src`, with slashes.
fn breaches(path: &str, text: &str) -> Vec<String> {
    let modules = modules_of(path);
    let Some(name) = modules.first() else { return Vec::new() };
    let Some(room) = ROOMS.iter().find(|room| room.name == *name) else {
        return vec![format!("{path}: `{name}` is no room of the table")];
    };
    let mut found = Vec::new();
    let mut inner: Vec<(usize, String)> = Vec::new();
    let mut testing = false;
    for (index, line) in text.lines().enumerate() {
        let (indent, code) = (line.len() - line.trim_start().len(), line.trim_start());
        if inner.last().is_some_and(|(at, _)| *at == indent && code.starts_with('}')) {
            inner.pop();
        }
        // Unit tests stand at the end of a file; they may use what they test with, but import no further rooms.
        testing |= code == "#[cfg(test)]";
        if code.starts_with("//") {
            continue;
        }
        if let Some(name) = opens_module(code) {
            inner.push((indent, name.to_owned()));
        }
        let here = || format!("{path}:{}", index + 1);
        for target in named_rooms(code, modules.len() + inner.len()) {
            if target != room.name && !room.imports.contains(&target.as_str()) {
                found.push(format!("{}: `{}` imports `{target}`", here(), room.name));
            }
        }
        if testing {
            continue;
        }
        let pure = PURE_ROOMS.contains(&room.name);
        let web = WEB_ROOMS.contains(&room.name);
        let lists = [room.never, if pure { PURE } else { &[] }, if web { &[] } else { WEB }];
        for never in lists.into_iter().flatten() {
            if code.contains(never) {
                found.push(format!("{}: `{}` names `{}`", here(), room.name, never.trim()));
            }
        }
        if code.contains("rexie") && !path.starts_with("browser/idb/") {
            found.push(format!("{}: only `browser/idb` knows rexie", here()));
        }
    }
    found
}

/// The modules that a file is: `plan/draft.rs` is `plan::draft`.
fn modules_of(path: &str) -> Vec<&str> {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').collect() }
}

fn opens_module(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ").unwrap_or(code);
    let name = rest.strip_prefix("mod ")?.strip_suffix('{')?;
    Some(name.trim())
}

/// The rooms that a line names: by `crate::room`, or by enough `super`s to leave the file's own.
fn named_rooms(code: &str, depth: usize) -> Vec<String> {
    let mut rooms = Vec::new();
    for start in ["crate::", "super::"] {
        let mut rest = code;
        while let Some(at) = rest.find(start) {
            let (before, after) = rest.split_at(at);
            let mut supers = usize::from(start == "super::");
            let mut tail = &after[start.len()..];
            while start == "super::" && tail.starts_with("super::") {
                supers += 1;
                tail = &tail["super::".len()..];
            }
            let macros = before.ends_with('$');
            let to_root = start == "crate::" || supers == depth;
            assert!(supers <= depth, "more supers than modules: {code}");
            // Macros are exported at the root, whatever room they come from.
            let calls_macro = first_names(tail).iter().all(|it| tail[it.len()..].starts_with('!'));
            if to_root && !macros && !calls_macro {
                rooms.extend(first_names(tail));
            }
            rest = tail;
        }
    }
    rooms
}

/// `plan::Notice` names `plan`; `{model::A, port}` names both.
fn first_names(tail: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
    };
    let Some(list) = tail.strip_prefix('{') else { return vec![name(tail)] };
    let (mut names, mut nested, mut item) = (Vec::new(), 0usize, String::new());
    for letter in list.chars() {
        match letter {
            '{' => nested += 1,
            '}' if nested == 0 => break,
            '}' => nested -= 1,
            ',' if nested == 0 => names.push(name(&std::mem::take(&mut item))),
            _ if nested == 0 => item.push(letter),
            _ => {}
        }
    }
    names.push(name(&item));
    names.retain(|name| !name.is_empty());
    names
}

fn files(dir: &Path, below: &str, found: &mut Vec<(String, String)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            files(&entry.path(), &path, found)?;
        } else if path.ends_with(".rs") {
            found.push((path, std::fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

fn source() -> std::io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found)?;
    found.sort();
    Ok(found)
}

#[test]
fn the_house_keeps_its_table() {
    let source = source().unwrap();
    assert!(source.len() > 40, "read {} files", source.len());
    let found: Vec<String> = source.iter().flat_map(|(path, text)| breaches(path, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_room_is_in_the_table_and_in_the_house() {
    let source = source().unwrap();
    for room in ROOMS {
        let is_there = source.iter().any(|(path, _)| modules_of(path).first() == Some(&room.name));
        assert!(is_there, "there is no `{}`", room.name);
    }
}

#[test]
fn what_only_a_browser_has_is_compiled_only_there() {
    let source = source().unwrap();
    let (_, lib) = source.iter().find(|(path, _)| path == "lib.rs").unwrap();
    let lines: Vec<&str> = lib.lines().collect();
    for room in WEB_ROOMS {
        let at = lines.iter().position(|line| line.ends_with(&format!("mod {room};")));
        let gate = lines[at.unwrap() - 1];
        assert!(gate.starts_with("#[cfg(") && gate.contains("wasm32"), "{room}: {gate}");
    }
}

/// The checks themselves: each line breaks a rule, and is found.
#[test]
fn what_breaks_a_rule_is_found() {
    for (path, line) in [
        ("model/json.rs", "use crate::plan::Notice;"),
        ("model/json.rs", "use super::super::plan::Notice;"),
        ("model/json.rs", "let map = HashMap::new();"),
        ("plan/push.rs", "use crate::port::Store;"),
        ("plan/push.rs", "use crate::{model::Seq, port};"),
        ("plan/push.rs", "use crate::{model::{Seq, Base}, engine::Engine};"),
        ("plan/push.rs", "pub async fn claim() {}"),
        ("plan/push.rs", "let op: Operation = serde_json::from_str(text);"),
        ("plan/push.rs", "fn shown(value: JsValue) {}"),
        ("plan/push.rs", "let now = std::time::Instant::now();"),
        ("schedule/mod.rs", "use super::engine::Engine;"),
        ("schedule/mod.rs", "use std::collections::HashSet;"),
        ("layout/rows.rs", "use crate::plan::Notice;"),
        ("layout/rows.rs", "use crate::memory::Disk;"),
        ("engine/push.rs", "use crate::protocol::standard;"),
        ("engine/push.rs", "let x = crate::browser::now();"),
        ("engine/push.rs", "let x = super::super::js::text();"),
        ("engine/push.rs", "use crate::layout::Row;"),
        ("engine/push.rs", "let x = serde_json::from_str::<Meta>(text);"),
        ("protocol/remote.rs", "use crate::engine::Engine;"),
        ("protocol/remote.rs", "use crate::port::{Fetch, RawStore};"),
        ("memory/mod.rs", "use crate::engine::Engine;"),
        ("memory/mod.rs", "use crate::browser::idb;"),
        ("browser/clock.rs", "use crate::memory::Disk;"),
        ("browser/clock.rs", "use crate::plan::push;"),
        ("browser/clock.rs", "use rexie::Rexie;"),
        ("engine/mod.rs", "use crate::js::manager;"),
        ("kitchen/mod.rs", "use crate::model::Seq;"),
        ("planted.rs", "use crate::model::Seq;"),
    ] {
        assert_eq!(breaches(path, line).len(), 1, "{path}: {line}");
    }
    let tests = "#[cfg(test)]\nmod tests {\n    use super::super::super::port::Store;\n}\n";
    assert_eq!(breaches("plan/push.rs", tests).len(), 1, "tests import no further rooms either");
}

/// And what keeps the rules is not.
#[test]
fn what_keeps_the_rules_is_not_found() {
    for (path, line) in [
        ("model/json.rs", "use super::entity::Base;"),
        ("plan/push.rs", "use super::draft::{Draft, Notice};"),
        ("plan/push.rs", "use crate::model::{self, Seq};"),
        ("plan/push.rs", "// crate::port::Store is what the engine has; async it is"),
        ("plan/push.rs", "#[cfg(test)]\nmod tests {\n    use super::super::draft::undo;\n}"),
        ("plan/push.rs", "use crate::planted::{self, Bug};"),
        ("memory/contract.rs", "$crate::store_contract! { @one }"),
        ("memory/mod.rs", "use crate::layout::{self, Gather};"),
        ("browser/idb/open.rs", "use rexie::Rexie;"),
        ("protocol/remote.rs", "use crate::port::{Clock, Fetch, Remote};"),
        ("lib.rs", "pub mod browser;"),
    ] {
        assert_eq!(breaches(path, line), Vec::<String>::new(), "{path}");
    }
}
