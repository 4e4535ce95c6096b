//! Whether the tests notice a mutant.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::tree::{Program, tree};
use crate::shell::Stopwatch;

/// What a mutant has to pass, the quickest first.
pub(crate) struct Judges {
    steps: Vec<Step>,
}

/// A test program with its words, and what it may use.
struct Step {
    name: &'static str,
    program: Program,
    words: Vec<String>,
    /// Seconds of the processor.
    seconds: u64,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// By which step, and the first of its tests that did.
    Noticed(&'static str, String),
    /// It ran for too long, or wanted all memory.
    Endless(&'static str),
    Survived,
}

/// Scenarios that take as long as all others together: most mutants are noticed without them.
const SLOW: [&str; 9] = [
    "answers::later_is",
    "answers::nonsense_is",
    "engine::after_any_failure",
    "groups::a_server_that_never_takes_it",
    "order::a_claim_does_not_look",
    "order::what_is_too_large",
    "properties::",
    "transfer::a_file_that_is_not_right",
    "walks::",
];

/// Memory for one program, in KiB: a mutant may ask for all there is.
const MEMORY: u64 = 4 << 20;

/// Nothing that waits for ever uses the processor.
const PATIENCE: Duration = Duration::from_secs(600);

impl Judges {
    /// Runs everything once without a mutant, to know how long it takes.
    pub(crate) fn measure(programs: &[Program], seeds: u32) -> Result<Self> {
        let seeds = seeds.to_string();
        let plan: [(&'static str, &'static str, Vec<&str>); 4] = [
            ("tables", "holdfast", vec!["plan::", "model::", "schedule::"]),
            ("scenarios", "scenarios", SLOW.iter().flat_map(|name| ["--skip", name]).collect()),
            ("walks", "scenarios", SLOW.to_vec()),
            ("sim", "sim", vec!["--brief", "--threads", "1", "--seeds", &seeds]),
        ];
        let mut steps = Vec::new();
        for (name, target, words) in plan {
            let program = programs.iter().find(|it| it.name == target);
            let program = program.with_context(|| format!("no test program `{target}`"))?.clone();
            let words = words.into_iter().map(str::to_owned).collect();
            let mut step = Step { name, program, words, seconds: 600 };
            let watch = Stopwatch::start();
            match step.run(0)? {
                Verdict::Survived => {}
                verdict @ (Verdict::Noticed(..) | Verdict::Endless(_)) => {
                    bail!("`{name}` fails without a mutant: {verdict:?}")
                }
            }
            let took = watch.elapsed();
            println!("   {name}: {:.1} s", took.as_secs_f64());
            step.seconds = took.as_secs() * 6 + 10;
            steps.push(step);
        }
        Ok(Self { steps })
    }

    /// Runs the tests on one mutant until one of them fails.
    pub(crate) fn judge(&self, mutant: u32) -> Result<Verdict> {
        for step in &self.steps {
            let verdict = step.run(mutant)?;
            if verdict != Verdict::Survived {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Survived)
    }
}

impl Step {
    fn run(&self, mutant: u32) -> Result<Verdict> {
        let limits = format!("ulimit -t {}; ulimit -v {MEMORY}; exec \"$@\"", self.seconds);
        let output = tree().join(format!("{}.out", self.name));
        let file = std::fs::File::create(&output).with_context(|| output.display().to_string())?;
        let mut command = Command::new("sh");
        command.args(["-c", &limits, "sh"]).arg(&self.program.path).args(&self.words);
        command.current_dir(tree()).stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        command.env("HOLDFAST_MUTANT", mutant.to_string());
        // One thread: what else runs here is not to be disturbed. A few of what is drawn by lot: the simulation draws more.
        command
            .env("RUST_TEST_THREADS", "1")
            .env("PROPTEST_CASES", "32")
            .env("HOLDFAST_WALKS", "3");
        command.env("INSTA_UPDATE", "no").env("INSTA_WORKSPACE_ROOT", tree());
        command.env("CARGO_MANIFEST_DIR", tree()).env("RUST_BACKTRACE", "0");
        let child = command.spawn().context("could not start `sh`")?;
        Ok(match wait(child)? {
            Some(0) => Verdict::Survived,
            Some(_) => Verdict::Noticed(self.name, first_failure(&output)),
            None => Verdict::Endless(self.name),
        })
    }
}

/// The exit code of a program; none if it was killed, by its limits or because it waits for ever.
fn wait(mut child: Child) -> Result<Option<i32>> {
    let watch = Stopwatch::start();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if watch.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The test that failed first, or the judge of the simulation.
fn first_failure(output: &Path) -> String {
    let text = std::fs::read(output).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let named = text.lines().find_map(|line| {
        let test = line.strip_prefix("test ")?.strip_suffix(" ... FAILED");
        test.map(str::to_owned)
    });
    let seed = || text.lines().find(|line| line.starts_with("seed ")).map(str::to_owned);
    named.or_else(seed).unwrap_or_else(|| "a panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_named() {
        let file = std::env::temp_dir().join(format!("holdfast-first-{}", std::process::id()));
        for (text, first) in [
            ("test a ... ok\ntest b::c ... FAILED\ntest d ... FAILED\n", "b::c"),
            ("x\nseed 7: R10\n", "seed 7: R10"),
            ("", "a panic"),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(first_failure(&file), first);
        }
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_program_that_ends_has_a_code_and_one_that_is_killed_has_none() {
        let run = |script| wait(Command::new("sh").args(["-c", script]).spawn().unwrap()).unwrap();
        assert_eq!(run("exit 3"), Some(3));
        assert_eq!(run("kill -9 $$"), None);
    }
}
