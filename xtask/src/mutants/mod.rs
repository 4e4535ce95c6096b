//! `cargo xtask mutants`: changes the plans in one place at a time and runs their tests; a change that nobody notices is a test
//! that is missing, or is explained in `tests/survivors.txt`.
//!
//! All mutants are compiled at once, each behind a switch, so that one costs what its tests cost and not a build: the tables of
//! the plans first, then the scenarios, then some seeds of the simulated world, which proves many a guard alone. A sample is drawn
//! from a seed; without `--sample` it is all of them. What is not drawn is not compiled: the compiler looks at borrows only where
//! all types are right, so that each mutant that it refuses may cost one more check of everything.

mod find;
mod judge;
mod tree;
mod weave;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::shell::{Stopwatch, root, target, write};
use judge::{Judges, Verdict};
use tree::Tree;

const SURVIVORS: &str = "tests/survivors.txt";

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let sample: Option<usize> = args.value("--sample")?;
    let seed: u64 = args.value("--seed")?.unwrap_or(1);
    let seeds: u32 = args.value("--worlds")?.unwrap_or(40);
    let below: String = args.value("--below")?.unwrap_or_else(|| "src/plan".to_owned());
    let only: Option<String> = args.value("--only")?;
    let list = args.flag("--list");
    args.finish()?;

    let mut tree = Tree::find(&below)?;
    let names: Vec<(u32, String)> =
        tree.mutants().map(|(number, mutant)| (number, mutant.name.clone())).collect();
    let reasons = reasons(&std::fs::read_to_string(root().join(SURVIVORS)).context(SURVIVORS)?)?;
    if list {
        names.iter().for_each(|(_, name)| println!("{name}"));
        return Ok(());
    }
    let chosen: Vec<&(u32, String)> =
        names.iter().filter(|(_, name)| only.as_ref().is_none_or(|it| name.contains(it))).collect();
    let drawn = sample_of(&chosen, sample.unwrap_or(usize::MAX), seed);
    println!("== {} of {} mutants below {below}, seed {seed}", drawn.len(), names.len());

    tree.keep_only(&drawn.iter().map(|(number, _)| *number).collect());
    let watch = Stopwatch::start();
    let programs = tree.build()?;
    println!("== built in {:.0} s; without a mutant:", watch.elapsed().as_secs_f64());
    let judges = Judges::measure(&programs, seeds)?;

    let watch = Stopwatch::start();
    let mut results = Results::default();
    for (number, name) in drawn.iter().filter(|(number, _)| !tree.is_refused(*number)) {
        let began = watch.elapsed();
        let verdict = judges.judge(*number)?;
        results.count(name, &verdict, reasons.contains_key(name));
        let took = (watch.elapsed() - began).as_secs_f64();
        println!("{took:6.1} s  {}  {name}", told(&verdict));
    }
    results.unbuilt = drawn.iter().filter(|(number, _)| tree.is_refused(*number)).count();
    println!("== judged in {:.0} s", watch.elapsed().as_secs_f64());
    write(&target("mutants/survivors.txt"), results.survivors.join("\n"))?;
    let known = names.iter().map(|(_, name)| name.as_str()).collect();
    results.report(&reasons, &below, &known)
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Noticed(step, test) => format!("noticed by {step}: {test}"),
        Verdict::Endless(step) => format!("never ended in {step}"),
        Verdict::Survived => "SURVIVED".to_owned(),
    }
}

/// What became of them.
#[derive(Default)]
struct Results {
    noticed: BTreeMap<&'static str, usize>,
    endless: usize,
    unbuilt: usize,
    explained: usize,
    /// Survivors without a reason.
    survivors: Vec<String>,
    /// With a reason, and noticed all the same.
    caught: Vec<String>,
}

impl Results {
    fn count(&mut self, name: &str, verdict: &Verdict, has_reason: bool) {
        match verdict {
            Verdict::Noticed(step, _) => *self.noticed.entry(step).or_default() += 1,
            Verdict::Endless(_) => self.endless += 1,
            Verdict::Survived if has_reason => self.explained += 1,
            Verdict::Survived => self.survivors.push(name.to_owned()),
        }
        if has_reason && *verdict != Verdict::Survived {
            self.caught.push(name.to_owned());
        }
    }

