//! Real sales through a real browser: a day of a shop, written offline by the package in Chromium,
//! interrupted by SIGKILL, sent to a server that drops answers, and compared to the cent.

mod orders;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use self::orders::{Figures, Shop};
use crate::args::Args;
use crate::demo::{self, Server};
use crate::shell::{self, Cmd, Stopwatch, find_program, root, target};
use crate::{pkg, setup};

const REAL: &str = "../shared/data/chipotle-orders.tsv";
const SAMPLE: &str = "tests/data/orders.tsv";
/// No secret: the server listens on loopback, for as long as this runs.
const TOKEN: &str = "replay";
/// Every fifth answer to a push is dropped after it was applied. Chromium repeats such a request by
/// itself where the connection was an old one, so the page would never see a lost answer: every
/// seventh ends in the middle instead, which nobody repeats but the client.
const FAULTS: [&str; 2] = ["apply-then-drop:5@push", "cut:7@push"];
/// A small file makes so few requests that trouble has to come more often.
const SMALL_FAULTS: [&str; 2] = ["apply-then-drop:2@push", "cut:3@push"];
const SMALL: u64 = 500;
/// How often a day may begin: that Chromium deletes its own database happens once in many runs.
const ATTEMPTS: u32 = 3;
/// Seconds for the browser's part.
const LIMIT: u64 = 600;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let file: Option<PathBuf> = args.value("--orders")?;
    let seed: Option<u32> = args.value("--seed")?;
    let built = args.flag("--no-build");
    args.finish()?;

    let file = file.map_or_else(default_file, |file| root().join(file));
    let shop = orders::read(&shell::read(&file)?).with_context(|| file.display().to_string())?;
    for malformed in &shop.malformed {
        println!("  line {} skipped: {}", malformed.line, malformed.why);
    }
    let given = shop.figures();
    if given.orders == 0 {
        bail!("{} has no orders", file.display());
    }
    println!(
        "  {} orders, {} lines, {} cents; {} malformed lines",
        given.orders,
        given.lines,
        given.cents,
        shop.malformed.len()
    );

    setup::programs(setup::CHROMIUM)?;
    setup::npm()?;
    if !built {
        setup::wasm_target()?;
        setup::wasm_tools()?;
        pkg::build()?;
        demo::server()?;
    }

    for _ in 0..ATTEMPTS {
        match day(&shop, seed)? {
            Ending::Compared => return Ok(()),
            Ending::DeletedByChromium(why) => println!(
                "  Chromium found its own database corrupt after a kill and deleted it ({why});\n  \
                 the day begins again on a new profile"
            ),
        }
    }
    bail!("Chromium deleted its own database {ATTEMPTS} times")
}

enum Ending {
    Compared,
    DeletedByChromium(String),
}

fn day(shop: &Shop, seed: Option<u32>) -> Result<Ending> {
    // A directory of its own, so that two runs at once do not meet.
    let dir = target("replay").join(std::process::id().to_string());
    let clear = || std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string());
    let given = shop.figures();
    let [dropped, cut] = if given.orders < SMALL { SMALL_FAULTS } else { FAULTS };
    let watch = Stopwatch::start();
    let database = dir.join("server.db");
    let faults = ["--quiet", "--fault", dropped, "--fault", cut];
    let server = Server::start(0, &database, TOKEN, &faults)?;
    println!("  faults of the server: {dropped}, {cut}");
    let job = json!({
        "address": server.address,
        "token": TOKEN,
        "pkg": pkg::dir(),
        "profile": dir.join("profile"),
        "menu": shop.menu(),
        "orders": shop.orders(),
        "seed": seed,
        "limit": LIMIT,
    });
    let (job_file, result_file) = (dir.join("job.json"), dir.join("result.json"));
    shell::write(&job_file, job.to_string())?;
    let chromium = find_program("chromium").context("chromium")?;
    Cmd::new("node")
        .arg(root().join("xtask/js/replay/drive.mjs"))
        .args([&job_file, &result_file])
        .env("CHROMIUM", chromium)
        .run()?;
    drop(server);
    let result: Value = serde_json::from_slice(&shell::read(&result_file)?).context("result")?;
    if let Some(why) = result.get("deletedByChromium") {
        clear()?;
        return Ok(Ending::DeletedByChromium(why.to_string()));
    }
    let audit = Cmd::new(demo::server_program()).args(["audit", "--database"]).arg(&database);
    let audit = serde_json::from_str(&audit.read()?).context("audit")?;
    let day = Day { given, result, audit };
    print!("{}", day.table(watch.elapsed().as_secs_f64()));
    let differences = day.differences();
    if !differences.is_empty() {
        bail!("{}; everything is in {}", differences.join("; "), dir.display());
    }
    clear()?;
    Ok(Ending::Compared)
}

