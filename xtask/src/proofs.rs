//! `cargo xtask sim --table`: which test proves which rule, promise or row of a table, and what nothing proves yet.
//!
//! What is to be proved stands in `docs/semantics.md`: the rules R1 to R29, the promises P1 to P37, and the rows of three
//! tables: answers (A), coalescing (C), overlaps (O). A test cites a row by its name, in its doc comment or in its own words
//! (the message of an assertion). A row without a test is work left, unless `tests/unproven.txt` says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::shell::{files_below, root};

/// The page that is printed from the tests.
const PAGE: &str = "docs/promises.md";
const SEMANTICS: &str = "docs/semantics.md";
const UNPROVEN: &str = "tests/unproven.txt";

/// What is to be proved, by kind and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    kind: Kind,
    number: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Promise,
    Rule,
    Answer,
    Cell,
    Overlap,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Promise, Self::Rule, Self::Answer, Self::Cell, Self::Overlap];

    fn letter(self) -> char {
        match self {
            Self::Promise => 'P',
            Self::Rule => 'R',
            Self::Answer => 'A',
            Self::Cell => 'C',
            Self::Overlap => 'O',
        }
    }

    fn of(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }

    fn title(self) -> &'static str {
        match self {
            Self::Promise => "Promises",
            Self::Rule => "Rules",
            Self::Answer => "What an answer means",
            Self::Cell => "Coalescing",
            Self::Overlap => "Overlaps",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.kind.letter(), self.number)
    }
}

/// Where a proof runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// Plans, scenarios, simulation: `cargo test`.
    Native,
    /// The npm package or its browser half: Node and real browsers.
    Package,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Package => "package",
        }
    }

    /// Every row needs a native test. Through the package every promise does: the tables are the core's.
    fn needs(self, row: Row) -> bool {
        match self {
            Self::Native => true,
            Self::Package => row.kind == Kind::Promise,
        }
    }
}

/// A test, or a judge that runs after every step of many tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Proof {
    file: String,
    name: String,
}

/// What is to be proved, and by what it is.
struct Proofs {
    rows: BTreeMap<Row, String>,
    found: BTreeMap<(Row, Side), BTreeSet<Proof>>,
    reasons: BTreeMap<(Row, Side), String>,
}

