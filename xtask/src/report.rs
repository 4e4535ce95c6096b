//! What ran, how long it took and how it ended.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use crate::setup::Missing;
use crate::shell::Stopwatch;

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Passed,
    Failed(String),
    /// It could not be run here, and why.
    NotRun(String),
}

/// The steps of one run, in order.
pub(crate) struct Report {
    rows: Vec<(String, Ending, Duration)>,
    watch: Stopwatch,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), watch: Stopwatch::start() }
    }

    /// Runs one step and prints its time. A [`Missing`] program makes it "not run", not failed.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        println!("== {name}");
        let watch = Stopwatch::start();
        let ending = match run() {
            Ok(()) => Ending::Passed,
            Err(error) if error.is::<Missing>() => Ending::NotRun(format!("{error:#}")),
            Err(error) => Ending::Failed(format!("{error:#}")),
        };
        let took = watch.elapsed();
        match &ending {
            Ending::Passed => println!("== {name}: {:.1} s", took.as_secs_f64()),
            Ending::Failed(why) => {
                println!("== {name}: FAILED after {:.1} s: {why}", took.as_secs_f64());
            }
            Ending::NotRun(why) => println!("== {name}: NOT RUN: {why}"),
        }
        self.rows.push((name.to_owned(), ending, took));
    }

    /// Records a step that was not started.
    pub(crate) fn not_run(&mut self, name: &str, why: &str) {
        println!("== {name}: NOT RUN: {why}");
        self.rows.push((name.to_owned(), Ending::NotRun(why.to_owned()), Duration::ZERO));
    }

    pub(crate) fn passed(&self, name: &str) -> bool {
        self.rows.iter().any(|(row, ending, _)| row == name && *ending == Ending::Passed)
    }

    /// Prints the table; fails when a step failed, and with [`Missing`] when one was not run.
    pub(crate) fn finish(self) -> Result<()> {
        print!("{}", table(&self.rows, self.watch.elapsed()));
        verdict(&self.rows)
    }
}

fn table(rows: &[(String, Ending, Duration)], total: Duration) -> String {
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).max("total".len());
    let mut out = String::from("\n");
    for (name, ending, took) in rows {
        let ending = match ending {
            Ending::Passed => "ok".to_owned(),
            Ending::Failed(why) => format!("FAILED: {}", first_line(why)),
            Ending::NotRun(why) => format!("NOT RUN: {}", first_line(why)),
        };
        let _ = writeln!(out, "  {name:width$}  {:>7.1} s  {ending}", took.as_secs_f64());
    }
    let _ = writeln!(out, "  {:width$}  {:>7.1} s", "total", total.as_secs_f64());
    let count = |wanted: fn(&Ending) -> bool| rows.iter().filter(|row| wanted(&row.1)).count();
    let _ = writeln!(
        out,
        "  steps: {} passed, {} failed, {} not run",
        count(|ending| *ending == Ending::Passed),
        count(|ending| matches!(ending, Ending::Failed(_))),
        count(|ending| matches!(ending, Ending::NotRun(_))),
    );
    out
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn verdict(rows: &[(String, Ending, Duration)]) -> Result<()> {
    let failed: Vec<&str> = rows
        .iter()
        .filter(|(_, ending, _)| matches!(ending, Ending::Failed(_)))
        .map(|(name, ..)| name.as_str())
        .collect();
    if !failed.is_empty() {
        anyhow::bail!("{} of {} steps failed: {}", failed.len(), rows.len(), failed.join(", "));
    }
    let not_run: Vec<String> = rows
        .iter()
        .filter(|(_, ending, _)| matches!(ending, Ending::NotRun(_)))
        .map(|(name, ..)| name.clone())
        .collect();
    if !not_run.is_empty() {
        return Err(Missing::steps(not_run).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, ending: Ending) -> (String, Ending, Duration) {
        (name.to_owned(), ending, Duration::from_millis(1_250))
    }

    #[test]
    fn the_table_shows_every_step_and_the_total() {
        let rows = [row("check", Ending::Passed), row("e2e", Ending::Failed("a\nb".to_owned()))];
        assert_eq!(
            table(&rows, Duration::from_secs(3)),
            "\n  check      1.2 s  ok\n  e2e        1.2 s  FAILED: a\n  total      3.0 s\n  \
             steps: 1 passed, 1 failed, 0 not run\n"
        );
    }

    #[test]
    fn a_failure_outweighs_a_step_that_was_not_run() {
        let not_run = row("browser", Ending::NotRun("no chromium".to_owned()));
        let failed = row("check", Ending::Failed("x".to_owned()));
        let both = verdict(&[not_run.clone(), failed]).unwrap_err();
        assert_eq!(both.to_string(), "1 of 2 steps failed: check");
        assert!(!both.is::<Missing>());
        assert!(verdict(&[not_run]).unwrap_err().is::<Missing>());
        verdict(&[row("check", Ending::Passed)]).unwrap();
    }
}
