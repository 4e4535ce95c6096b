//! The figures of the performance page: see `cargo xtask bench`.

use anyhow::{Result, bail};

pub(crate) fn run(_words: &[String]) -> Result<()> {
    bail!("bench is not part of this checkout yet")
}