/// Prints the table; fails where something is left to do.
pub(crate) fn table(write: bool) -> Result<()> {
    let proofs = Proofs::read()?;
    print!("{}", proofs.table());
    if write {
        let page = root().join(PAGE);
        std::fs::write(&page, proofs.page()).with_context(|| page.display().to_string())?;
    }
    let left = proofs.left();
    if !left.is_empty() {
        bail!("{} left:\n  {}", left.len(), left.join("\n  "));
    }
    Ok(())
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

impl Proofs {
    fn read() -> Result<Self> {
        let rows = rows(&read(SEMANTICS)?);
        let reasons = reasons(&read(UNPROVEN)?)?;
        let mut found: BTreeMap<(Row, Side), BTreeSet<Proof>> = BTreeMap::new();
        for dir in ["src", "tests", "server", "pkg-template/test", "www/test"] {
            for path in files_below(&root().join(dir))? {
                let Some((file, house)) = house(&path) else { continue };
                let text = read(&file)?;
                for (name, cited) in units(&text, house) {
                    let proof = Proof { file: short(&file), name };
                    for row in cited {
                        for side in house.sides() {
                            found.entry((row, *side)).or_default().insert(proof.clone());
                        }
                    }
                }
            }
        }
        Ok(Self { rows, found, reasons })
    }

    fn of(&self, row: Row, side: Side) -> Vec<&Proof> {
        self.found.get(&(row, side)).into_iter().flatten().collect()
    }

    /// Everything, a test to a line.
    fn table(&self) -> String {
        let mut out = String::new();
        for (row, what) in &self.rows {
            out.push_str(&format!("{row}  {what}\n"));
            for side in [Side::Native, Side::Package] {
                for proof in self.of(*row, side) {
                    out.push_str(&format!("    {:8}{}: {}\n", side.name(), proof.file, proof.name));
                }
                if let Some(why) = self.reasons.get(&(*row, side)) {
                    out.push_str(&format!("    {:8}none: {why}\n", side.name()));
                } else if side.needs(*row) && self.of(*row, side).is_empty() {
                    out.push_str(&format!("    {:8}WORK LEFT\n", side.name()));
                }
            }
        }
        out
    }

    /// What makes the table fail.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for side in [Side::Native, Side::Package] {
            for row in self.rows.keys().filter(|row| side.needs(**row)) {
                let excused = self.reasons.contains_key(&(*row, side));
                if !excused && self.of(*row, side).is_empty() {
                    left.push(format!("{row}: no {} test", side.name()));
                }
            }
        }
        for (row, side) in self.reasons.keys() {
            if !self.of(*row, *side).is_empty() {
                let side = side.name();
                left.push(format!(
                    "{row}: {UNPROVEN} says why there is no {side} test, and there is"
                ));
            }
        }
        let unknown = self.found.keys().chain(self.reasons.keys()).map(|(row, _)| row);
        for row in unknown.filter(|row| !self.rows.contains_key(row)).collect::<BTreeSet<_>>() {
            left.push(format!("{row}: cited, and not in {SEMANTICS}"));
        }
        left
    }

    /// The page for readers: a few tests for each row are enough for them.
    fn page(&self) -> String {
        let mut out = PREFACE.to_owned();
        for kind in Kind::ALL {
            out.push_str(&format!("\n## {}\n\n", kind.title()));
            out.push_str("| | what | native test | package test |\n|---|---|---|---|\n");
            for (row, what) in self.rows.iter().filter(|(row, _)| row.kind == kind) {
                let (native, package) =
                    (self.cell(*row, Side::Native), self.cell(*row, Side::Package));
                out.push_str(&format!("| {row} | {what} | {native} | {package} |\n"));
            }
        }
        out
    }

    fn cell(&self, row: Row, side: Side) -> String {
        const SHOWN: usize = 4;
        let proofs = self.of(row, side);
        let mut shown: Vec<String> = Vec::new();
        let mut last = "";
        for proof in proofs.iter().take(SHOWN) {
            let name = proof.name.replace('|', "\\|");
            if proof.file == last {
                shown.push(name);
            } else {
                shown.push(format!("`{}` {name}", proof.file));
            }
            last = &proof.file;
        }
        if let Some(more @ 1..) = proofs.len().checked_sub(SHOWN) {
            shown.push(format!("{more} more"));
        }
        if let Some(why) = self.reasons.get(&(row, side)) {
            shown.push(format!("none: {why}"));
        } else if shown.is_empty() && side.needs(row) {
            shown.push("**work left**".to_owned());
        }
        shown.join("; ")
    }
}

const PREFACE: &str = "\
# Promises and their proofs

Which test proves what [the semantics](semantics.md) say. Printed from the tests themselves by
`cargo xtask sim --table --write`, and a test fails when the page is not current; `cargo xtask sim --table` names every test.
A native test runs plans, scenarios or the simulated world (`sim/...` are its judges: they look after every step of every
seed). A package test runs the npm package, or its browser half, in Node or a real browser.
";

/// What kind of tests a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum House {
    /// Functions under `#[test]`.
    Tests,
    /// The same, in a browser.
    BrowserTests,
    /// Every function judges: the simulation's oracles, the laws of the scenarios.
    Judges,
    /// Every function is a law that runs in both worlds: the contract of stores.
    Laws,
    /// `test("...", ...)`.
    Script,
}

impl House {
    fn sides(self) -> &'static [Side] {
        match self {
            Self::Tests | Self::Judges => &[Side::Native],
            Self::BrowserTests | Self::Script => &[Side::Package],
            Self::Laws => &[Side::Native, Side::Package],
        }
    }
}

