//! The fuzz targets of every decoder, over valid inputs and what is nearly valid: the golden files of the protocol and the rows of
//! `docs/formats.md`, with bytes changed, taken out, doubled and put in from elsewhere. `cargo xtask fuzz` goes further.
#![cfg(not(target_arch = "wasm32"))]

#[cfg(test)]
#[expect(unreachable_pub, reason = "it is a library in the fuzz workspace")]
#[path = "../fuzz/targets/targets.rs"]
mod targets;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::targets;

    fn file(path: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    /// The bodies of the golden answers, about the operations of the targets.
    fn golden(kind: &str) -> Vec<String> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/standard");
        let mut files: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        let of_kind =
            files.iter().filter(|it| it.file_name().unwrap().to_string_lossy().starts_with(kind));
        of_kind
            .map(|path| {
                let golden: Value =
                    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
                golden["response"]["body"].to_string()
            })
            .collect()
    }

    /// The golden answers of a wire, each behind its status, about the operations of the targets.
    fn wire_answers(wire: &str) -> Vec<String> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(wire);
        let mut files: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        let texts = files.iter().map(|path| {
            let golden: Value =
                serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            let (status, body) = (&golden["answer"]["status"], &golden["answer"]["body"]);
            let mut text = format!("{status}\n{body}");
            // The operations of the targets have these ids; the last hexadecimal digits count from 1 there too.
            let batch = golden["client"]["batch"].as_array().cloned().unwrap_or_default();
            for (sent, target) in batch.iter().zip(targets::batch().operations) {
                let named = |name: &str| sent[name].as_str().unwrap_or_default().to_owned();
                text = text.replace(&named("op"), &target.op.to_string());
                for name in [named("own"), named("id")] {
                    text = text.replace(&format!("\"{name}\""), &format!("\"{}\"", target.own));
                }
                text = text.replace(
                    &format!("\"id\":{},", sent["seq"]),
                    &format!("\"id\":{},", target.seq.0),
                );
            }
            text
        });
        texts.collect()
    }

    /// Verdicts of every kind, one of them for each operation of the targets.
    fn verdicts() -> Vec<String> {
        let ids: Vec<String> =
            targets::batch().operations.iter().map(|it| it.op.to_string()).collect();
        let body =
            |outcomes: String| format!(r#"{{"holdfast":1,"outcomes":[{outcomes}],"end":true}}"#);
        let members = [
            r#""kind":"applied","version":4,"document":{"total":5,"a":{"b":[1,"\u00e9"]}},"serverId":"S-1""#,
            r#""kind":"conflict","version":7,"document":{"total":6},"at":1763649941000,"other":"o9""#,
            r#""kind":"rejected","code":"validation","message":"no such table","final":true"#,
            r#""kind":"applied","version":0"#,
            r#""kind":"retry","after":2.5"#,
            r#""kind":"conflict","version":7,"document":null"#,
        ];
        let one = |id: &String, members: &str| format!(r#"{{"opId":"{id}",{members}}}"#);
        let mut bodies: Vec<String> = members
            .iter()
            .map(|it| body(one(if it.ends_with("\"version\":0") { &ids[3] } else { &ids[0] }, it)))
            .collect();
        bodies.push(body(
            ids.iter().zip(members).map(|(id, it)| one(id, it)).collect::<Vec<_>>().join(","),
        ));
        bodies
    }

    /// The rows of a store, as `docs/formats.md` shows them.
    fn rows(store: &str) -> Vec<String> {
        let page = file("docs/formats.md");
        let (_, section) = page.split_once(&format!("\n## {store}\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let blocks = section.split("```").skip(1).step_by(2);
        blocks
            .map(|block| {
                let lines = block.trim().lines();
                let text =
                    lines.skip_while(|it| it.starts_with("key ") || it.starts_with("index "));
                text.collect::<Vec<_>>().join("\n")
            })
            // What says something by being there has nothing to decode (R27).
            .filter(|text| text.starts_with('{') || text.starts_with('"'))
            .collect()
    }

    fn seeds(target: &str) -> Vec<String> {
        match target {
            "push_answer" => [golden("push-"), verdicts()].concat(),
            "pull_answer" => golden("pull-"),
            "answer_status" => {
                let bodies = [golden("problem-"), golden("pull-nothing"), vec!["<html>".into()]].concat();
                let head = ["200\napplication/json\n", "503\ntext/html\n120", "429\napplication/problem+json\nSun, 06 Nov 1994 08:49:37 GMT", "410\napplication/json; charset=utf-8\n", "422\n\n"];
                head.iter().flat_map(|head| bodies.iter().map(move |body| format!("{head}\n{body}"))).collect()
            }
            "rest_auraconnect" => wire_answers("auraconnect"),
            "rest_auraconnect_mobile" => wire_answers("auraconnect-mobile"),
            "rest_trackvault" => wire_answers("trackvault"),
            "rest_arxos" => wire_answers("arxos"),
            "rest_paytrack" => wire_answers("paytrack"),
            "profile" => {
                let presets = holdfast::protocol::preset::PRESETS.iter();
                presets.map(|it| it.profile.to_owned()).collect()
            }
            "document" => {
                let mut texts = vec![r#"{"":{"__proto__":[1.10,-0,9007199254740993,null]},"\ud83d\ude00":"\u00e9"}"#.to_owned()];
                texts.push(format!("{}1{}", r#"{"a":["#.repeat(31), "]}".repeat(31)));
                texts
            }
            "merge_patch" => [
                "{\"a\":{\"b\":1},\"c\":[1]}\n{\"a\":{\"b\":null,\"d\":{\"e\":null}},\"c\":2}\n{\"a\":null}",
                "{\"a\":1}\n{\"a\":{\"b\":{\"c\":null}}}\n{\"a\":{\"b\":{\"c\":1}}}",
                "{\"a\":{}}\n{}\n{\"a\":{\"x\":[{}]}}",
            ]
            .map(str::to_owned)
            .to_vec(),
            row => rows(row.strip_prefix("row_").unwrap()),
        }
    }

    /// SplitMix64: the same inputs in every run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((z ^ (z >> 31)) % sides.max(1) as u64).unwrap()
        }
    }

    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "null",
        "true",
        "0",
        "-1",
        "1e999",
        "1.5",
        "18446744073709551616",
        "\"\"",
        "{}",
        "[]",
        "\\ud83d",
        "\\u0000",
        "\u{1F32F}",
        "\n",
        " ",
        "\"kind\"",
        "\"applied\"",
        "\"opId\"",
        "\"end\":true",
        "\"holdfast\":1",
        "\"Live\"",
        "\"Deleted\"",
        "\"version\":0",
    ];

    const WORDS: &[&str] = &[
        "accepted", "Applied", "applied", "retry", "conflict", "opId", "kind", "version", "Live",
        "Paths", "", "x",
    ];

    /// A seed, changed in one place or a few.
    fn mutant(seeds: &[String], dice: &mut Dice) -> Vec<u8> {
        let mut bytes = seeds[dice.roll(seeds.len())].clone().into_bytes();
        for _ in 0..=dice.roll(3) {
            let (from, to) = (dice.roll(bytes.len() + 1), dice.roll(bytes.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            match dice.roll(9) {
                7 | 8 => {
                    // A whole word for another: what a server of tomorrow might say.
                    let quotes: Vec<usize> =
                        (0..bytes.len()).filter(|at| bytes[*at] == b'"').collect();
                    if let [.., _] = quotes[..] {
                        let at = dice.roll(quotes.len().saturating_sub(1));
                        let to = quotes.get(at + 1).copied().unwrap_or(quotes[at]);
                        let word = WORDS[dice.roll(WORDS.len())].bytes();
                        drop(bytes.splice(quotes[at] + 1..to.max(quotes[at] + 1), word));
                    }
                }
                0 => bytes.truncate(to),
                1 => drop(bytes.drain(from..to.min(from + 8))),
                2 => {
                    let part = bytes[from..to.min(from + 40)].to_vec();
                    drop(bytes.splice(from..from, part));
                }
                3 => {
                    let other = seeds[dice.roll(seeds.len())].as_bytes();
                    let at = dice.roll(other.len());
                    let part = other[at..(at + dice.roll(60)).min(other.len())].to_vec();
                    drop(bytes.splice(from..to.min(from + 20), part));
                }
                4 if from < bytes.len() => bytes[from] = u8::try_from(dice.roll(256)).unwrap(),
                _ => {
                    let piece = PIECES[dice.roll(PIECES.len())].bytes();
                    drop(bytes.splice(from..to.min(from + dice.roll(4)), piece));
                }
            }
        }
        bytes
    }

    /// Mutants of each target; `HOLDFAST_DRAWS=n` for n times as many.
    fn number() -> usize {
        let times = std::env::var("HOLDFAST_DRAWS").ok().and_then(|it| it.parse().ok());
        10_000 * times.unwrap_or(1)
    }

    fn survives(target: &str) {
        let seeds = seeds(target);
        assert!(!seeds.is_empty());
        for seed in &seeds {
            targets::run(target, seed.as_bytes());
        }
        let mut dice = Dice(7);
        for _ in 0..number() {
            let bytes = mutant(&seeds, &mut dice);
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let kept = Shown(&shown);
            targets::run(target, &bytes);
            std::mem::forget(kept);
        }
    }

    /// Says on which input a target broke.
    struct Shown<'a>(&'a str);

    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            eprintln!("the input was:\n{}", self.0);
        }
    }

    /// A3 to A7, P36: whatever a server answers to a push.
    #[test]
    fn any_answer_to_a_push() {
        survives("push_answer");
    }

    /// A17, P36, R2, P13: whatever a server answers to a pull.
    #[test]
    fn any_answer_to_a_pull() {
        survives("pull_answer");
    }

    /// A2, A8 to A13, A15, A16, P36: every status, media type, wish and body has one meaning.
    #[test]
    fn any_status() {
        survives("answer_status");
        for status in 0..700 {
            for media in ["application/json", "text/html", ""] {
                for body in [r#"{"holdfast":1,"end":true}"#, "{}", ""] {
                    targets::run(
                        "answer_status",
                        format!("{status}\n{media}\n\n{body}").as_bytes(),
                    );
                }
            }
        }
    }

    /// R7, R2, P36: whatever a described backend answers, and whatever a description says.
    #[test]
    fn any_answer_of_a_described_backend() {
        let ours = |name: &str| name.starts_with("rest_") || name == "profile";
        for (target, _) in targets::TARGETS.iter().filter(|(name, _)| ours(name)) {
            survives(target);
        }
    }

    /// P35, R5.
    #[test]
    fn any_document() {
        survives("document");
    }

    /// R3.
    #[test]
    fn any_merge_patch() {
        survives("merge_patch");
    }

    /// R2, P30: whatever stands in a row of any store.
    #[test]
    fn any_row() {
        for (target, _) in targets::TARGETS.iter().filter(|(name, _)| name.starts_with("row_")) {
            survives(target);
        }
    }

    /// What is valid is read, not set aside: the laws above would hold of a reader that refuses everything.
    #[test]
    fn what_is_valid_is_read() {
        use holdfast::model::Wall;
        use holdfast::port::HttpResponse;
        use holdfast::protocol::{Protocol, Standard};
        let answer = |body: &str| {
            let (content_type, body) = ("application/json".to_owned(), body.to_owned());
            HttpResponse { status: 200, content_type, retry_after: None, body, up: 0, etag: None }
        };
        for body in verdicts() {
            let reply = Standard::new("/api").reply(&targets::batch(), &answer(&body), Wall(1));
            assert!(reply.outcomes.len() == 1 || reply.outcomes.len() == 4, "{body} {reply:?}");
        }
        for body in golden("pull-").iter().filter(|it| it.contains("\"changes\"")) {
            assert!(
                Standard::new("/api").decode_pull(None, &answer(body), Wall(1)).is_ok(),
                "{body}"
            );
        }
        for (target, _) in targets::TARGETS.iter().filter(|(name, _)| name.starts_with("row_")) {
            for seed in seeds(target) {
                let store = target.strip_prefix("row_").unwrap();
                assert!(targets::is_read(store, &seed), "{store}: {seed}");
            }
        }
    }

    /// `cargo xtask fuzz` begins with the same inputs: it asks for them by naming a directory.
    #[test]
    fn seeds_are_written_for_a_fuzzer() {
        let Some(dir) = std::env::var_os("HOLDFAST_SEEDS") else { return };
        for (target, _) in targets::TARGETS {
            let dir = Path::new(&dir).join(target);
            std::fs::create_dir_all(&dir).unwrap();
            for (number, seed) in seeds(target).iter().enumerate() {
                std::fs::write(dir.join(number.to_string()), seed).unwrap();
            }
        }
    }

    /// Every target has a file of its own, by which a fuzzer finds it.
    #[test]
    fn every_target_can_be_run_by_a_fuzzer() {
        for (target, _) in targets::TARGETS {
            let text = file(&format!("fuzz/fuzz_targets/{target}.rs"));
            assert!(text.contains("env!(\"CARGO_BIN_NAME\")"), "{target}");
            let bin = format!("[[bin]]\nname = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"");
            assert!(file("fuzz/Cargo.toml").contains(&bin), "{target}");
        }
    }
}
