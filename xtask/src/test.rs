//! `cargo xtask test`: everything a change needs, each step with its time.

use anyhow::{Result, bail};

use crate::args::{Args, Usage};
use crate::browser::Engine;
use crate::report::Report;
use crate::shell::{Cmd, root};
use crate::{bench, browser, check, demo, kill, node, pkg, postgres, replay, setup, sim, size};

/// One step: its name, whether only `--full` runs it, the step whose result it uses, what it does.
struct Step {
    name: &'static str,
    full: bool,
    after: Option<&'static str>,
    run: fn(full: bool) -> Result<()>,
}

const fn step(name: &'static str, run: fn(bool) -> Result<()>) -> Step {
    Step { name, full: false, after: None, run }
}

const fn after(first: &'static str, step: Step) -> Step {
    Step { after: Some(first), ..step }
}

const fn full(step: Step) -> Step {
    Step { full: true, ..step }
}

const STEPS: &[Step] = &[
    step("setup", setup::all),
    step("format", |_| check::format()),
    step("clippy", |_| check::clippy()),
    step("docs", |_| check::docs()),
    step("deny", check::deny),
    step("biome", |_| check::biome()),
    step("native", |_| native()),
    step("package", |_| pkg::build()),
    after("package", step("types", |_| check::types())),
    step("chromium", |_| browser::test(Engine::Chromium)),
    full(step("firefox", |_| browser::test(Engine::Firefox))),
    full(step("webkit", |_| browser::test(Engine::WebKit))),
    // A number of seeds, not of minutes: a change is judged by the same worlds on every machine.
    step("sim", |full| sim::run(&words(&["--seeds", if full { "4000" } else { "1500" }]))),
    step("planted", |_| sim::run(&words(&["--planted"]))),
    after("package", step("pkg-tests", |_| node::test("pkg-template/test"))),
    step("server", |_| demo::server()),
    // The quick run has the same suite on SQLite, among the native tests.
    full(step("postgres", |_| postgres::test())),
    after("package", step("conformance", |_| conformance())),
    after("package", step("page", |_| demo::www())),
    step("page-tests", |_| node::test("www/test")),
    after("page", step("e2e", |_| e2e())),
    after("package", step("replay", |_| orders())),
    full(after("package", step("kill", |_| kill::run(&words(&["--rounds", "8", "--no-build"]))))),
    after("package", step("size", |_| size::ratchet())),
    full(after("package", step("bench", |_| bench::run(&words(&["--smoke"]))))),
];

pub(crate) fn run(list: &[String]) -> Result<()> {
    let mut args = Args::new(list);
    let full = args.flag("--full");
    let only: Option<String> = args.value("--only")?;
    args.finish()?;
    let chosen = choose(full, only.as_deref())?;

    let mut report = Report::new();
    for step in chosen {
        // With --only, what a step builds on is taken as it was left by an earlier run.
        match step.after.filter(|first| only.is_none() && !report.passed(first)) {
            Some(first) => report.not_run(step.name, &format!("`{first}` did not pass")),
            None => report.step(step.name, || (step.run)(full)),
        }
    }
    report.finish()
}

fn choose(full: bool, only: Option<&str>) -> Result<Vec<&'static Step>> {
    let Some(only) = only else {
        return Ok(STEPS.iter().filter(|step| full || !step.full).collect());
    };
    let names: Vec<&str> = only.split(',').collect();
    if let Some(name) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let all: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(Usage(format!("no step `{name}`; there are {}", all.join(", "))).into());
    }
    Ok(STEPS.iter().filter(|step| names.contains(&step.name)).collect())
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn native() -> Result<()> {
    Cmd::cargo().args(["test", "--workspace", "--locked"]).run()
}

/// The test that backends are tried with, tried itself.
fn conformance() -> Result<()> {
    demo::server()?;
    node::test("tests/conformance")
}

fn e2e() -> Result<()> {
    setup::programs(setup::CHROMIUM)?;
    demo::server()?;
    node::test("tests/e2e")
}

/// The real order file where it is present, else the small sample of our own making.
fn orders() -> Result<()> {
    setup::programs(setup::CHROMIUM)?;
    let places = ["../shared/data/chipotle-orders.tsv", "tests/data/orders.tsv"];
    let Some(file) = places.into_iter().find(|place| root().join(place).is_file()) else {
        bail!("neither {} is there", places.join(" nor "));
    };
    replay::run(&words(&["--orders", file]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_comes_after_the_one_it_uses_and_runs_with_it() {
        for (at, step) in STEPS.iter().enumerate() {
            let Some(first) = step.after else { continue };
            let found = STEPS.iter().position(|other| other.name == first);
            assert!(found.is_some_and(|found| found < at), "{} after {first}", step.name);
            assert!(step.full || !STEPS[found.unwrap()].full, "{} after {first}", step.name);
        }
    }

    #[test]
    fn full_adds_steps_and_only_picks_them() {
        let names = |steps: Vec<&'static Step>| steps.iter().map(|s| s.name).collect::<Vec<_>>();
        assert!(!names(choose(false, None).unwrap()).contains(&"firefox"));
        assert_eq!(choose(true, None).unwrap().len(), STEPS.len());
        assert_eq!(names(choose(false, Some("size,native")).unwrap()), ["native", "size"]);
        assert!(choose(false, Some("nativ")).err().unwrap().is::<Usage>());
    }
}
