//! The simulated world, natively and fast.

use anyhow::Result;

use crate::shell::Cmd;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut cargo = Cmd::cargo().args(["test", "--profile", "sim", "--locked", "--package"]);
    cargo = cargo.args(["holdfast", "--test", "sim"]);
    // The planted bugs are compiled out of everything else.
    if words.iter().any(|word| word == "--planted") {
        cargo = cargo.args(["--features", "planted"]);
    }
    cargo.arg("--").args(words).run()
}
