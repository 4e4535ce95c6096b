//! The till, served on loopback by the reference server.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::shell::{Cmd, Stopwatch, find_program, root, target};
use crate::{pkg, setup};

const PORT: u16 = 4650;
/// No secret: the server listens on loopback, and its sales are invented. The page suggests it.
const TOKEN: &str = "demo";

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
    let mut server = Server::start(port, &database, TOKEN, &["--rules", "pos"])?;
    println!();
    println!("The till is at   {}", server.address);
    println!("Sign in with     any name, token {TOKEN}");
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
