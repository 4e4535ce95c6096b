//! A copy of the repository with the mutants in it, and the test programs that are built of it. The tree itself is never changed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::find::{self, Mutant};
use super::weave::{SWITCH, Woven, weave};
use crate::shell::{Cmd, files_below, root, target, write};

/// What the package and its tests are made of.
const PARTS: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", "src", "tests", "server", "xtask", "docs", "pkg-template"];

/// Those that judge, besides the library's own.
const TESTS: [&str; 2] = ["scenarios", "sim"];

const LIBRARY: &str = "src/lib.rs";
const SWITCHES: &str = "src/mutant.rs";

/// A source file and its mutants.
struct Source {
    file: String,
    text: String,
    first: u32,
    mutants: Vec<Mutant>,
}

/// All mutants, numbered from 1.
pub(crate) struct Tree {
    sources: Vec<Source>,
    /// Those that nobody asked for.
    left_out: BTreeSet<u32>,
    /// Those that the compiler refuses.
    refused: BTreeSet<u32>,
}

/// A test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl Tree {
    /// Finds the mutants of all sources below a folder, or of one file.
    pub(crate) fn find(below: &str) -> Result<Self> {
        let (mut sources, mut first) = (Vec::new(), 1);
        for path in files_below(&root().join("src"))? {
            let file = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().into_owned();
            if !file.ends_with(".rs") || !Path::new(&file).starts_with(below) {
                continue;
            }
            let text = std::fs::read_to_string(&path).with_context(|| file.clone())?;
            let mutants = find::mutants(&file, &text)?;
            let count = u32::try_from(mutants.len())?;
            sources.push(Source { file, text, first, mutants });
            first += count;
        }
        Ok(Self { sources, left_out: BTreeSet::new(), refused: BTreeSet::new() })
    }

    /// Forgets all others; the numbers stay.
    pub(crate) fn keep_only(&mut self, chosen: &BTreeSet<u32>) {
        self.left_out = self.mutants().map(|it| it.0).filter(|it| !chosen.contains(it)).collect();
    }

    /// Every mutant with its number.
    pub(crate) fn mutants(&self) -> impl Iterator<Item = (u32, &Mutant)> {
        self.sources.iter().flat_map(|source| (source.first..).zip(&source.mutants))
    }

    pub(crate) fn is_refused(&self, number: u32) -> bool {
        self.refused.contains(&number)
    }

    /// Writes the copy and builds the test programs, without those mutants that do not compile.
    pub(crate) fn build(&mut self) -> Result<Vec<Program>> {
        self.copy()?;
        loop {
            let woven = self.weave()?;
            let (messages, done) = cargo(&["check", "--lib"])?;
            if done {
                break;
            }
            let refused = self.blame(&woven, &messages)?;
            println!("   {} mutants do not compile", self.refused.len() + refused.len());
            self.refused.extend(refused);
        }
        let mut words = vec!["test", "--no-run", "--lib"];
        words.extend(TESTS.iter().flat_map(|name| ["--test", name]));
        let (messages, done) = cargo(&words)?;
        if !done {
            bail!("the tests do not compile:\n{}", told(&messages));
        }
        Ok(programs(&messages))
    }

    /// Brings the copy up to date; what did not change keeps its time, so that little is compiled anew.
    fn copy(&self) -> Result<()> {
        let woven = |name: &Path| {
            name == Path::new(LIBRARY) || self.sources.iter().any(|it| name == Path::new(&it.file))
        };
        let mut wanted = BTreeSet::from([PathBuf::from(SWITCHES)]);
        for part in PARTS {
            let from = root().join(part);
            let files = if from.is_dir() { files_below(&from)? } else { vec![from] };
            for file in files {
                let name = file.strip_prefix(root()).unwrap_or(&file).to_path_buf();
                if !woven(&name) {
                    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
                    keep(&tree().join(&name), &bytes)?;
                }
                wanted.insert(name);
            }
        }
        for file in files_below(&tree())? {
            if !wanted.contains(file.strip_prefix(tree()).unwrap_or(&file)) {
                std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Writes every source with its mutants.
    fn weave(&self) -> Result<Vec<(String, Woven)>> {
        let mut all = Vec::new();
        for source in &self.sources {
            let numbered: Vec<(u32, &Mutant)> = (source.first..)
                .zip(&source.mutants)
                .filter(|(number, _)| {
                    !self.left_out.contains(number) && !self.refused.contains(number)
                })
                .collect();
            let woven = weave(&source.text, &numbered);
            keep(&tree().join(&source.file), &woven.text)?;
            all.push((source.file.clone(), woven));
        }
        keep(&tree().join(SWITCHES), SWITCH)?;
        let library = std::fs::read_to_string(root().join(LIBRARY)).context(LIBRARY)?;
        keep(&tree().join(LIBRARY), format!("{library}\nmod mutant;\n"))?;
        Ok(all)
    }

    /// The mutants that errors of the compiler are about.
    fn blame(&self, woven: &[(String, Woven)], messages: &[Value]) -> Result<BTreeSet<u32>> {
        let mut refused = BTreeSet::new();
        for error in errors(messages) {
            let spans = error.pointer("/message/spans").and_then(Value::as_array);
            let mut spans: Vec<&Value> = spans.into_iter().flatten().collect();
            spans.sort_by_key(|span| span.get("is_primary") != Some(&Value::Bool(true)));
            let of = |span: &&Value| {
                let (file, piece) = place(span)?;
                woven.iter().find(|it| it.0 == file)?.1.at(&piece)
            };
            refused.extend(spans.iter().find_map(of));
        }
        if refused.is_empty() {
            bail!("the sources do not compile, and no mutant is to blame:\n{}", told(messages));
        }
        Ok(refused)
    }
}

/// Where the copy is.
pub(crate) fn tree() -> PathBuf {
    target("mutants/tree")
}

/// Writes a file unless it is so already.
fn keep(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    match std::fs::read(path) {
        Ok(known) if known == bytes.as_ref() => Ok(()),
        _ => write(path, bytes),
    }
}

/// Runs cargo in the copy; its messages, and whether it went well.
fn cargo(words: &[&str]) -> Result<(Vec<Value>, bool)> {
    let mut command = Cmd::cargo()
        .dir(tree())
        .args(words)
        .args(["--locked", "--package", "holdfast", "--profile", "sim", "--message-format=json"])
        // Nobody looks at a backtrace of a mutant.
        .args(["--config", "profile.sim.debug=false", "--config", "profile.sim.incremental=true"])
        .arg("--target-dir")
        .arg(target("mutants/build"))
        .env("RUSTFLAGS", "--cap-lints=allow")
        .into_inner();
    let output = command.stderr(Stdio::inherit()).output().context("could not start `cargo`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((messages, output.status.success()))
}

fn errors(messages: &[Value]) -> impl Iterator<Item = &Value> {
    let level = |it: &&Value| it.pointer("/message/level").is_some_and(|level| level == "error");
    messages.iter().filter(level)
}

/// The file and the bytes that a message is about.
fn place(span: &Value) -> Option<(&str, Range<usize>)> {
    let at = |name| usize::try_from(span.get(name)?.as_u64()?).ok();
    Some((span.get("file_name")?.as_str()?, at("byte_start")?..at("byte_end")?))
}

/// Errors as a person reads them.
fn told(messages: &[Value]) -> String {
    let rendered = errors(messages).filter_map(|it| it.pointer("/message/rendered")?.as_str());
    rendered.take(5).collect()
}

/// The test programs that cargo says it has built.
fn programs(messages: &[Value]) -> Vec<Program> {
    let program = |message: &Value| {
        let path = message.get("executable")?.as_str()?;
        let name = message.pointer("/target/name")?.as_str()?;
        Some(Program { name: name.to_owned(), path: PathBuf::from(path) })
    };
    messages.iter().filter_map(program).collect()
}
