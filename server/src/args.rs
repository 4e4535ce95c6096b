//! The command line.

use std::path::PathBuf;

use crate::{Config, RuleSet};

/// What `--help` prints.
pub const HELP: &str = "\
holdfast-server: the reference server of Holdfast's standard protocol

  holdfast-server [serve] --database FILE (--token TOKEN[=TENANT] ... | --open) [options]
  holdfast-server audit --database FILE [--tenant TENANT]
  holdfast-server new-epoch --database FILE     after a backup was restored

  --database FILE       the SQLite file; serve makes it if it is missing
  --listen ADDR:PORT    default 127.0.0.1:0, a free port; printed as `listening on http://...`
  --token TOKEN[=TENANT]  a bearer token and whose data it reaches; repeatable; default tenant main
  --open                requests without a known token reach the tenant main
  --www [/PREFIX=]DIR   files for the browser; repeatable, the longest prefix is tried first
  --cors-origin ORIGIN  the one origin that may read answers; default any
  --rules none|pos      the application's rules; default none
  --fault KIND:N[@push|@pull]  a fault at every Nth request; repeatable; KIND is drop,
                        apply-then-drop, 5xx, html, half, cut, empty or a status; delay:MS
  --quiet               no line per request on stderr
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run a server.
    Serve(Box<Config>),
    /// Print the counts of a database as JSON.
    Audit {
        /// The file.
        database: PathBuf,
        /// One tenant, or all.
        tenant: Option<String>,
    },
    /// Give a restored database its new epoch.
    NewEpoch {
        /// The file.
        database: PathBuf,
    },
    /// Print the help.
    Help,
}

/// Reads a command line, the program's name left out.
///
/// # Errors
/// A sentence that names the argument.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter().peekable();
    let command = match arguments.peek() {
        Some(first) if !first.starts_with('-') => arguments.next(),
        _ => None,
    };
    let mut config = Config { log: true, ..Config::default() };
    let (mut database, mut tenant) = (None, None);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--database" => database = Some(PathBuf::from(value()?)),
            "--tenant" => tenant = Some(value()?),
            "--listen" => {
                let text = value()?;
                config.listen =
                    text.parse().map_err(|_| format!("--listen {text}: not ADDRESS:PORT"))?;
            }
            "--token" => {
                let text = value()?;
                let (token, tenant) = text.split_once('=').unwrap_or((&text, "main"));
                if token.is_empty() || tenant.is_empty() {
                    // The value is a secret: it is not repeated.
                    return Err("--token: not TOKEN or TOKEN=TENANT".to_owned());
                }
                config.tokens.push((token.to_owned(), tenant.to_owned()));
            }
            "--open" => config.open = true,
            "--www" => {
                let text = value()?;
                let (prefix, directory) = match text.split_once('=') {
                    Some((prefix, directory)) if prefix.starts_with('/') => (prefix, directory),
                    _ => ("", text.as_str()),
                };
                let prefix = prefix.trim_end_matches('/').to_owned();
                config.www.push((prefix, PathBuf::from(directory)));
            }
            "--cors-origin" => config.cors_origin = Some(value()?),
            "--rules" => {
                config.rules = match value()?.as_str() {
                    "none" => RuleSet::None,
                    "pos" => RuleSet::Pos,
                    other => return Err(format!("--rules {other}: neither none nor pos")),
                }
            }
            "--fault" => config.faults.push(value()?.parse()?),
            "--quiet" => config.log = false,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    let database = database.ok_or("--database FILE is needed")?;
    match command.as_deref() {
        None | Some("serve") => {
            if config.tokens.is_empty() && !config.open {
                return Err("at least one --token is needed, or --open".to_owned());
            }
            config.database = database;
            Ok(Command::Serve(Box::new(config)))
        }
        Some("audit") => Ok(Command::Audit { database, tenant }),
        Some("new-epoch") => Ok(Command::NewEpoch { database }),
        Some(other) => Err(format!("unknown command {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_whole_command_line() {
        let line = "--database f --listen 127.0.0.1:81 --token a --token b=shop --www www \
            --www /pkg=out/pkg --rules pos --fault drop:2@push --fault delay:5 --quiet";
        let Command::Serve(config) = run(line).unwrap() else { panic!("not serve") };
        assert_eq!(config.listen.port(), 81);
        assert_eq!(config.tokens, [("a".into(), "main".into()), ("b".into(), "shop".into())]);
        assert_eq!(config.www, [("".into(), "www".into()), ("/pkg".into(), "out/pkg".into())]);
        assert_eq!((config.faults.len(), config.rules, config.log), (2, RuleSet::Pos, false));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, word) in [
            ("--database f", "--token"),
            ("--open", "--database"),
            ("--database", "--database"),
            ("--database f --open --listen x", "--listen"),
            ("--database f --open --rules x", "--rules"),
            ("--database f --open --fault x", "--fault"),
            ("--database f --token =x", "--token"),
            ("--database f --open --port 1", "--port"),
            ("start --database f", "start"),
        ] {
            assert!(run(line).unwrap_err().contains(word), "{line}");
        }
        assert!(matches!(run("--help"), Ok(Command::Help)));
    }
}
