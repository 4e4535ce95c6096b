//! The till, served on loopback by the reference server.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::shell::{self, Cmd, Stopwatch, find_program, root, target};
use crate::{pkg, setup};

const PORT: u16 = 4650;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let port = args.value("--port")?.unwrap_or(PORT);
    let open = !args.flag("--no-open");
    args.finish()?;

    if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
        bail!("port {port} is in use; choose another with --port");
    }
    let watch = Stopwatch::start();
    setup::wasm_target()?;
    setup::wasm_tools()?;
    setup::npm()?;
    pkg::build()?;
    www()?;
    server()?;

    let database = target("demo/holdfast.db");
    let token = token(&target("demo/token"))?;
    let mut server = Server::start(port, &database, &token, &["--rules", "pos"])?;
    println!();
    println!("The till is at   {}", server.address);
    println!("Sign in with     any name, token {token}");
    println!("Its database is  {}", database.display());
    println!("Ready after {:.1} s; ctrl-c ends it.", watch.elapsed().as_secs_f64());
    if open
        && (std::env::var_os("DISPLAY").is_some() || std::env::var_os("WAYLAND_DISPLAY").is_some())
    {
        // A convenience: without a browser to open, the address above is enough.
        Cmd::new("xdg-open").arg(&server.address).succeeds();
    }
    server.wait()
}

/// Where the page is built.
pub(crate) fn www_dir() -> PathBuf {
    target("www")
}

/// Builds the page from the package as it was built last.
pub(crate) fn www() -> Result<()> {
    Cmd::new("node")
        .arg(root().join("www/build.mjs"))
        .arg("--pkg")
        .arg(pkg::dir())
        .arg("--out")
        .arg(www_dir())
        .run()
}

/// Where [`server`] puts the program.
pub(crate) fn server_program() -> PathBuf {
    target("debug/holdfast-server")
}

/// Builds the reference server.
pub(crate) fn server() -> Result<()> {
    Cmd::cargo().args(["build", "--quiet", "--locked", "--package", "holdfast-server"]).run()
}

/// A running reference server; it ends with this value, and with this process.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:<port>`, as the server printed it.
    pub(crate) address: String,
}

impl Server {
    /// Starts it and waits until it listens. Port 0 lets the system choose.
    pub(crate) fn start(port: u16, database: &Path, token: &str, more: &[&str]) -> Result<Self> {
        if let Some(dir) = database.parent() {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        // setpriv ends the server with us even when we are killed.
        let command = match find_program("setpriv") {
            Some(setpriv) => Cmd::new(setpriv).args(["--pdeathsig", "TERM"]).arg(server_program()),
            None => Cmd::new(server_program()),
        };
        let mut child = command
            .args(["--listen", &format!("127.0.0.1:{port}"), "--database"])
            .arg(database)
            .args(["--token", token, "--www"])
            .arg(www_dir())
            .args(more)
            .into_inner()
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start the server")?;
        let stdout = child.stdout.take().context("the server's output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut server = Self { child, address: String::new() };
        for line in &mut lines {
            let line = line.context("the server's output")?;
            if let Some(address) = line.trim().strip_prefix("listening on ") {
                server.address = address.to_owned();
                break;
            }
            println!("{line}");
        }
        if server.address.is_empty() {
            bail!("the server ended before it listened ({})", server.child.wait()?);
        }
        // Somebody must keep reading, or the server would wait on a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
        Ok(server)
    }

    /// Until somebody ends it; ctrl-c reaches the server as well as us.
    fn wait(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended ({status})");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The demo's token: made once, so that a page signed in yesterday still is, and readable by its
/// owner alone.
fn token(file: &Path) -> Result<String> {
    if let Ok(found) = std::fs::read_to_string(file) {
        let found = found.trim();
        if !found.is_empty() {
            return Ok(found.to_owned());
        }
    }
    let mut random = [0_u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("/dev/urandom")?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    shell::write(file, "")?;
    std::fs::remove_file(file)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(token.as_bytes()))
        .with_context(|| file.display().to_string())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_is_made_once_and_is_private() {
        let file = target("xtask-tests").join(format!("token-{}", std::process::id()));
        let first = token(&file).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(token(&file).unwrap(), first);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(&file).unwrap();
    }
}
