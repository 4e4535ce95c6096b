//! `holdfast-server`: see `--help`.

use std::io::Write as _;
use std::process::ExitCode;

use holdfast_server::{Command, Config, Database, Db, HELP, parse, serve};

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "holdfast-server: {reason}");
            ExitCode::from(2)
        }
    }
}

fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| format!("stdout: {e}"))
}

fn existing(database: Database) -> Result<Db, String> {
    if let Database::File(path) = &database
        && !path.is_file()
    {
        return Err(format!("there is no database {}", path.display()));
    }
    Db::open(database).map_err(|e| e.to_string())
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Help => print(HELP.trim_end()),
        Command::Audit { database, tenant } => {
            let audit = existing(database)?.audit(tenant.as_deref()).map_err(|e| e.to_string())?;
            print(&serde_json::to_string(&audit).map_err(|e| e.to_string())?)
        }
        Command::NewEpoch { database } => {
            print(&existing(database)?.new_epoch().map_err(|e| e.to_string())?)
        }
        Command::Prune { database, days } => {
            let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
            let now = u64::try_from(since).unwrap_or(u64::MAX);
            let before = now.saturating_sub(days.saturating_mul(24 * 60 * 60 * 1_000));
            let gone = existing(database)?.prune(before).map_err(|e| e.to_string())?;
            print(&gone.to_string())
        }
        Command::Serve(config) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?
            .block_on(run_server(*config)),
    }
}

async fn run_server(config: Config) -> Result<(), String> {
    let server = serve(config).await.map_err(|e| e.to_string())?;
    print(&format!("listening on http://{}", server.addr()))?;
    stop_signal().await.map_err(|e| format!("signals: {e}"))?;
    server.shutdown().await;
    Ok(())
}

#[cfg(unix)]
async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
