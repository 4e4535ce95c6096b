//! The simulated world, natively and fast.

use anyhow::Result;

use crate::args::Args;
use crate::proofs;
use crate::shell::Cmd;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    if args.flag("--table") {
        let write = args.flag("--write");
        args.finish()?;
        return proofs::table(write);
    }
    let mut cargo = Cmd::cargo().args(["test", "--profile", "sim", "--locked", "--package"]);
    cargo = cargo.args(["holdfast", "--test", "sim"]);
    // The planted bugs are compiled out of everything else.
    if words.iter().any(|word| word == "--planted") {
        cargo = cargo.args(["--features", "planted"]);
    }
    cargo.arg("--").args(words).run()
}
