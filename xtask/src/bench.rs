//! The figures of the performance page, in a browser, beside IndexedDB written by hand. Nothing is
//! asserted about speed; what was measured is checked for being whole.

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::args::Args;
use crate::shell::{self, Cmd, find_program, root, target};
use crate::{pkg, setup};

const REPS: u32 = 3;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let smoke = args.flag("--smoke");
    let sqlite = args.flag("--sqlite");
    let built = args.flag("--no-build");
    let reps: u32 = args.value("--reps")?.unwrap_or(if smoke { 1 } else { REPS });
    let only: Option<String> = args.value("--only")?;
    args.finish()?;

    setup::programs(setup::CHROMIUM)?;
    setup::npm()?;
    if !built {
        setup::wasm_target()?;
        setup::wasm_tools()?;
        pkg::build()?;
    }
    // A directory of its own, so that two runs at once do not meet.
    let dir = target("bench").join(std::process::id().to_string());
    let name = match (smoke, sqlite) {
        (true, _) => "smoke.json",
        (false, true) => "sqlite.json",
        (false, false) => "leveldb.json",
    };
    let out = target("bench").join(name);
    let job = json!({
        "pkg": pkg::dir(),
        "out": out,
        "dir": dir,
        "reps": reps.max(1),
        "only": only.map(|only| only.split(',').map(str::to_owned).collect::<Vec<_>>()),
        "smoke": smoke,
        "sqlite": sqlite,
    });
    let job_file = dir.join("job.json");
    shell::write(&job_file, job.to_string())?;
    let chromium = find_program("chromium").context("chromium")?;
    Cmd::new("node")
        .arg(root().join("xtask/js/bench/run.mjs"))
        .arg(&job_file)
        .env("CHROMIUM", chromium)
        .run()?;
    println!("  every run is in {}", out.display());
    std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())
}
