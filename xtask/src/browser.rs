//! The Rust tests that need a browser: the store's laws on IndexedDB, signals, leadership.

use anyhow::{Result, bail};

use crate::args::Args;
use crate::setup;
use crate::shell::{Cmd, files_below, find_program, root};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut args = Args::new(words);
    let mut engines = Vec::new();
    for (flag, engine) in [
        ("--chromium", Engine::Chromium),
        ("--firefox", Engine::Firefox),
        ("--webkit", Engine::WebKit),
    ] {
        if args.flag(flag) {
            engines.push(engine);
        }
    }
    args.finish()?;
    if engines.is_empty() {
        engines.push(Engine::Chromium);
    }
    engines.into_iter().try_for_each(test)
}

/// Runs every `tests/browser*.rs` in one engine.
pub(crate) fn test(engine: Engine) -> Result<()> {
    setup::wasm_target()?;
    setup::wasm_tools()?;
    let (mut cargo, driver, program) = match engine {
        Engine::Chromium => {
            setup::programs(setup::CHROMIUM)?;
            (Cmd::cargo(), "CHROMEDRIVER", find_program("chromedriver"))
        }
        Engine::Firefox => {
            setup::programs(setup::FIREFOX)?;
            (Cmd::cargo(), "GECKODRIVER", Some(setup::geckodriver()?))
        }
        Engine::WebKit => {
            setup::programs(setup::WEBKIT)?;
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            // Its driver starts a window, so it needs a screen to draw on.
            let xvfb = Cmd::new("xvfb-run").arg("-a").arg(cargo);
            (xvfb, "SAFARIDRIVER", find_program("WebKitWebDriver"))
        }
    };
    let Some(program) = program else {
        bail!("no {driver} for {engine:?}");
    };
    // No --quiet: cargo would pass it on to the runner, which refuses it.
    cargo = cargo.args(["test", "--locked", "--package", "holdfast", "--target"]);
    cargo
        .arg("wasm32-unknown-unknown")
        .args(test_flags()?)
        .env(driver, program)
        .env("WASM_BINDGEN_TEST_TIMEOUT", "120")
        .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "30")
        .run()
}

/// `--test <name>` for each of `tests/browser*.rs`.
pub(crate) fn test_flags() -> Result<Vec<String>> {
    let tests = root().join("tests");
    let flags: Vec<String> = files_below(&tests)?
        .iter()
        .filter(|file| file.parent() == Some(tests.as_path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|file| file.file_stem()?.to_str().map(str::to_owned))
        .filter(|name| name.starts_with("browser"))
        .flat_map(|name| ["--test".to_owned(), name])
        .collect();
    if flags.is_empty() {
        bail!("no tests/browser*.rs");
    }
    Ok(flags)
}
