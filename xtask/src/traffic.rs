//! `cargo xtask traffic`: requests and bytes for 1,000 operations on each of the five wires, as the table of docs/backends.md has
//! them.

use anyhow::Result;

use crate::args::Args;
use crate::shell::Cmd;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let test = if args.flag("--write") { "write_the_traffic" } else { "print_the_traffic" };
    args.finish()?;
    let cargo = Cmd::cargo().args(["test", "--quiet", "--profile", "sim", "--locked"]);
    cargo
        .args([
            "--package",
            "holdfast",
            "--test",
            "scenarios",
            test,
            "--",
            "--ignored",
            "--nocapture",
        ])
        .run()
}
