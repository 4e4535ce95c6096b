//! Starting programs, and where things lie.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The repository.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// `target/<name>`, where every generated file but `pkg/` goes.
pub(crate) fn target(name: &str) -> PathBuf {
    root().join("target").join(name)
}

/// Time since `start`. The only clock of these tasks.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "tasks measure real time; the client must not")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A program to run in the repository's root; what it was is part of every error.
pub(crate) struct Cmd {
    inner: Command,
    shown: String,
}

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut inner = Command::new(program);
        inner.current_dir(root());
        let name = Path::new(program).file_name().unwrap_or(program);
        Self { inner, shown: name.to_string_lossy().into_owned() }
    }

    /// `cargo`, the one that runs this.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// One of the npm tools of `tools/package.json`.
    pub(crate) fn npm_tool(name: &str) -> Self {
        Self::new(root().join("tools/node_modules/.bin").join(name))
    }

    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&word.as_ref().to_string_lossy());
        self.inner.arg(word);
        self
    }

    pub(crate) fn args<W: AsRef<OsStr>>(self, words: impl IntoIterator<Item = W>) -> Self {
        words.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Runs it with our own standard streams; an exit code other than 0 is an error.
    pub(crate) fn run(mut self) -> Result<()> {
        let status =
            self.inner.status().with_context(|| format!("could not start `{}`", self.shown))?;
        if !status.success() {
            bail!("`{}` failed ({status})", self.shown);
        }
        Ok(())
    }

    /// Runs it and gives its standard output; an exit code other than 0 is an error.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self
            .inner
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("could not start `{}`", self.shown))?;
        if !output.status.success() {
            bail!("`{}` failed ({})", self.shown, output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("output of `{}`", self.shown))
    }

    /// Did it end well? Its output is thrown away; a program that is not there did not end well.
    pub(crate) fn succeeds(mut self) -> bool {
        let status = self.inner.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        status.status().is_ok_and(|status| status.success())
    }

    /// The bare command, for a child that runs beside us.
    pub(crate) fn into_inner(self) -> Command {
        self.inner
    }
}

/// The full path of a program on `PATH`, or in a directory that is often missing from it.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let also = [PathBuf::from("/usr/bin"), PathBuf::from("/usr/sbin")];
    std::env::split_paths(&path)
        .chain(also)
        .chain(postgres_dirs())
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Debian keeps PostgreSQL's own programs out of `PATH`, by version; the newest first.
fn postgres_dirs() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    dirs.sort();
    dirs.reverse();
    dirs
}

/// Files below `dir` (not inside `node_modules`), sorted, so that no step depends on disk order.
pub(crate) fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                if entry.file_name() != "node_modules" {
                    open.push(entry.path());
                }
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `std::fs::write` that makes the directory and names the file in its error.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// `std::fs::read` that names the file in its error.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// `std::fs::copy` that names both files in its error.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to)
        .with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_names_itself_and_a_missing_one_too() {
        let error = Cmd::new("false").arg("x").run().unwrap_err();
        assert!(error.to_string().starts_with("`false x` failed"), "{error}");
        let error = Cmd::new("no-such-program").read().unwrap_err();
        assert_eq!(error.to_string(), "could not start `no-such-program`");
        assert!(!Cmd::new("no-such-program").succeeds());
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program").is_none());
    }
}