/// The file's name below the repository, and what it holds; nothing if it holds no tests.
fn house(path: &Path) -> Option<(String, House)> {
    let file = path.strip_prefix(root()).ok()?.to_string_lossy().into_owned();
    let is = |ends: &[&str]| ends.iter().any(|end| file.ends_with(end));
    let house = if is(&[".test.mjs", ".test.ts", "test/types/cases.ts"]) {
        House::Script
    } else if !is(&[".rs"]) {
        return None;
    } else if file == "src/memory/contract.rs" {
        House::Laws
    } else if file == "tests/browser.rs" {
        House::BrowserTests
    } else if file.starts_with("tests/sim/")
        || ["tests/scenarios/laws.rs", "tests/depth.rs"].contains(&&*file)
    {
        House::Judges
    } else {
        House::Tests
    };
    Some((file, house))
}

/// As the page names a file.
fn short(file: &str) -> String {
    let bare = [".test.mjs", ".test.ts", ".rs"].iter().find_map(|end| file.strip_suffix(end));
    let bare = bare.unwrap_or(file);
    let bare = bare.strip_suffix("/mod").unwrap_or(bare);
    bare.strip_prefix("tests/").unwrap_or(bare).to_owned()
}

/// The tests of a file, and what each cites.
fn units(text: &str, house: House) -> Vec<(String, BTreeSet<Row>)> {
    let mut found: Vec<(String, BTreeSet<Row>)> = Vec::new();
    // What stands above the next function: its comment, and whether an attribute makes it a test.
    let (mut above, mut is_test) = (BTreeSet::new(), false);
    // The indentation of the test that we are in.
    let mut inside: Option<usize> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        // A long name stands on a line of its own.
        let whole = if SCRIPT_TESTS.contains(&code) && house == House::Script {
            format!("{code}{}", lines.next().unwrap_or_default().trim_start())
        } else {
            code.to_owned()
        };
        let code = &*whole;
        if let Some(at) = inside {
            if let Some((_, cited)) = found.last_mut() {
                cited.extend(citations(code));
            }
            if indent == at && code.starts_with(['}', ')']) {
                inside = None;
            }
            continue;
        }
        if code.starts_with("//") {
            if !code.starts_with("//!") {
                above.extend(citations(code));
            }
            continue;
        }
        if code.starts_with("#[") {
            is_test |= code.ends_with("test]") || code.contains("test(");
            continue;
        }
        let name = match house {
            House::Script => script_test(code),
            House::Tests | House::BrowserTests => function(code).filter(|_| is_test),
            House::Judges | House::Laws => function(code),
        };
        if let Some(name) = name {
            let mut cited = std::mem::take(&mut above);
            cited.extend(citations(code));
            found.push((name, cited));
            inside = (!code.ends_with(['}', ';'])).then_some(indent);
        }
        above.clear();
        is_test = false;
    }
    found.retain(|(_, cited)| !cited.is_empty());
    found
}

/// `fn name(`, with what may stand before it.
fn function(code: &str) -> Option<String> {
    let (before, after) = code.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "async", "const"];
    if !before.split_whitespace().all(|word| words.contains(&word)) {
        return None;
    }
    let name: String = after.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
    Some(name.replace('_', " ")).filter(|name| !name.is_empty())
}

/// How a test begins in a script.
const SCRIPT_TESTS: [&str; 3] = ["test(", "it(", "scenario("];

/// `test("name", ...)`, also as `it` or `scenario`, and with a template for a name.
fn script_test(code: &str) -> Option<String> {
    let rest = SCRIPT_TESTS.iter().find_map(|begin| code.strip_prefix(begin))?;
    let quote = rest.chars().next().filter(|it| "\"'`".contains(*it))?;
    let (name, _) = rest.get(1..)?.split_once(quote)?;
    Some(name.to_owned())
}

