//! A PostgreSQL of our own, in a directory that is thrown away, for the server's suite.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::setup;
use crate::shell::{Cmd, find_program};

/// Runs the server's tests on PostgreSQL.
pub(crate) fn test() -> Result<()> {
    setup::programs(setup::POSTGRES)?;
    let cluster = Cluster::start()?;
    Cmd::cargo()
        .args(["test", "--locked", "--package", "holdfast-server", "--test", "server"])
        .env("HOLDFAST_TEST_POSTGRES", &cluster.address)
        .run()
}

/// A running cluster; it ends with this value, and with this process.
struct Cluster {
    child: Child,
    dir: PathBuf,
    /// `postgres://postgres@127.0.0.1:<port>`
    address: String,
}

impl Cluster {
    fn start() -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("holdfast-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        if setup::is_root() {
            // The programs refuse to run as root, and the package brings a user of this name.
            Cmd::new("chown").arg("postgres").arg(&dir).run()?;
        }
        let data = dir.join("data");
        command("initdb")?
            .args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8"])
            .args(["--locale", "C", "--no-sync", "--pgdata"])
            .arg(&data)
            .read()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut child = command("postgres")?
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&dir)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            // Thrown away in any case; each server of a test may open several connections.
            .args(["-c", "fsync=off", "-c", "max_connections=300"])
            .into_inner()
            .stderr(Stdio::piped())
            .spawn()
            .context("could not start postgres")?;
        let stderr = child.stderr.take().context("the output of postgres")?;
        let address = format!("postgres://postgres@127.0.0.1:{port}");
        let mut cluster = Self { child, dir, address };
        let mut lines = BufReader::new(stderr).lines();
        let mut said = Vec::new();
        for line in &mut lines {
            let line = line.context("the output of postgres")?;
            if line.contains("ready to accept connections") {
                // Somebody must keep reading, or it would wait on a full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(cluster);
            }
            said.push(line);
        }
        bail!("postgres ended ({})\n{}", cluster.child.wait()?, said.join("\n"));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All of these fail only when there is nothing left to end or to remove. SIGINT is its fast
        // shutdown; a kill would leave its helpers behind.
        let id = self.child.id().to_string();
        if !Cmd::new("kill").args(["-INT", &id]).succeeds() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// One of PostgreSQL's programs, as a user that it lets run it, which ends with us.
fn command(name: &str) -> Result<Cmd> {
    let program = find_program(name).with_context(|| format!("{name} is not installed"))?;
    Ok(match find_program("setpriv") {
        Some(setpriv) if setup::is_root() => {
            // Where that user may be.
            let dir = std::env::temp_dir();
            let user = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"];
            Cmd::new(setpriv).args(user).args(["--pdeathsig", "INT"]).arg(program).dir(&dir)
        }
        Some(setpriv) => Cmd::new(setpriv).args(["--pdeathsig", "INT"]).arg(program),
        None => Cmd::new(program),
    })
}