    /// Numbers, and what is left to do: a survivor without a reason, a reason without a survivor.
    fn report(
        &self,
        reasons: &BTreeMap<String, String>,
        below: &str,
        known: &BTreeSet<&str>,
    ) -> Result<()> {
        for (step, count) in &self.noticed {
            println!("  {count:5} noticed by {step}");
        }
        println!("  {:5} never ended, so noticed", self.endless);
        println!("  {:5} did not compile", self.unbuilt);
        println!("  {:5} survived, explained in {SURVIVORS}", self.explained);
        println!("  {:5} survived", self.survivors.len());
        let folder = below.strip_prefix("src/").unwrap_or(below);
        let gone = reasons
            .keys()
            .filter(|name| name.starts_with(folder) && !known.contains(name.as_str()));
        let left: Vec<String> = self
            .survivors
            .iter()
            .map(|name| format!("survived: {name}"))
            .chain(self.caught.iter().map(|name| format!("explained, and noticed: {name}")))
            .chain(gone.map(|name| format!("explained, and no mutant: {name}")))
            .collect();
        if !left.is_empty() {
            bail!("{} left:\n  {}", left.len(), left.join("\n  "));
        }
        Ok(())
    }
}

/// What `tests/survivors.txt` says: a reason on a line of its own, below it the mutants that it is for, indented.
fn reasons(text: &str) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut why: Option<&str> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("  "), why) {
            (Some(name), Some(why)) => {
                if found.insert(name.trim().to_owned(), why.to_owned()).is_some() {
                    bail!("{SURVIVORS}: `{name}` is there twice");
                }
            }
            (Some(name), None) => bail!("{SURVIVORS}: no reason above `{name}`"),
            (None, _) => why = Some(line),
        }
    }
    Ok(found)
}

/// Some of them, the same for the same seed and name, in their order.
fn sample_of<'a>(all: &[&'a (u32, String)], number: usize, seed: u64) -> Vec<&'a (u32, String)> {
    let mut drawn: Vec<(u64, &(u32, String))> =
        all.iter().map(|mutant| (lot(seed, &mutant.1), *mutant)).collect();
    drawn.sort_unstable();
    drawn.truncate(number);
    drawn.sort_unstable_by_key(|(_, mutant)| mutant.0);
    drawn.into_iter().map(|(_, mutant)| mutant).collect()
}

/// FNV-1a of a name, beginning at the seed, and stirred: names differ in their ends.
fn lot(seed: u64, name: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(start, mix);
    (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_drawn_from_its_seed() {
        let all: Vec<(u32, String)> =
            (0..100).map(|it| (it, format!("plan/a.rs f: {it}"))).collect();
        let all: Vec<&(u32, String)> = all.iter().collect();
        let draw = |seed| sample_of(&all, 10, seed);
        assert_eq!((draw(1).len(), draw(1)), (10, draw(1)));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(sample_of(&all, usize::MAX, 1).len(), 100);
    }

    #[test]
    fn reasons_stand_above_their_mutants() {
        let found =
            reasons("# a remark\nnobody asks\n  plan/a.rs f: a -> b\n  plan/a.rs f: c -> d\n");
        let found = found.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found["plan/a.rs f: a -> b"], "nobody asks");
        assert!(reasons("  plan/a.rs f: a -> b\n").is_err());
        assert!(reasons("why\n  a\n  a\n").is_err());
    }

    #[test]
    fn what_is_left_is_an_error() {
        let mut results = Results::default();
        results.count("plan/a", &Verdict::Survived, true);
        let reasons = BTreeMap::from([("plan/a".to_owned(), "why".to_owned())]);
        results.report(&reasons, "src/plan", &BTreeSet::from(["plan/a"])).unwrap();
        assert!(results.report(&reasons, "src/plan", &BTreeSet::new()).is_err());
        results.count("plan/a", &Verdict::Endless("sim"), true);
        assert!(results.report(&reasons, "src/plan", &BTreeSet::from(["plan/a"])).is_err());
        let mut results = Results::default();
        results.count("plan/a", &Verdict::Survived, false);
        assert!(results.report(&BTreeMap::new(), "src/plan", &BTreeSet::from(["plan/a"])).is_err());
    }
}
