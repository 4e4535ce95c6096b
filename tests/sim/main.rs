//! The simulated world: the real engine on two devices with two tabs each, against a model of the server, under every fault that
//! the ports allow. Every decision is read from a tape, every run is made twice and must be the same, and judges that know what
//! users meant look at every commit. Users carry outbox files from device to device, and browsers delete databases.
//!
//! ```text
//! cargo test --profile sim --test sim -- [--seeds N] [--minutes M] [--from SEED] [--replay TAPE]
//! cargo test --profile sim --features planted --test sim -- --planted
//! ```

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test: a world that is wrong in itself stops, and only its runner looks at a real clock"
)]

mod asks;
mod carry;
mod eviction;
mod host;
mod mirror;
mod oracle;
mod replay;
mod server;
mod tape;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oracle::Violation;
use tape::Tape;
use world::Report;

/// Seeds of a plain `cargo test`.
const SHORT: u64 = 60;

/// Each planted bug must be found within so many.
#[cfg(feature = "planted")]
const PLANTED: u64 = 5_000;

struct Options {
    seeds: Option<u64>,
    minutes: Option<f64>,
    from: u64,
    planted: bool,
    replay: Option<String>,
    threads: usize,
    /// Goes on after a violation and shows one of each kind.
    all: bool,
    /// Names what it found and does not look for a shorter tape.
    brief: bool,
    /// Only other tests are wanted.
    elsewhere: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seeds: None,
        minutes: None,
        from: 0,
        planted: false,
        replay: None,
        threads: std::thread::available_parallelism().map_or(1, usize::from).min(8),
        all: false,
        brief: false,
        elsewhere: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text}: no number"));
        match word.as_str() {
            "--seeds" => options.seeds = Some(number(value()?)?),
            "--minutes" => {
                let text = value()?;
                let minutes = text.parse().map_err(|_| format!("{text}: no number"))?;
                options.minutes = Some(minutes);
            }
            "--from" => options.from = number(value()?)?,
            "--threads" => options.threads = usize::try_from(number(value()?)?).unwrap_or(1).max(1),
            "--all" => options.all = true,
            "--brief" => options.brief = true,
            "--planted" => options.planted = true,
            "--replay" => options.replay = Some(value()?),
            // What `cargo test` hands to every target.
            "--nocapture" | "--no-capture" | "--quiet" | "-q" | "--include-ignored" | "--exact" => {
            }
            "--test-threads" | "--color" | "--format" => drop(value()?),
            "--skip" => options.elsewhere |= "sim".contains(&value()?),
            "--list" | "--ignored" => options.elsewhere = true,
            other if other.starts_with('-') => {
                return Err(format!("{other} is not an option of the simulation"));
            }
            // A filter: one that means other tests means not this one.
            filter => options.elsewhere |= !"sim".contains(filter),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let result = options().and_then(|options| {
        if options.elsewhere {
            println!("test result: ok. 0 passed; 0 failed; 1 filtered out");
            Ok(())
        } else if options.planted {
            planted()
        } else if let Some(tape) = &options.replay {
            replay(tape)
        } else {
            soak(&options)
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a seed twice: the second run must leave the same trace.
fn run_seed(seed: u64) -> Report {
    let mut first = world::run(Tape::seeded(seed), false, false);
    let second = world::run(Tape::seeded(seed), false, false);
    first.steps += second.steps;
    if first.violation.is_none() && first.hash != second.hash {
        let text = format!("{:016x} and {:016x}", first.hash, second.hash);
        first.violation = Some(Violation { oracle: "determinism", text });
    }
    first
}

/// By oracle: how often it fired, on which seeds, and the first report.
type Findings = BTreeMap<&'static str, (u64, Vec<u64>, Report)>;

fn soak(options: &Options) -> Result<(), String> {
    let started = Instant::now();
    let limit = options.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let seeds = match (options.seeds, limit) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX,
        (None, None) => SHORT,
    };
    let next = AtomicU64::new(0);
    let steps = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    let found: Mutex<Findings> = Mutex::default();
    let notes: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                let mut mine: BTreeMap<&'static str, u64> = BTreeMap::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let late = limit.is_some_and(|limit| started.elapsed() > limit);
                    let stop = !options.all && !found.lock().expect("no poison").is_empty();
                    if index >= seeds || late || stop {
                        break;
                    }
                    let seed = options.from + index;
                    let report = run_seed(seed);
                    steps.fetch_add(report.steps, Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                    for (what, count) in &report.notes {
                        *mine.entry(what).or_default() += count;
                    }
                    if let Some(violation) = &report.violation {
                        let mut found = found.lock().expect("no poison");
                        match found.get_mut(violation.oracle) {
                            Some((other, seeds, _)) if seed > *other => seeds.push(seed),
                            Some(known) => {
                                let mut seeds = std::mem::take(&mut known.1);
                                seeds.push(seed);
                                *known = (seed, seeds, report);
                            }
                            None => {
                                found.insert(violation.oracle, (seed, vec![seed], report));
                            }
                        }
                    }
                }
                let mut all = notes.lock().expect("no poison");
                for (what, count) in mine {
                    *all.entry(what).or_default() += count;
                }
            });
        }
    });
    let (steps, done) = (steps.into_inner(), done.into_inner());
    let seconds = started.elapsed().as_secs_f64();
    let found = found.into_inner().expect("no poison");
    if options.brief
        && let Some((oracle, (seed, ..))) = found.first_key_value()
    {
        return Err(format!("seed {seed}: {oracle}"));
    }
    if !found.is_empty() {
        let failed: u64 = found.values().map(|(_, seeds, _)| seeds.len() as u64).sum();
        let told: Vec<String> = found
            .values()
            .map(|(seed, seeds, report)| {
                let times = seeds.len();
                format!("{}\n{times} times in {done} seeds: {seeds:?}", explain(*seed, report))
            })
            .collect();
        let told = told.join("\n\n");
        return Err(format!(
            "{told}\ntest result: FAILED. {} passed; {failed} failed",
            done - failed
        ));
    }
    let notes = notes.into_inner().expect("no poison");
    let notes: Vec<String> = notes.iter().map(|(what, count)| format!("{what} {count}")).collect();
    println!("sim: {}", notes.join(", "));
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let speed = steps as f64 / seconds;
    println!(
        "sim: {steps} steps, {done} seeds (each run twice), {speed:.0} steps per second on {} threads, {seconds:.1} s, violations 0",
        options.threads
    );
    println!("test result: ok. {done} passed; 0 failed");
    Ok(())
}

