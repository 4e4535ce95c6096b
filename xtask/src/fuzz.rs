//! `cargo xtask fuzz`: the decoders under libFuzzer. The same targets run over mutated valid inputs in `cargo test`; here a fuzzer
//! looks for what nobody thought of. It needs a nightly compiler, because coverage is an unstable option.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::args::{Args, Usage};
use crate::setup::Missing;
use crate::shell::{Cmd, root, target};

/// What `cargo fuzz` would build with: coverage for libFuzzer. There is no unsafe code to watch, so no sanitizer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let seconds: u32 = args.value("--seconds")?.unwrap_or(60);
    let only: Option<String> = args.value("--target")?;
    args.finish()?;
    let all = targets()?;
    let chosen: Vec<&String> =
        all.iter().filter(|name| only.as_ref().is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        return Err(Usage(format!("--target: there are {}", all.join(", "))).into());
    }
    if !Cmd::new("cargo").args(["+nightly", "--version"]).succeeds() {
        return Err(Missing::tool("rustup toolchain install nightly --profile minimal").into());
    }
    let host = host()?;
    let built = target("fuzz");
    let mut build = Cmd::new("cargo").args(["+nightly", "build", "--release", "--locked"]);
    // With a target of its own, build scripts and macros stay as they are.
    build = build.args(["--manifest-path", "fuzz/Cargo.toml", "--target", &*host, "--target-dir"]);
    build.arg(&built).env("RUSTFLAGS", FLAGS).run()?;
    for name in chosen {
        let corpus = built.join("corpus").join(name);
        std::fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        println!("== {name}: {seconds} s");
        let program = built.join(&host).join("release").join(name);
        let found = built.join("found");
        std::fs::create_dir_all(&found).with_context(|| found.display().to_string())?;
        // Nothing may take long: an input that does is a finding too.
        let run = Cmd::new(program)
            .arg(format!("-max_total_time={seconds}"))
            .args(["-timeout=10", "-max_len=4096", "-print_final_stats=1", "-verbosity=0"])
            .arg(format!("-artifact_prefix={}/{name}-", found.display()))
            .args([&corpus, &seeds(&built, name)?]);
        if let Err(error) = run.run() {
            bail!("{error:#}; the input is in {}", found.display());
        }
    }
    Ok(())
}

/// Every target, as `fuzz/Cargo.toml` lists them.
fn targets() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("fuzz/Cargo.toml"))?;
    let mut names = text.split("[[bin]]\nname = \"").skip(1);
    let name = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
    Ok(names.by_ref().map(name).collect())
}

/// The triple of this machine.
fn host() -> Result<String> {
    let about = Cmd::new("rustc").arg("-vV").read()?;
    let line = about.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("rustc does not say for which machine it is")
}

/// The valid inputs that the native test begins with, a file for each.
fn seeds(built: &Path, name: &str) -> Result<std::path::PathBuf> {
    let dir = built.join("seeds").join(name);
    if !dir.is_dir() {
        Cmd::cargo()
            .args(["test", "--quiet", "--locked", "--package", "holdfast", "--test", "decoders"])
            .args(["--", "seeds_are_written_for_a_fuzzer"])
            .env("HOLDFAST_SEEDS", built.join("seeds"))
            .run()?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_the_manifest() {
        let all = targets().unwrap();
        assert!(all.len() > 10 && all.iter().any(|name| name == "push_answer"), "{all:?}");
        let wrong = run(&["--target".to_owned(), "nobody".to_owned()]);
        assert!(wrong.unwrap_err().is::<Usage>());
    }
}
