//! The command line.

use std::path::PathBuf;

use crate::{Config, Database, Role, RuleSet, Seed, Token};

/// What `--help` prints.
pub const HELP: &str = "\
holdfast-server: the reference server of Holdfast's standard protocol, and of five other backends

  holdfast-server [serve] --database DB (--token TOKEN[=TENANT[/ROLE]] ... | --open) [options]
  holdfast-server audit --database DB [--tenant TENANT]
  holdfast-server new-epoch --database DB     after a backup was restored
  holdfast-server prune --database DB --days N  forgets tombstones older than that (serve: 90)

  --database DB         a SQLite file; serve makes it if it is missing. Or a PostgreSQL database,
                        postgres://USER@HOST/NAME, which several servers may share
  --listen ADDR:PORT    default 127.0.0.1:0, a free port; printed as `listening on http://...`
  --token TOKEN[=TENANT[/ROLE]]  a bearer token, whose data it reaches (default main), and what it
                        may do: reader, member (default) or admin; repeatable
  --open                requests without a known token reach the tenant main
  --seed                a few records to begin with, for each backend and tenant that has none
  --rate N[/BURST]      requests a second of one user; more get 429 with Retry-After
  --www [/PREFIX=]DIR   files for the browser; repeatable, the longest prefix is tried first
  --cors-origin ORIGIN  the one origin that may read answers; default any
  --rules none|pos      the application's rules on the standard protocol; default none
  --fault KIND:N[@push|@pull]  a fault at every Nth request; repeatable; KIND is drop,
                        apply-then-drop, 5xx, html, half, cut, empty or a status; delay:MS
  --break PROMISE       breaks a promise, for tests of what has to notice; repeatable; replay,
                        versions, feed, tombstones, expiry, retry-after, markers, limits, batch, tenants
  --quiet               no line per request on stderr

  The standard protocol is at /api. The others are at /auraconnect, /auraconnect-mobile, /trackvault,
  /arxos and /paytrack: /paytrack/api/sync/push.
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run a server.
    Serve(Box<Config>),
    /// Print the counts of a database as JSON.
    Audit {
        /// The database.
        database: Database,
        /// One tenant, or all.
        tenant: Option<String>,
    },
    /// Give a restored database its new epoch.
    NewEpoch {
        /// The database.
        database: Database,
    },
    /// Forget old tombstones.
    Prune {
        /// The database.
        database: Database,
        /// How many days they are kept.
        days: u64,
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
    let (mut database, mut tenant, mut days) = (None, None, None);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--database" => database = Some(Database::from(value()?.as_str())),
            "--tenant" => tenant = Some(value()?),
            "--listen" => {
                let text = value()?;
                config.listen =
                    text.parse().map_err(|_| format!("--listen {text}: not ADDRESS:PORT"))?;
            }
            "--token" => config.tokens.push(token(&value()?)?),
            "--days" => {
                let text = value()?;
                let number = text.parse().map_err(|_| format!("--days {text}: not a number"))?;
                days = Some(number);
            }
            "--seed" => config.seed = Seed::Samples,
            "--rate" => config.rate = Some(value()?.parse()?),
            "--break" => config.flaws.push(value()?.parse()?),
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
    let database = database.ok_or("--database is needed")?;
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
        Some("prune") => {
            let days = days.ok_or("--days is needed")?;
            Ok(Command::Prune { database, days })
        }
        Some(other) => Err(format!("unknown command {other}")),
    }
}

/// `TOKEN`, `TOKEN=TENANT` or `TOKEN=TENANT/ROLE`. The value is a secret: it is not repeated.
fn token(text: &str) -> Result<Token, String> {
    let wrong = || "--token: not TOKEN, TOKEN=TENANT or TOKEN=TENANT/ROLE".to_owned();
    let (token, owner) = text.split_once('=').unwrap_or((text, crate::http::MAIN));
    let (tenant, role) = owner.split_once('/').unwrap_or((owner, "member"));
    let role = match role {
        "reader" => Role::Reader,
        "member" => Role::Member,
        "admin" => Role::Admin,
        _ => return Err(wrong()),
    };
    if token.is_empty() || tenant.is_empty() {
        return Err(wrong());
    }
    Ok(Token { role, ..Token::new(token, tenant) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_whole_command_line() {
        let line = "--database f --listen 127.0.0.1:81 --token a --token b=shop/admin --www www \
            --www /pkg=out/pkg --rules pos --fault drop:2@push --fault delay:5 --quiet --seed \
            --rate 5/9 --break feed";
        let Command::Serve(config) = run(line).unwrap() else { panic!("not serve") };
        assert_eq!(config.listen.port(), 81);
        let admin = Token { role: Role::Admin, ..Token::new("b", "shop") };
        assert_eq!(config.tokens, [Token::new("a", "main"), admin]);
        assert_eq!((config.seed, config.flaws.len()), (Seed::Samples, 1));
        assert_eq!(config.rate, Some(crate::Rate { per_second: 5, burst: 9 }));
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
            ("--database f --token a=b/c", "--token"),
            ("--database f --open --rate 0", "--rate"),
            ("--database f --open --break x", "--break"),
            ("prune --database f", "--days"),
            ("prune --database f --days x", "--days"),
            ("--database f --open --port 1", "--port"),
            ("start --database f", "start"),
        ] {
            assert!(run(line).unwrap_err().contains(word), "{line}");
        }
        assert!(matches!(run("--help"), Ok(Command::Help)));
    }
}
