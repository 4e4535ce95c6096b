//! `cargo xtask kill`: SIGKILL of the whole browser, again and again, while a page writes and syncs. Nothing that the
//! page was told is stored may be lost, and nothing may happen twice.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::args::Args;
use crate::demo::{self, Server};
use crate::shell::{self, Cmd, Stopwatch, find_program, root, target};
use crate::{pkg, setup};

/// No secret: the server listens on loopback, for as long as this runs.
const TOKEN: &str = "kill";
/// A request takes a moment, so that blows fall while one is under way; now and then an answer is lost as well.
const FAULTS: [&str; 4] = ["delay:15", "apply-then-drop:7@push", "cut:11@push", "drop:13@pull"];
/// Seconds that one session may take, the start of the browser included.
const LIMIT: u64 = 180;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browser {
    Chromium,
    Firefox,
}

impl FromStr for Browser {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "chromium" => Ok(Self::Chromium),
            "firefox" => Ok(Self::Firefox),
            _ => Err(()),
        }
    }
}

impl Browser {
    fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox-esr",
        }
    }
}

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let rounds: u64 = args.value("--rounds")?.unwrap_or(8);
    let browser = args.value("--browser")?.unwrap_or(Browser::Chromium);
    let seed: Option<u32> = args.value("--seed")?;
    let built = args.flag("--no-build");
    args.finish()?;

    setup::programs(match browser {
        Browser::Chromium => setup::CHROMIUM,
        Browser::Firefox => setup::FIREFOX,
    })?;
    setup::npm()?;
    if !built {
        setup::wasm_target()?;
        setup::wasm_tools()?;
        pkg::build()?;
    }
    demo::server()?;
    let dir = target("kill").join(std::process::id().to_string());
    let figures = session(browser, rounds, seed, &dir)?;
    print!("{}", figures.table());
    let wrong = figures.wrong();
    if !wrong.is_empty() {
        bail!("{}; everything is in {}", wrong.join("; "), dir.display());
    }
    std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())
}

fn session(browser: Browser, rounds: u64, seed: Option<u32>, dir: &Path) -> Result<Figures> {
    let watch = Stopwatch::start();
    let database = dir.join("server.db");
    let faults: Vec<&str> = FAULTS.iter().flat_map(|fault| ["--fault", fault]).collect();
    let server = Server::start(0, &database, TOKEN, &[&["--quiet"], &*faults].concat())?;
    let program = find_program(browser.program()).context(browser.program())?;
    let job = json!({
        "engine": browser.name(),
        "program": program,
        "address": server.address,
        "token": TOKEN,
        "pkg": pkg::dir(),
        "profile": dir.join("profile"),
        "rounds": rounds,
        "seed": seed,
        "limit": LIMIT,
    });
    let (job_file, result_file) = (dir.join("job.json"), dir.join("result.json"));
    shell::write(&job_file, job.to_string())?;
    let drive = root().join("xtask/js/kill/drive.mjs");
    Cmd::new("node").arg(drive).args([&job_file, &result_file]).run()?;
    drop(server);
    let result = serde_json::from_slice(&shell::read(&result_file)?).context("result")?;
    let audit = Cmd::new(demo::server_program()).args(["audit", "--database"]).arg(&database);
    let audit = serde_json::from_str(&audit.read()?).context("audit")?;
    Ok(Figures { browser, rounds, result, audit, seconds: watch.elapsed().as_secs() })
}

/// What the rounds left behind.
struct Figures {
    browser: Browser,
    rounds: u64,
    /// As `drive.mjs` wrote it.
    result: Value,
    /// As `holdfast-server audit` printed it.
    audit: Value,
    seconds: u64,
}

impl Figures {
    fn number(&self, pointer: &str) -> Option<u64> {
        self.result.pointer(pointer)?.as_u64()
    }

    fn count(&self, list: &str) -> Option<usize> {
        Some(self.result.pointer(list)?.as_array()?.len())
    }

    fn audited(&self, pointer: &str) -> Option<u64> {
        self.audit.pointer(pointer)?.as_u64()
    }

