//! Installing what is missing. Every part looks first, so a second run costs nothing.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::shell::{self, Cmd, find_program, root, target};

/// The oldest Node that the tools of `tools/package.json` run on.
const NODE: (u32, u32) = (20, 19);
const GECKODRIVER: &str = "0.37.1";
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// A program of the system and the Debian package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    package: &'static str,
}

pub(crate) const CHROMIUM: &[Program] = &[
    Program { name: "chromium", package: "chromium" },
    Program { name: "chromedriver", package: "chromium-driver" },
];
pub(crate) const FIREFOX: &[Program] = &[Program { name: "firefox-esr", package: "firefox-esr" }];
pub(crate) const WEBKIT: &[Program] = &[
    Program { name: "WebKitWebDriver", package: "webkit2gtk-driver" },
    Program { name: "xvfb-run", package: "xvfb" },
    Program { name: "xauth", package: "xauth" },
];

pub(crate) const POSTGRES: &[Program] = &[Program { name: "initdb", package: "postgresql" }];

/// Something could not be run on this machine, which is not the same as failing.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl Missing {
    fn packages(packages: &[&str]) -> Self {
        Self(format!(
            "missing programs; as root: apt-get install --no-install-recommends {}",
            packages.join(" ")
        ))
    }

    /// A tool that few need, and how to get it.
    pub(crate) fn tool(install: &str) -> Self {
        Self(format!("a tool is missing: {install}"))
    }

    pub(crate) fn steps(names: Vec<String>) -> Self {
        Self(format!("not run on this machine: {}", names.join(", ")))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let full = args.flag("--full");
    args.finish()?;
    all(full)
}

/// Everything `cargo xtask test` needs. Programs of the system come last: without them the rest is
/// still there to be used.
pub(crate) fn all(full: bool) -> Result<()> {
    components()?;
    wasm_target()?;
    wasm_tools()?;
    npm()?;
    if full {
        geckodriver()?;
    }
    let mut needs = CHROMIUM.to_vec();
    if full {
        needs.extend_from_slice(FIREFOX);
        needs.extend_from_slice(WEBKIT);
        needs.extend_from_slice(POSTGRES);
    }
    programs(&needs)
}

/// rustfmt and clippy, which a minimal toolchain lacks.
pub(crate) fn components() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let tool = if component == "clippy" { "clippy-driver" } else { component };
        if !Cmd::new(tool).arg("--version").succeeds() {
            Cmd::new("rustup").args(["component", "add", component]).run()?;
        }
    }
    Ok(())
}

/// The standard library for WebAssembly.
pub(crate) fn wasm_target() -> Result<()> {
    let dir =
        Cmd::new("rustc").args(["--print", "target-libdir", "--target", WASM_TARGET]).read()?;
    if Path::new(dir.trim()).is_dir() {
        return Ok(());
    }
    Cmd::new("rustup").args(["target", "add", WASM_TARGET]).run()
}

/// `wasm-bindgen` and its test runner, built from the lock file of `tools/`.
pub(crate) fn wasm_tools() -> Result<()> {
    Cmd::cargo()
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path", "tools/Cargo.toml"])
        .arg("--target-dir")
        .arg(target("tools/wb"))
        .run()
}

/// Where [`wasm_tools`] puts a program.
pub(crate) fn wasm_tool(name: &str) -> PathBuf {
    target("tools/wb/release").join(name)
}

/// geckodriver, which Debian does not package. Unoptimised: a quarter of the time, as good a driver.
pub(crate) fn geckodriver() -> Result<PathBuf> {
    let home = target("tools/gecko");
    let program = home.join("bin/geckodriver");
    if program.is_file() {
        let shown = Cmd::new(&program).arg("--version").read().unwrap_or_default();
        if shown.split_whitespace().nth(1) == Some(GECKODRIVER) {
            return Ok(program);
        }
    }
    let build = target("tools/gecko-build");
    Cmd::cargo()
        .args(["install", "--quiet", "geckodriver", "--version", GECKODRIVER, "--locked", "--root"])
        .arg(&home)
        .env("CARGO_TARGET_DIR", &build)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .run()?;
    // Several hundred megabytes that nothing uses again.
    std::fs::remove_dir_all(&build).with_context(|| build.display().to_string())?;
    Ok(program)
}

