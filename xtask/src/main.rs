//! `cargo xtask <command>`: every task of this repository, the same for a person and for CI.

mod args;
mod bench;
mod browser;
mod check;
mod demo;
mod depth;
mod fuzz;
mod imports;
mod kill;
mod mutants;
mod node;
mod pkg;
mod postgres;
mod proofs;
mod replay;
mod report;
mod setup;
mod shell;
mod sim;
mod size;
mod test;
mod top;
mod traffic;
mod wasm;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  demo [--port N] [--no-open]    build all, start the server on loopback, print the till's address
  test [--full] [--only A,B]     everything a change needs; --full adds every engine (CI)
  check [--full]                 formatters, lints, licences, types
  setup [--full]                 install what is missing; a second run costs nothing
  pkg                            the npm package, in pkg/
  size [--top]                   what a page downloads for `import \"holdfast\"`; fails over budget;
                                 with --top also where the bytes of the module are
  sim [--seeds N] [--minutes M] [--planted] [--replay TAPE]
  sim --table [--write]          which test proves what, and what none does; --write prints docs/promises.md
  fuzz [--seconds N] [--target X] the decoders under libFuzzer; needs a nightly compiler
  mutants [--sample N] [--seed S] [--only TEXT] [--list]
                                 changes in the plans that no test notices
  depth                          what one write costs behind a long outbox
  traffic [--write]              requests and bytes of 1,000 operations per preset; --write puts the
                                 table into docs/backends.md
  browser [--chromium] [--firefox] [--webkit]
  replay --orders FILE           real sales through a real browser
  kill [--rounds N] [--browser chromium|firefox] [--seed S] [--no-build]
                                 SIGKILL of the browser while a page writes and syncs
  bench                          the figures of the performance page

exit codes: 0 passed, 1 failed, 2 wrong usage, 3 not everything could be run here
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let done = match command.as_str() {
        "demo" => demo::run(&rest),
        "test" => test::run(&rest),
        "check" => check::run(&rest),
        "setup" => setup::run(&rest),
        "pkg" => pkg::run(&rest),
        "size" => size::run(&rest),
        "sim" => sim::run(&rest),
        "fuzz" => fuzz::run(&rest),
        "depth" => depth::run(&rest),
        "traffic" => traffic::run(&rest),
        "mutants" => mutants::run(&rest),
        "browser" => browser::run(&rest),
        "replay" => replay::run(&rest),
        "kill" => kill::run(&rest),
        "bench" => bench::run(&rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        "" => Err(args::Usage("no command given".to_owned()).into()),
        other => Err(args::Usage(format!("unknown command `{other}`")).into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            if error.is::<args::Usage>() {
                eprint!("\n{USAGE}");
                return ExitCode::from(2);
            }
            ExitCode::from(if error.is::<setup::Missing>() { 3 } else { 1 })
        }
    }
}
