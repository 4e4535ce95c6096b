//! The program itself: what it prints, what it logs, and that killing it loses nothing.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use super::common::{TOKEN, argument, body, create, database, directory, exchange, json};
use serde_json::Value;

struct Program {
    child: Child,
    addr: SocketAddr,
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_holdfast-server"))
}

impl Program {
    fn start(database: &str, more: &[&str]) -> Self {
        let mut child = program()
            .args(["--token", &format!("{TOKEN}=shop"), "--database"])
            .arg(database)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on http://").unwrap().parse().unwrap();
        Self { child, addr }
    }

    fn push(&self, text: &str) -> Option<super::common::Answer> {
        exchange(self.addr, "POST", "/api/push", &json(), text.as_bytes())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(arguments: &[&str], database: &str) -> Output {
    program().args(arguments).arg("--database").arg(database).output().unwrap()
}

#[test]
fn killed_in_the_middle_it_has_each_effect_once() {
    let database = argument(&database("kill"));
    let batch = |n: usize| {
        let sales: Vec<_> =
            (0..50).map(|m| create(&format!("x{n}-{m}"), &format!("o{n}-{m}"), 2)).collect();
        body(&sales)
    };
    let mut answered = 0;
    for round in 0..3 {
        let mut server = Program::start(&database, &["--quiet"]);
        std::thread::scope(|scope| {
            let (sent, arrived) = std::sync::mpsc::channel();
            let server = &server;
            scope.spawn(move || {
                for n in round * 8..round * 8 + 8 {
                    let _ = sent.send(());
                    if server.push(&batch(n)).is_none() {
                        return;
                    }
                }
            });
            // Killed while a later batch is under way.
            for _ in 0..4 + round {
                arrived.recv().unwrap();
            }
            let id = i32::try_from(server.child.id()).unwrap().to_string();
            assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
        });
        server.child.wait().unwrap();
    }
    let server = Program::start(&database, &["--quiet"]);
    for n in 0..24 {
        let answer = server.push(&batch(n)).unwrap();
        answered += answer.body.matches(r#""kind":"applied","version":1"#).count();
    }
    assert_eq!(answered, 24 * 50);
    let output = run(&["audit", "--tenant", "shop"], &database);
    let audit: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(audit["maxEffects"], 1);
    assert_eq!(audit["effects"], 1_200);
    assert_eq!(audit["orders"]["live"], 1_200);
    assert_eq!(audit["orders"]["lines"], 1_200);
    assert_eq!(audit["orders"]["cents"], 2_400);
    assert_eq!(audit["records"]["orders"]["live"], 1_200);
    assert!(audit["duplicates"].as_u64().unwrap() >= 3 * 50, "answered batches were repeats");
}

#[test]
fn logs_name_no_token_and_no_content() {
    let database = argument(&database("log"));
    let mut server = Program::start(&database, &["--fault", "apply-then-drop:2"]);
    let private = create("a", "o", 5).replace("lines", "Ann Private");
    assert!(server.push(&body(&[private])).is_some());
    assert!(server.push(&body(&[create("b", "p", 5)])).is_none());
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(server.child.wait().unwrap().success(), "SIGTERM ends it in good order");
    let mut text = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        lines.first(),
        Some(&"POST /api/push 200 ops=1 applied=1 conflict=0 rejected=0 retry=0 duplicate=0")
    );
    assert!(text.contains("(no answer) fault=apply-then-drop ops=1 applied=1"), "{text}");
    for secret in [TOKEN, "Ann", "Private", "till-7"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn what_it_cannot_do_it_says() {
    let database = directory("args").join("none.sqlite");
    for (arguments, words) in [
        (vec!["audit"], "there is no database"),
        (vec!["serve"], "--token"),
        (vec!["--open", "--fault", "x:1"], "--fault x:1"),
    ] {
        let output = run(&arguments, database.to_str().unwrap());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("holdfast-server: ") && text.contains(words), "{text}");
    }
    assert!(!database.exists(), "nothing was made");
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"holdfast-server"));
}
