//! `cargo xtask depth`: what one write costs behind a long outbox, in a release build, on the store in memory: rows and bytes
//! exactly, times beside those of an empty outbox in the same run. That rows do not depend on the depth is a test of its own.

use anyhow::Result;

use crate::args::Args;
use crate::shell::Cmd;

pub(crate) fn run(words: &[String]) -> Result<()> {
    Args::new(words).finish()?;
    let cargo = Cmd::cargo().args(["test", "--quiet", "--release", "--locked", "--package"]);
    cargo.args(["holdfast", "--test", "depth", "--", "--measure"]).run()
}