    /// What must not be. A figure that is missing counts as wrong.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (what, list) in [
            ("accepted writes lost", "/lost"),
            ("records that differ", "/differing"),
            ("errors in the page", "/troubles"),
            ("losses of the browser's that were not noticed", "/unnoticed"),
            ("losses noticed that were none", "/falseAlarms"),
        ] {
            if self.count(list) != Some(0) {
                let list = self.result.pointer(list).unwrap_or(&Value::Null);
                wrong.push(format!("{what}: {list}"));
            }
        }
        for (what, found, expected) in [
            ("kills", self.number("/kills/all"), self.rounds),
            ("left in the outbox", self.number("/outbox"), 0),
            ("conflicts", self.number("/conflicts"), 0),
            ("effects of one operation", self.audited("/maxEffects"), 1),
        ] {
            if found != Some(expected) {
                wrong.push(format!("{what}: {found:?} instead of {expected}"));
            }
        }
        if self.audited("/effects") != self.audited("/applied") {
            wrong.push(format!("the server's effects and verdicts differ: {}", self.audit));
        }
        if self.result.pointer("/audit/balanced") != Some(&Value::Bool(true)) {
            let books = self.result.pointer("/audit").unwrap_or(&Value::Null);
            wrong.push(format!("the device's books do not balance: {books}"));
        }
        if self.number("/accepted").unwrap_or(0) == 0 {
            wrong.push("nothing was accepted".to_owned());
        }
        wrong
    }

    fn table(&self) -> String {
        let mut out = String::new();
        let shown = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let kills = |at: &str| shown(self.number(&format!("/kills/{at}")));
        let length = |list: &str| shown(self.count(list).map(|n| n as u64));
        let _ = writeln!(
            out,
            "\n  {:<20}{}, {} rounds in {} s (seed {})",
            "browser",
            self.browser.name(),
            self.rounds,
            self.seconds,
            shown(self.number("/seed")),
        );
        for (name, value) in [
            ("writes accepted", shown(self.number("/accepted"))),
            (
                "killed while",
                format!(
                    "writing {}, pushing {}, pulling {}, opening {}; none of these {}",
                    kills("writing"),
                    kills("pushing"),
                    kills("pulling"),
                    kills("opening"),
                    kills("idle"),
                ),
            ),
            ("lost", length("/lost")),
            ("duplicated", shown(self.audited("/maxEffects").map(|most| most.saturating_sub(1)))),
            (
                "on the server",
                format!(
                    "{} effects of {} operations, {} answered again",
                    shown(self.audited("/effects")),
                    shown(self.audited("/operations")),
                    shown(self.audited("/duplicates")),
                ),
            ),
            (
                "differing records",
                format!("{} of {}", length("/differing"), shown(self.number("/records"))),
            ),
            (
                "storage lost",
                format!(
                    "{} times by the browser, noticed; {} accepted writes with it",
                    length("/deleted"),
                    shown(self.number("/withStorage")),
                ),
            ),
        ] {
            let _ = writeln!(out, "  {name:<20}{value}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Figures {
        Figures {
            browser: Browser::Chromium,
            rounds: 8,
            result: json!({
                "seed": 7, "accepted": 90, "records": 40, "lost": [], "differing": [], "troubles": [],
                "kills": {"all": 8, "opening": 1, "writing": 6, "pushing": 3, "pulling": 1, "idle": 0},
                "deleted": [], "unnoticed": [], "falseAlarms": [], "withStorage": 0,
                "outbox": 0, "conflicts": 0, "audit": {"balanced": true},
            }),
            audit: json!({"operations": 80, "applied": 80, "effects": 80, "maxEffects": 1, "duplicates": 4}),
            seconds: 60,
        }
    }

    #[test]
    fn a_good_run_has_nothing_wrong() {
        assert_eq!(good().wrong(), Vec::<String>::new());
        let table = good().table();
        assert!(table.contains("writing 6, pushing 3, pulling 1, opening 1"), "{table}");
    }

    #[test]
    fn every_figure_counts() {
        for (pointer, to) in [
            ("/lost", json!([{"opId": "x"}])),
            ("/differing", json!(["orders/1"])),
            ("/troubles", json!(["x"])),
            ("/unnoticed", json!([3])),
            ("/falseAlarms", json!([3])),
            ("/kills/all", json!(7)),
            ("/outbox", json!(1)),
            ("/conflicts", json!(1)),
            ("/audit/balanced", json!(false)),
            ("/accepted", json!(0)),
            ("/lost", Value::Null),
        ] {
            let mut figures = good();
            *figures.result.pointer_mut(pointer).unwrap() = to;
            assert_eq!(figures.wrong().len(), 1, "{pointer}");
        }
        for (pointer, to) in [("/maxEffects", json!(2)), ("/effects", json!(81))] {
            let mut figures = good();
            *figures.audit.pointer_mut(pointer).unwrap() = to;
            assert_eq!(figures.wrong().len(), 1, "{pointer}");
        }
    }

    #[test]
    fn a_browser_is_one_of_two() {
        assert_eq!("firefox".parse(), Ok(Browser::Firefox));
        assert_eq!("lynx".parse::<Browser>(), Err(()));
    }
}