fn default_file() -> PathBuf {
    let real = root().join(REAL);
    if real.is_file() { real } else { root().join(SAMPLE) }
}

/// What a day left behind: in the file, in the browser, in the server's database.
struct Day {
    given: Figures,
    /// As `drive.mjs` wrote it.
    result: Value,
    /// As `holdfast-server audit` printed it.
    audit: Value,
}

impl Day {
    fn result(&self, pointer: &str) -> u64 {
        self.result.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::MAX)
    }

    fn audit(&self, pointer: &str) -> u64 {
        self.audit.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::MAX)
    }

    fn count(&self, list: &str) -> u64 {
        self.result.pointer(list).and_then(Value::as_array).map_or(u64::MAX, |l| l.len() as u64)
    }

    /// One operation per record: nothing here is ever edited.
    fn operations(&self) -> u64 {
        self.given.menu + self.given.orders
    }

    /// What should be equal and is not. A figure that is missing counts as different.
    fn differences(&self) -> Vec<String> {
        let Figures { menu, orders, lines, cents } = self.given;
        let all = self.operations();
        let expected = [
            ("device: menu", self.result("/device/menu"), menu),
            ("device: orders", self.result("/device/orders"), orders),
            ("device: lines", self.result("/device/lines"), lines),
            ("device: cents", self.result("/device/cents"), cents),
            ("server: menu", self.result("/server/menu"), menu),
            ("server: orders", self.result("/server/orders"), orders),
            ("server: lines", self.result("/server/lines"), lines),
            ("server: cents", self.result("/server/cents"), cents),
            ("database: menu", self.audit("/records/menu/live"), menu),
            ("database: orders", self.audit("/orders/live"), orders),
            ("database: lines", self.audit("/orders/lines"), lines),
            ("database: cents", self.audit("/orders/cents"), cents),
            ("operations", self.audit("/operations"), all),
            ("operations applied", self.audit("/applied"), all),
            ("effects", self.audit("/effects"), all),
            ("effects of one operation", self.audit("/maxEffects"), 1),
            ("receipts applied", self.result("/receipts/applied"), all),
            ("receipts of another operation", self.result("/otherOperation"), 0),
            ("lost", self.count("/lost"), 0),
            ("documents that differ", self.count("/differing"), 0),
            ("records not synced", self.result("/notSynced"), 0),
            ("outbox", self.count("/outbox"), 0),
            ("pending after drain", self.result("/drain/pending"), 0),
            ("parked after drain", self.result("/drain/parked"), 0),
            ("conflicts", self.result("/conflicts"), 0),
            ("books: accepted", self.result("/audit/accepted"), all),
            ("books: applied", self.result("/audit/applied"), all),
        ];
        let mut found: Vec<String> = expected
            .into_iter()
            .filter(|(_, value, wanted)| value != wanted)
            .map(|(what, value, wanted)| match value {
                u64::MAX => format!("{what}: no figure instead of {wanted}"),
                value => format!("{what}: {value} instead of {wanted}"),
            })
            .collect();
        if self.result.pointer("/audit/balanced") != Some(&Value::Bool(true)) {
            found.push("the device's books do not balance".to_owned());
        }
        // A day without trouble shows nothing.
        if self.result("/kills/writing") == 0 {
            found.push("the browser was never killed while writing".to_owned());
        }
        // The client may learn of a lost answer by asking again, or from the next pull.
        if self.audit("/duplicates") == 0 && self.result("/unanswered") == 0 {
            found.push("no answer was lost".to_owned());
        }
        found
    }

    fn table(&self, seconds: f64) -> String {
        let mut out = String::new();
        let shown = |value: u64| if value == u64::MAX { "?".to_owned() } else { grouped(value) };
        let _ = writeln!(out, "\n  {:<12}{:>12}{:>12}{:>12}", "", "file", "device", "server");
        for (name, file, at) in [
            ("orders", self.given.orders, "orders"),
            ("lines", self.given.lines, "lines"),
            ("cents", self.given.cents, "cents"),
            ("menu items", self.given.menu, "menu"),
        ] {
            let device = shown(self.result(&format!("/device/{at}")));
            let server = shown(self.result(&format!("/server/{at}")));
            let _ = writeln!(out, "  {name:<12}{:>12}{device:>12}{server:>12}", grouped(file));
        }
        let operations = shown(self.audit("/operations"));
        let _ = writeln!(
            out,
            "\n  effects            {} of {operations} operations, at most {} of one",
            shown(self.audit("/effects")),
            shown(self.audit("/maxEffects")),
        );
        let applied = shown(self.result("/receipts/applied"));
        let _ = writeln!(out, "  receipts           {applied} applied");
        let _ = writeln!(out, "  lost               {}", shown(self.count("/lost")));
        let _ = writeln!(
            out,
            "  kills              {} while writing, {} while sending (seed {})",
            shown(self.result("/kills/writing")),
            shown(self.result("/kills/draining")),
            self.result("/seed"),
        );
        let _ = writeln!(
            out,
            "  duplicate answers  {} operations; {} of {} requests without an answer",
            shown(self.audit("/duplicates")),
            shown(self.result("/unanswered")),
            shown(self.result("/pushes")),
        );
        let part = |name: &str| {
            let value = self.result.pointer(&format!("/seconds/{name}")).and_then(Value::as_f64);
            value.unwrap_or(f64::NAN)
        };
        let _ = writeln!(
            out,
            "  seconds            {:.1} writing, {:.1} draining, {seconds:.1} in all",
            part("writing"),
            part("draining"),
        );
        out
    }
}

