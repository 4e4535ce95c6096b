//! `cargo xtask mutants`: changes the plans in one place at a time and runs their tests; a change that nobody notices is a test
//! that is missing. A sample, drawn from a seed: all of them take a day.

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::setup::Missing;
use crate::shell::{Cmd, find_program, target};

const FILES: &str = "src/plan/**/*.rs";

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let number: usize = args.value("--sample")?.unwrap_or(20);
    let seed: u64 = args.value("--seed")?.unwrap_or(1);
    let in_place = args.flag("--in-place");
    args.finish()?;
    if find_program("cargo-mutants").is_none() {
        return Err(Missing::tool("cargo install cargo-mutants --locked").into());
    }
    let list = mutants().args(["--list"]).read()?;
    let sample = sample(list.lines(), number, seed);
    println!("== {} of {} mutants of {FILES}, seed {seed}", sample.len(), list.lines().count());

    let out = target("mutants");
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let mut cargo = mutants().arg("--output").arg(&out).args([
        "--no-shuffle",
        "--colors=never",
        "--minimum-test-timeout=600",
    ]);
    // Without `--in-place` a copy of the tree is changed, never the tree.
    cargo = cargo.args(in_place.then_some("--in-place"));
    for name in &sample {
        cargo = cargo.arg(format!("--re=^{}$", escaped(name)));
    }
    // The scenarios, with fewer walks, and the tables of the plans themselves.
    let tests =
        ["--", "--lib", "--test", "scenarios", "--", "--skip", "layout::", "--skip", "protocol::"];
    let mut command = cargo.args(tests).env("HOLDFAST_WALKS", "6").into_inner();
    let status = command.status().context("could not start `cargo mutants`")?;
    // 2: some were not noticed; 3: some never ended. Both are results.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        bail!("`cargo mutants` failed ({status})");
    }
    report()
}

fn mutants() -> Cmd {
    Cmd::cargo().args(["mutants", "--package", "holdfast", "--file", FILES])
}

/// What became of them: numbers, and every survivor by name.
fn report() -> Result<()> {
    let dir = target("mutants").join("mutants.out");
    let mut survivors = Vec::new();
    for (file, what) in [
        ("caught.txt", "noticed"),
        ("timeout.txt", "never ended, so noticed"),
        ("unviable.txt", "did not compile"),
        ("missed.txt", "survived"),
    ] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        println!("  {:4} {what}", text.lines().count());
        survivors = text.lines().map(str::to_owned).collect();
    }
    if !survivors.is_empty() {
        println!("\n| survivor | why |\n|---|---|");
    }
    for name in survivors {
        println!("| `{}` | |", name.replace('|', "\\|"));
    }
    Ok(())
}

/// Some of them, the same for the same seed, in their order. Those that put a default in the place of a type that has none would
/// not compile.
fn sample<'a>(all: impl Iterator<Item = &'a str>, number: usize, seed: u64) -> Vec<&'a str> {
    let compiles = |name: &&str| !name.contains("Default::default()") && !name.contains("::new()");
    let mut drawn: Vec<(u64, usize, &str)> =
        all.filter(compiles).enumerate().map(|(at, name)| (lot(seed, name), at, name)).collect();
    drawn.sort_unstable();
    drawn.truncate(number);
    drawn.sort_unstable_by_key(|(_, at, _)| *at);
    drawn.into_iter().map(|(.., name)| name).collect()
}

/// FNV-1a of a name, beginning at the seed.
fn lot(seed: u64, name: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    name.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A name as a pattern that matches it alone.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len() * 2);
    for letter in name.chars() {
        // An escaped angle bracket is the edge of a word.
        if letter.is_ascii_punctuation() && !"<>".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_drawn_from_its_seed() {
        let all: Vec<String> = (0..100).map(|n| format!("src/plan/a.rs:{n}:1: replace")).collect();
        let draw = |seed| sample(all.iter().map(String::as_str), 10, seed);
        assert_eq!((draw(1).len(), draw(1)), (10, draw(1)));
        assert_ne!(draw(1), draw(2));
        let one = draw(3);
        assert!(one.windows(2).all(|pair| all.iter().position(|it| it == pair[0])
            < all.iter().position(|it| it == pair[1])));
        assert!(sample(["x with Default::default()"].into_iter(), 5, 1).is_empty());
    }

    #[test]
    fn a_name_is_no_pattern() {
        assert_eq!(
            escaped("a.rs:1: replace || with && in f"),
            r"a\.rs\:1\: replace \|\| with \&\& in f"
        );
    }
}