/// Runs a tape that was kept, aloud.
fn replay(given: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(given).unwrap_or_else(|_| given.to_owned());
    let bytes = tape::from_hex(&text).ok_or("the tape is neither a file nor hex")?;
    let report = world::run(Tape::given(bytes), true, false);
    for line in &report.log {
        println!("{line}");
    }
    match report.violation {
        Some(violation) => Err(format!("{}: {}", violation.oracle, violation.text)),
        None => {
            println!("sim: {} steps, hash {:016x}, violations 0", report.steps, report.hash);
            Ok(())
        }
    }
}

/// Makes a failing tape shorter and tamer, as long as the same oracle fires.
fn shrink(tape: &[u8], oracle: &str, behaviour_only: bool) -> Vec<u8> {
    let started = Instant::now();
    let fires = |bytes: &[u8]| {
        let report = world::run(Tape::given(bytes.to_vec()), false, behaviour_only);
        report.violation.is_some_and(|violation| violation.oracle == oracle)
    };
    let mut best = tape.to_vec();
    if !fires(&best) {
        return best;
    }
    let in_time = || started.elapsed() < Duration::from_secs(10);
    let mut size = best.len() / 2;
    while size > 0 && in_time() {
        let mut at = best.len().saturating_sub(size);
        loop {
            let mut cut = best.clone();
            cut.drain(at..(at + size).min(best.len()));
            let mut tame = best.clone();
            let end = (at + size).min(best.len());
            tame[at..end].fill(0);
            if fires(&cut) {
                best = cut;
            } else if tame != best && fires(&tame) {
                best = tame;
            }
            if at == 0 || !in_time() {
                break;
            }
            at = at.saturating_sub(size);
            if at + size > best.len() {
                at = best.len().saturating_sub(size);
                if at == 0 {
                    break;
                }
            }
        }
        size /= 2;
    }
    best
}

fn explain(seed: u64, report: &Report) -> String {
    let Some(violation) = &report.violation else { return String::new() };
    let small = shrink(&report.tape, violation.oracle, false);
    let again = world::run(Tape::given(small.clone()), true, false);
    let file = std::env::temp_dir().join(format!("holdfast-sim-{seed}.tape"));
    let kept = match std::fs::write(&file, tape::to_hex(&small)) {
        Ok(()) => format!("--replay {}", file.display()),
        Err(_) => format!("--replay {}", tape::to_hex(&small)),
    };
    let said = again.violation.as_ref().unwrap_or(violation);
    let tail = again.log.len().saturating_sub(120);
    format!(
        "{}\n\nseed {seed}: {}\n{}\n(as first seen: {})\ntape of {} bytes, shrunk from {}: {kept}",
        again.log[tail..].join("\n"),
        said.oracle,
        said.text,
        violation.text,
        small.len(),
        report.tape.len(),
    )
}

#[cfg(not(feature = "planted"))]
fn planted() -> Result<(), String> {
    Err("planted bugs are compiled in only with `--features planted`".to_owned())
}

/// Plants each bug and counts the seeds until a judge of behaviour sees it.
#[cfg(feature = "planted")]
fn planted() -> Result<(), String> {
    use holdfast::planted::{Bug, plant};
    let mut missed = Vec::new();
    println!("{:<40} {:>6}  oracle", "planted bug", "seeds");
    for (bug, name) in Bug::ALL {
        plant(Some(*bug));
        let found = (0..PLANTED).find_map(|seed| {
            let report = world::run(Tape::seeded(seed), false, true);
            report.violation.map(|violation| (seed + 1, violation.oracle))
        });
        plant(None);
        match found {
            Some((seeds, oracle)) => println!("{name:<40} {seeds:>6}  {oracle}"),
            None => {
                println!("{name:<40} {:>6}  none", "-");
                missed.push(*name);
            }
        }
    }
    let found = Bug::ALL.len() - missed.len();
    println!("sim: planted {found} of {}", Bug::ALL.len());
    if missed.is_empty() { Ok(()) } else { Err(format!("not found: {}", missed.join(", "))) }
}