/// `3450016` as `3,450,016`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Day {
        let side = json!({"menu": 2, "orders": 3, "lines": 4, "cents": 500});
        Day {
            given: Figures { menu: 2, orders: 3, lines: 4, cents: 500 },
            result: json!({
                "seed": 7, "kills": {"writing": 1, "draining": 1}, "pushes": 4, "unanswered": 1,
                "device": side, "server": side, "lost": [], "differing": [], "notSynced": 0,
                "otherOperation": 0, "receipts": {"applied": 5}, "outbox": [], "conflicts": 0,
                "drain": {"applied": 3, "pending": 0, "parked": 0},
                "audit": {"accepted": 5, "applied": 5, "balanced": true},
                "seconds": {"writing": 1.5, "draining": 2, "total": 4},
            }),
            audit: json!({
                "records": {"menu": {"live": 2}, "orders": {"live": 3}}, "operations": 5,
                "applied": 5, "effects": 5, "maxEffects": 1, "duplicates": 3,
                "orders": {"live": 3, "lines": 4, "cents": 500},
            }),
        }
    }

    fn set(value: &mut Value, pointer: &str, to: Value) {
        *value.pointer_mut(pointer).unwrap() = to;
    }

    #[test]
    fn a_good_day_has_no_differences() {
        assert_eq!(good().differences(), Vec::<String>::new());
        let table = good().table(4.0);
        assert!(table.contains("orders                 3           3           3"), "{table}");
        assert!(table.contains("5 of 5 operations, at most 1 of one"), "{table}");
    }

    #[test]
    fn every_figure_counts() {
        for (pointer, to) in [
            ("/device/orders", json!(2)),
            ("/server/cents", json!(499)),
            ("/receipts", json!({"applied": 4, "unknown": 1})),
            ("/lost", json!(["orders/order-1"])),
            ("/differing", json!(["orders/order-1"])),
            ("/outbox", json!([{}])),
            ("/audit/balanced", json!(false)),
            ("/kills/writing", json!(0)),
            ("/drain", json!({})),
        ] {
            let mut day = good();
            set(&mut day.result, pointer, to);
            assert!(!day.differences().is_empty(), "{pointer}");
        }
        for (pointer, to) in
            [("/maxEffects", json!(2)), ("/effects", json!(6)), ("/orders/cents", json!(-500))]
        {
            let mut day = good();
            set(&mut day.audit, pointer, to);
            assert!(!day.differences().is_empty(), "{pointer}");
        }
    }

    #[test]
    fn a_missing_figure_is_a_difference_and_says_so() {
        let mut day = good();
        day.audit = json!({});
        let found = day.differences().join("; ");
        assert!(found.contains("effects: no figure instead of 5"), "{found}");
        assert!(day.table(1.0).contains('?'));
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        let shown: Vec<String> = [0, 999, 1_000, 3_450_016].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "999", "1,000", "3,450,016"]);
    }
}
