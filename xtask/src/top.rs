//! Where the bytes of the module are: by room and crate, then the largest functions. Sizes are of code before compression; gzip makes
//! somewhat less than half of them, more of what repeats.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Lines of each list.
const GROUPS: usize = 40;
const FUNCTIONS: usize = 40;

/// Both lists.
pub(crate) fn table(functions: &[(String, usize)]) -> String {
    let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (name, size) in functions {
        let (bytes, count) = groups.entry(group(name)).or_default();
        *bytes += size;
        *count += 1;
    }
    let all: usize = functions.iter().map(|(_, size)| size).sum();
    let mut out = format!("{:>8} {:>9}  code by room and crate\n", "bytes", "functions");
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (bytes, _))| Reverse(*bytes));
    for (name, (bytes, count)) in groups.iter().take(GROUPS) {
        let _ = writeln!(out, "{bytes:>8} {count:>9}  {name}");
    }
    let _ =
        writeln!(out, "{all:>8} {:>9}  all\n\n{:>8}  largest functions", functions.len(), "bytes");
    let mut largest: Vec<_> = functions.iter().collect();
    largest.sort_by_key(|(_, size)| Reverse(*size));
    for (name, size) in largest.iter().take(FUNCTIONS) {
        let _ = writeln!(out, "{size:>8}  {}", without_hash(name));
    }
    out
}

/// The room of ours or the crate that a function was written in; what the compiler makes for each type has groups of its own.
fn group(name: &str) -> String {
    if name.starts_with("core::ptr::drop_") {
        return "(what is dropped)".to_owned();
    }
    let owner = match name.strip_prefix('<').and_then(|rest| rest.split_once(" as ")) {
        Some((_, of)) if of.starts_with("core::clone::Clone") => {
            return "(what is cloned)".to_owned();
        }
        Some((_, of)) if of.starts_with("core::cmp") => return "(what is compared)".to_owned(),
        Some((owner, _)) => owner,
        None => name,
    };
    let owner = owner.trim_start_matches(['<', '&', '*']);
    let parts: Vec<&str> = owner
        .split("::")
        .map(|part| part.split(['<', '[', ' ', '>']).next().unwrap_or(part))
        .collect();
    match parts.as_slice() {
        ["holdfast", room @ .., _] if !room.is_empty() => {
            let room: Vec<&str> =
                room.iter().copied().take(2).take_while(|part| !part.is_empty()).collect();
            format!("holdfast::{}", room.join("::"))
        }
        [krate, ..] => (*krate).to_owned(),
        [] => owner.to_owned(),
    }
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name,
        Some(_) | None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_grouped_by_who_wrote_them() {
        for (name, expected) in [
            ("holdfast::plan::draft::Draft::new::h0123456789abcdef", "holdfast::plan::draft"),
            ("holdfast::engine::Engine<H>::commit::{{closure}}", "holdfast::engine::Engine"),
            (
                "<holdfast::js::host::DoorStore as holdfast::port::store::RawStore>::run",
                "holdfast::js::host",
            ),
            ("<holdfast::model::json::Json as core::clone::Clone>::clone", "(what is cloned)"),
            ("core::ptr::drop_in_place<alloc::string::String>", "(what is dropped)"),
            ("dlmalloc[e24a]::malloc", "dlmalloc"),
            ("door_open", "door_open"),
        ] {
            assert_eq!(group(name), expected, "{name}");
        }
    }

    #[test]
    fn the_largest_come_first() {
        let functions = [("a::b".to_owned(), 1), ("c::d::h0123456789abcdef".to_owned(), 5)];
        let table = table(&functions);
        let lines: Vec<&str> = table.lines().map(str::trim).collect();
        assert_eq!(lines[1], "5         1  c");
        assert_eq!(lines[3], "6         2  all");
        assert_eq!(lines[6], "5  c::d");
    }
}
