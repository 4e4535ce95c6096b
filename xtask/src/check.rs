//! What can be said about the sources without running them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::report::Report;
use crate::shell::{Cmd, root, target};
use crate::{browser, pkg, setup};

const CARGO_DENY: &str = "0.20.2";

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let full = args.flag("--full");
    args.finish()?;
    setup::components()?;
    setup::wasm_target()?;
    setup::wasm_tools()?;
    setup::npm()?;
    let mut report = Report::new();
    report.step("format", format);
    report.step("clippy", clippy);
    report.step("docs", docs);
    report.step("deny", || deny(full));
    report.step("biome", biome);
    report.step("package", pkg::build);
    report.step("types", types);
    report.finish()
}

pub(crate) fn format() -> Result<()> {
    Cmd::cargo().args(["fmt", "--all", "--check"]).run()?;
    Cmd::cargo().args(["fmt", "--check", "--manifest-path", "tools/Cargo.toml"]).run()
}

pub(crate) fn clippy() -> Result<()> {
    let clippy = || Cmd::cargo().args(["clippy", "--quiet", "--locked"]);
    let deny = ["--", "-D", "warnings"];
    clippy().args(["--workspace", "--all-targets"]).args(deny).run()?;
    let client = || clippy().args(["--package", "holdfast"]);
    client().args(["--all-targets", "--features", "planted"]).args(deny).run()?;
    // Not every target: unit tests run natively, and what they use need not build for the web.
    let web = || client().args(["--target", "wasm32-unknown-unknown", "--lib"]);
    web().args(browser::test_flags()?).args(deny).run()?;
    web().arg("--no-default-features").args(deny).run()
}

/// A link that leads nowhere is an error. The examples themselves run with the native tests.
pub(crate) fn docs() -> Result<()> {
    Cmd::cargo()
        .args(["doc", "--quiet", "--locked", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// Licences, bans and sources of every crate. Advisories need a database from the network, see
/// `deny.toml`.
pub(crate) fn deny(install: bool) -> Result<()> {
    let home = target("tools/deny");
    let own = home.join("bin/cargo-deny");
    if !own.is_file() && !Cmd::new("cargo-deny").arg("--version").succeeds() {
        if !install {
            println!(
                "cargo-deny is not installed: `cargo xtask check --full` installs and runs it"
            );
            return Ok(());
        }
        let build = target("tools/deny-build");
        Cmd::cargo()
            .args(["install", "--quiet", "cargo-deny", "--version", CARGO_DENY, "--locked"])
            .arg("--root")
            .arg(&home)
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .run()?;
        std::fs::remove_dir_all(&build).with_context(|| build.display().to_string())?;
    }
    let program = if own.is_file() { own } else { PathBuf::from("cargo-deny") };
    for manifest in ["Cargo.toml", "tools/Cargo.toml"] {
        Cmd::new(&program)
            .args(["--locked", "--manifest-path", manifest, "--config", "deny.toml"])
            .args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"])
            .run()?;
    }
    Ok(())
}

pub(crate) fn biome() -> Result<()> {
    Cmd::npm_tool("biome").args(["check", "--error-on-warnings", "."]).run()
}

/// Every TypeScript project. The package's own needs the generated glue, so `pkg/` must be built.
pub(crate) fn types() -> Result<()> {
    if !pkg::dir().join("dist/holdfast.d.ts").is_file() {
        bail!("the package is not built: cargo xtask pkg");
    }
    let all = ["pkg-template", "pkg-template/test", "www", "www/test", "tests/e2e"];
    let required = ["pkg-template", "www"];
    for name in all {
        let project = root().join(name).join("tsconfig.json");
        if project.is_file() {
            Cmd::npm_tool("tsc").args(["--noEmit", "--project"]).arg(project).run()?;
        } else if required.contains(&name) {
            bail!("{name}/tsconfig.json is missing");
        }
    }
    Ok(())
}
