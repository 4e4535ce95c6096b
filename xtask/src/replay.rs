//! Real sales through a real browser: see `cargo xtask replay`.

use anyhow::{Result, bail};

pub(crate) fn run(_words: &[String]) -> Result<()> {
    bail!("replay is not part of this checkout yet")
}