/// The npm tools. The stamp holds what they were installed from.
pub(crate) fn npm() -> Result<()> {
    node_version()?;
    let tools = root().join("tools");
    let modules = tools.join("node_modules");
    let stamp = modules.join(".holdfast-stamp");
    let mut wanted = shell::read(&tools.join("package.json"))?;
    wanted.extend(shell::read(&tools.join("package-lock.json"))?);
    if !std::fs::read(&stamp).is_ok_and(|found| found == wanted) {
        Cmd::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).dir(&tools).run()?;
        shell::write(&stamp, &wanted)?;
    }
    // Tests and pages lie beside `tools/`, not below it, and find packages through these links;
    // `holdfast` is the package as it was built last.
    link(Path::new("tools/node_modules"), &root().join("node_modules"))?;
    link(Path::new("../../pkg"), &modules.join("holdfast"))
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if std::fs::read_link(at).is_ok_and(|found| found == to) {
        return Ok(());
    }
    match std::fs::remove_file(at) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| at.display().to_string()),
    }
    std::os::unix::fs::symlink(to, at).with_context(|| at.display().to_string())
}

fn node_version() -> Result<()> {
    let shown = Cmd::new("node")
        .arg("--version")
        .read()
        .context("Node.js is needed, version 20.19 or newer")?;
    let Some(found) = parse_node(&shown) else {
        bail!("`node --version` says {shown:?}");
    };
    if found < NODE {
        bail!("Node.js {}.{} or newer is needed, found {}", NODE.0, NODE.1, shown.trim());
    }
    Ok(())
}

fn parse_node(shown: &str) -> Option<(u32, u32)> {
    let mut parts = shown.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Makes programs of the system available: installs their packages when that is possible here.
pub(crate) fn programs(needs: &[Program]) -> Result<()> {
    let there = |name: &str| find_program(name).is_some();
    let packages = missing(needs, there);
    if packages.is_empty() {
        return Ok(());
    }
    let may_install = find_program("apt-get").is_some() && is_root();
    if may_install {
        apt_install(&packages)?;
    }
    let still = missing(needs, there);
    if still.is_empty() { Ok(()) } else { Err(Missing::packages(&still).into()) }
}

fn missing(needs: &[Program], there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for need in needs {
        if !there(need.name) && !packages.contains(&need.package) {
            packages.push(need.package);
        }
    }
    packages
}

pub(crate) fn is_root() -> bool {
    Cmd::new("id").arg("-u").read().is_ok_and(|id| id.trim() == "0")
}

fn apt_install(packages: &[&str]) -> Result<()> {
    const TRIES: u32 = 6;
    println!("installing {}", packages.join(" "));
    for attempt in 1..=TRIES {
        let apt = || Cmd::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
        let installed = apt().args(["update", "-qq"]).run().and_then(|()| {
            apt()
                .args(["install", "-y", "-qq", "--no-install-recommends"])
                .args(["-o", "DPkg::Lock::Timeout=120"])
                .args(packages)
                .run()
        });
        match installed {
            Ok(()) => return Ok(()),
            Err(error) if attempt == TRIES => {
                eprintln!("{error:#}");
                return Err(Missing::packages(packages).into());
            }
            // The package lists may be locked by another process, and nothing tells when it ends.
            Err(error) => {
                eprintln!("{error:#}; trying again");
                std::thread::sleep(Duration::from_secs(10));
            }
        }
    }
    Ok(())
}

/// Held while `pkg/` or the tools are written: two tasks at once must not mix their files.
pub(crate) fn exclusive() -> Result<File> {
    let path = target("xtask.lock");
    shell::write(&path, "")?;
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    if file.try_lock().is_err() {
        println!("waiting for another xtask to finish building");
        file.lock().with_context(|| path.display().to_string())?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_package_is_named_once() {
        let needs = [
            Program { name: "a", package: "p" },
            Program { name: "b", package: "p" },
            Program { name: "c", package: "q" },
        ];
        assert_eq!(missing(&needs, |_| false), ["p", "q"]);
        assert_eq!(missing(&needs, |name| name != "b"), ["p"]);
        assert!(missing(&needs, |_| true).is_empty());
    }

    #[test]
    fn what_is_missing_is_told_as_a_command() {
        assert_eq!(
            Missing::packages(&["chromium", "xvfb"]).to_string(),
            "missing programs; as root: apt-get install --no-install-recommends chromium xvfb"
        );
    }

    #[test]
    fn node_versions_compare_as_numbers() {
        assert_eq!(parse_node("v20.19.0\n"), Some((20, 19)));
        assert!(parse_node("v20.9.1").unwrap() < NODE);
        assert!(parse_node("v100.0.0").unwrap() > NODE);
        assert_eq!(parse_node("20"), None);
        assert_eq!(parse_node("vx.y"), None);
    }
}
