//! Tests that Node runs: the package's own, the page's, and the ones that drive a browser.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::shell::{Cmd, files_below, find_program, root, target};
use crate::{demo, setup};

/// Runs the tests of a directory: its own `run.mjs` where it has one, else every `*.test.mjs` and
/// `*.test.ts` below it, one file at a time: each starts its own browser, and two of them on a small
/// machine only slow each other down.
pub(crate) fn test(dir: &str) -> Result<()> {
    setup::npm()?;
    let at = root().join(dir);
    let own = at.join("run.mjs");
    if own.is_file() {
        return node().arg(own).arg("--package").run();
    }
    let files: Vec<PathBuf> =
        files_below(&at)?.into_iter().filter(|file| kind(file).is_some()).collect();
    if files.is_empty() {
        bail!("no *.test.mjs or *.test.ts below {dir}");
    }
    let out = target("node-tests").join(dir);
    let mut run = Vec::new();
    for file in files {
        run.push(match kind(&file) {
            Some(Kind::TypeScript) => bundle(&file, &at, &out)?,
            Some(Kind::JavaScript) | None => file,
        });
    }
    node().args(["--test", "--test-concurrency=1", "--test-reporter=spec"]).args(run).run()
}

/// Node, told where the things under test lie.
fn node() -> Cmd {
    let node = Cmd::new("node")
        .env("HOLDFAST_ROOT", root())
        .env("HOLDFAST_PKG", root().join("pkg"))
        .env("HOLDFAST_WWW", demo::www_dir())
        .env("HOLDFAST_SERVER", demo::server_program());
    match find_program("chromium") {
        Some(chromium) => node.env("CHROMIUM", chromium),
        None => node,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    JavaScript,
    TypeScript,
}

fn kind(file: &Path) -> Option<Kind> {
    let name = file.file_name()?.to_str()?;
    if name.ends_with(".test.mjs") {
        Some(Kind::JavaScript)
    } else if name.ends_with(".test.ts") || name.ends_with(".test.tsx") {
        Some(Kind::TypeScript)
    } else {
        None
    }
}

/// Node 20 cannot run TypeScript, so a test becomes one file; packages stay outside of it.
fn bundle(file: &Path, from: &Path, out: &Path) -> Result<PathBuf> {
    let name = file.strip_prefix(from).context("a test lies below its directory")?;
    let out = out.join(name).with_extension("mjs");
    Cmd::npm_tool("esbuild")
        .arg(file)
        .args(["--bundle", "--packages=external", "--platform=node", "--format=esm"])
        .args(["--sourcemap=inline", "--log-level=warning"])
        .arg(format!("--outfile={}", out.display()))
        .run()?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_files_are_tests() {
        assert_eq!(kind(Path::new("a/order.test.mjs")), Some(Kind::JavaScript));
        assert_eq!(kind(Path::new("order.test.ts")), Some(Kind::TypeScript));
        assert_eq!(kind(Path::new("order.test-d.ts")), None);
        assert_eq!(kind(Path::new("helper.mjs")), None);
    }
}