/// The rows that a comment or a text in a line of code names: `R6`, `P17-P19`, `R1 to R29`.
fn citations(line: &str) -> BTreeSet<Row> {
    let mut found = BTreeSet::new();
    let letters: Vec<char> = line.chars().collect();
    let comment = line.starts_with("//");
    let mut quoted = false;
    let mut from: Option<(Row, usize)> = None;
    let mut at = 0;
    while let Some(letter) = letters.get(at).copied() {
        quoted ^= "\"`".contains(letter);
        let slashes = letter == '/' && letters.get(at + 1) == Some(&'/');
        if slashes && !quoted && !comment {
            let rest: String = letters.iter().skip(at).collect();
            found.extend(citations(&rest));
            return found;
        }
        let Some((row, end)) = named(&letters, at).filter(|_| comment || quoted) else {
            at += 1;
            continue;
        };
        found.insert(row);
        if let Some((first, ended)) = from.filter(|(first, _)| first.kind == row.kind) {
            let between: String = letters.iter().skip(ended).take(at - ended).collect();
            if ["-", "\u{2013}", " to ", "..="].contains(&between.as_str()) {
                found.extend((first.number..row.number).map(|number| Row { number, ..row }));
            }
        }
        from = Some((row, end));
        at = end;
    }
    found
}

/// The row whose name begins here, and where it ends.
fn named(letters: &[char], at: usize) -> Option<(Row, usize)> {
    let kind = Kind::of(*letters.get(at)?)?;
    let part = |letter: Option<&char>| {
        letter.is_some_and(|it| it.is_alphanumeric() || "_%#$".contains(*it))
    };
    if at.checked_sub(1).is_some_and(|before| part(letters.get(before))) {
        return None;
    }
    let digits: String = letters.iter().skip(at + 1).take_while(|it| it.is_ascii_digit()).collect();
    let end = at + 1 + digits.len();
    if part(letters.get(end)) || digits.starts_with('0') {
        return None;
    }
    Some((Row { kind, number: digits.parse().ok()? }, end))
}

/// A row's name that a text begins with, and what comes after it.
fn leading(text: &str) -> Option<(Row, &str)> {
    let letters: Vec<char> = text.chars().take(4).collect();
    let (row, end) = named(&letters, 0)?;
    Some((row, text.get(end..)?))
}

/// What is to be proved: `**R1** ...`, `P1 ... ·`, and the table rows that begin with a name.
fn rows(semantics: &str) -> BTreeMap<Row, String> {
    let mut rows = BTreeMap::new();
    let mut head: Vec<&str> = Vec::new();
    let paragraphs = semantics.split("\n\n").flat_map(|part| match part.contains("\n|") {
        true => part.lines().map(str::to_owned).collect::<Vec<_>>(),
        false => part
            .replace('\n', " ")
            .split(" **R")
            .enumerate()
            .map(|(at, text)| if at == 0 { text.to_owned() } else { format!("**R{text}") })
            .collect(),
    });
    for text in paragraphs {
        if let Some(cells) = text.strip_prefix('|') {
            let cells: Vec<&str> = cells.trim_end_matches('|').split('|').map(str::trim).collect();
            let first = cells.first().copied().unwrap_or_default();
            for (at, cell) in cells.iter().enumerate() {
                let Some((row, rest)) = leading(cell) else { continue };
                match (row.kind, rest.strip_prefix(": ")) {
                    (Kind::Cell, Some(what)) => {
                        let newer = head.get(at).copied().unwrap_or_default();
                        rows.insert(row, format!("{first}, then {newer}: {what}"));
                    }
                    (Kind::Answer | Kind::Overlap, None) if at == 0 => {
                        rows.insert(row, cells.get(1).copied().unwrap_or_default().to_owned());
                    }
                    _ => {}
                }
            }
            if !text.starts_with("|-") && !text.contains("C1:") && text.contains("older") {
                head = vec!["", "update", "remove", "create"];
            }
        } else if let Some((row, rest)) = text.strip_prefix("**").and_then(leading) {
            let rest = rest.trim_start_matches("** ");
            let sentence = rest.split(". ").next().unwrap_or(rest).trim_end_matches(['.', ':']);
            rows.insert(row, sentence.replace('|', "\\|"));
        } else if text.starts_with("P1 ") {
            for (row, what) in text.split(" \u{b7} ").filter_map(leading) {
                rows.insert(row, what.trim().to_owned());
            }
        }
    }
    rows
}

/// `P23 native: why not`, one to a line; `#` begins a comment.
fn reasons(text: &str) -> Result<BTreeMap<(Row, Side), String>> {
    let mut reasons = BTreeMap::new();
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let read = || {
            let (row, rest) = leading(line)?;
            let (side, why) = rest.trim_start().split_once(": ")?;
            let side = [Side::Native, Side::Package].into_iter().find(|it| it.name() == side)?;
            Some(((row, side), why.to_owned()))
        };
        let Some((cell, why)) = read() else {
            bail!("{UNPROVEN}: `{line}` is not `P1 native: why`")
        };
        if reasons.insert(cell, why).is_some() {
            bail!("{UNPROVEN}: `{line}` stands there twice");
        }
    }
    Ok(reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cited(line: &str) -> String {
        citations(line).iter().map(Row::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn citations_stand_in_comments_and_texts() {
        for (line, expected) in [
            ("/// R6, P17: nobody else touched it (A3).", "P17 R6 A3"),
            ("// P17-P19, and R1 to R3", "P17 P18 P19 R1 R2 R3"),
            (r#"assert!(x, "P5: sealed"); // R9"#, "P5 R9"),
            ("let R1 = C2::<P3>::new();", ""),
            ("/// RFC 8785, R07, XP1, P1a, %C3, 0xA1, P1_2", ""),
            ("test(`P8: a server that answers ${name}`, () => {", "P8"),
        ] {
            assert_eq!(cited(line), expected, "{line}");
        }
    }

    #[test]
    fn a_test_is_its_comment_and_its_body() {
        let text = "
/// P1: a helper is no test.
fn helper() {}

/// R1: a test.
#[test]
fn it_holds() {
    if true {
        assert!(true, \"P2\");
    }
}

mod inner {
    proptest! {
        /// R3.
        #[test]
        fn for_all(d in 0..3) {
            let _ = d;
        }
    }
}

#[test]
fn it_cites_nothing() {}
";
        let shown = |house| {
            let units = units(text, house).into_iter();
            let line = |(name, rows): (String, BTreeSet<Row>)| {
                format!("{name} {}", rows.iter().map(Row::to_string).collect::<Vec<_>>().join(" "))
            };
            units.map(line).collect::<Vec<_>>()
        };
        assert_eq!(shown(House::Tests), ["it holds P2 R1", "for all R3"]);
        assert_eq!(shown(House::Judges), ["helper P1", "it holds P2 R1", "for all R3"]);
        let script = "// P9\nscenario(\n  \"P7: long\",\n  async () => {\n    x();\n  },\n);\n";
        assert_eq!(units(script, House::Script)[0].0, "P7: long");
        let script = "// P9\ntest(\"one\", () => {\n  ok(1, \"P4\");\n});\n// R2\nconst a = 1;\ntest(`two ${a}`, () => {\n});\n";
        assert_eq!(units(script, House::Script).len(), 1);
        assert_eq!(units(script, House::Script)[0].1.len(), 2);
    }

    #[test]
    fn every_row_is_named_in_the_semantics() {
        let rows = rows(&read(SEMANTICS).unwrap());
        let count = |kind| rows.keys().filter(|row| row.kind == kind).count();
        let last = |kind| rows.keys().rfind(|row| row.kind == kind).unwrap().number;
        for kind in Kind::ALL {
            assert_eq!(count(kind), usize::from(last(kind)), "{kind:?}: {:?}", rows.keys());
            assert!(rows.values().all(|what| !what.is_empty()));
        }
        assert_eq!((last(Kind::Promise), last(Kind::Rule), last(Kind::Cell)), (37, 29, 12));
    }

    #[test]
    fn a_reason_names_a_row_and_a_side() {
        let read = reasons("# why\nP23 native: it is the browser's\n").unwrap();
        assert_eq!(read.len(), 1);
        for wrong in ["P23: x", "P23 nowhere: x", "x", "P1 native: a\nP1 native: b"] {
            assert!(reasons(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_page_is_current() {
        let page = Proofs::read().unwrap().page();
        assert!(
            page == read(PAGE).unwrap_or_default(),
            "{PAGE} is not current: cargo xtask sim --table --write"
        );
    }
}
