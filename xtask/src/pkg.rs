//! The npm package: wasm twice (docs/adr/0023), with the glue of each, and the TypeScript face, in `pkg/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::shell::{self, Cmd, root, target};
use crate::{imports, setup, wasm};

const BINDGEN: &[&str] = &[
    "--target",
    "web",
    "--omit-default-module-path",
    "--remove-producers-section",
    "--out-name",
    "holdfast",
];
/// The crate as one of the package's modules.
pub(crate) struct Module {
    /// Of its files in `dist/`.
    name: &'static str,
    /// For cargo.
    features: &'static [&'static str],
}

/// For backends that speak the standard protocol: what most pages load.
pub(crate) const STANDARD: Module =
    Module { name: "holdfast", features: &["--no-default-features"] };
/// For all backends.
pub(crate) const ANY: Module = Module { name: "holdfast_any", features: &[] };

impl Module {
    /// Its wasm file in the package.
    pub(crate) fn file(&self) -> PathBuf {
        dir().join(format!("dist/{}_bg.wasm", self.name))
    }

    /// As it is in the package, but with the names of its functions.
    pub(crate) fn named(&self) -> Result<Vec<u8>> {
        shell::read(&self.work("wasm-opt.out.wasm"))
    }

    fn work(&self, file: &str) -> PathBuf {
        target(&format!("pkg/{}/{file}", self.name))
    }
}

/// Functions of one kind (what drops, what clones, what is made from one generic) stand side by side by name, and what is alike
/// compresses better there.
const WASM_OPT: &[&str] = &[
    "-Oz",
    "--reorder-functions-by-name",
    "--strip-target-features",
    "--strip-producers",
    "--debuginfo",
];

pub(crate) fn run(words: &[String]) -> Result<()> {
    Args::new(words).finish()?;
    setup::wasm_target()?;
    setup::wasm_tools()?;
    setup::npm()?;
    build()?;
    println!("built {}", dir().display());
    Ok(())
}

/// Where the package is built.
pub(crate) fn dir() -> PathBuf {
    root().join("pkg")
}

/// Builds it from nothing but the sources; the two slow parts are skipped when their input is the
/// same as last time. The tools must be there (see `setup`).
pub(crate) fn build() -> Result<()> {
    let _lock = setup::exclusive()?;
    let standard = made(&STANDARD)?;
    let any = made(&ANY)?;
    let pkg = dir();
    clear(&pkg)?;
    add(&standard)?;
    add(&any)?;
    // Who has one file has all backends.
    shell::write(
        &pkg.join("inline/wasm.js"),
        format!("export default \"{}\";\n", base64(&any.wasm)),
    )?;
    shell::write(
        &pkg.join("inline/wasm.d.ts"),
        "declare const base64: string;\nexport default base64;\n",
    )?;

    let template = root().join("pkg-template");
    Cmd::npm_tool("tsc").arg("--project").arg(&template).arg("--outDir").arg(&pkg).run()?;
    let manifest = String::from_utf8(shell::read(&template.join("package.json"))?)?;
    shell::write(
        &pkg.join("package.json"),
        stamp(&manifest, env!("CARGO_PKG_VERSION")).context("pkg-template/package.json")?,
    )?;
    shell::copy(&template.join("README.md"), &pkg.join("README.md"))?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        shell::copy(&root().join(licence), &pkg.join(licence))?;
    }
    exports_exist(&pkg)
}

/// A module that was built, with its glue.
struct Made {
    name: &'static str,
    wasm: Vec<u8>,
    script: String,
    /// Declarations of the glue and of the module.
    types: [Vec<u8>; 2],
}

fn made(module: &Module) -> Result<Made> {
    let glue = module.work("glue");
    clear(&glue)?;
    Cmd::new(setup::wasm_tool("wasm-bindgen"))
        .args(BINDGEN)
        .arg("--out-dir")
        .arg(&glue)
        .arg(&compiled(module)?)
        .run()?;
    let (wasm, script) = (glue.join("holdfast_bg.wasm"), glue.join("holdfast.js"));
    let text = String::from_utf8(shell::read(&script)?)?;
    let (shortened, script) = imports::shorten(&shell::read(&wasm)?, &text)?;
    shell::write(&wasm, shortened)?;
    let read = |name: &str| shell::read(&glue.join(name));
    Ok(Made {
        name: module.name,
        wasm: wasm::without_names(&optimise(module, &wasm)?)?,
        script,
        types: [read("holdfast.d.ts")?, read("holdfast_bg.wasm.d.ts")?],
    })
}

/// Puts it into the package.
fn add(made: &Made) -> Result<()> {
    let (dist, name) = (dir().join("dist"), made.name);
    let [glue, module] = &made.types;
    shell::write(&dist.join(format!("{name}.js")), &made.script)?;
    shell::write(&dist.join(format!("{name}.d.ts")), glue)?;
    shell::write(&dist.join(format!("{name}_bg.wasm")), &made.wasm)?;
    shell::write(&dist.join(format!("{name}_bg.wasm.d.ts")), module)
}

/// With the crate's two types cargo leaves link-time optimisation off, so the one that a page loads is named here: that is an
/// eighth of its size.
fn compiled(module: &Module) -> Result<PathBuf> {
    Cmd::cargo()
        .args(["rustc", "--quiet", "--release", "--locked", "--package", "holdfast", "--lib"])
        .args(["--crate-type", "cdylib", "--target", "wasm32-unknown-unknown"])
        .args(module.features)
        .env("CARGO_ENCODED_RUSTFLAGS", remapped()?.join("\u{1f}"))
        .run()?;
    Ok(target("wasm32-unknown-unknown/release/holdfast.wasm"))
}

/// Every panic carries the place of its source: where the sources of other crates lie on this machine is nobody's business, and
/// would make the module another one on every machine.
fn remapped() -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let sources = home.context("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    let mut flags = Vec::new();
    for registry in std::fs::read_dir(&sources).with_context(|| sources.display().to_string())? {
        flags.push(format!("--remap-path-prefix={}/=", registry?.path().display()));
    }
    flags.sort_unstable();
    Ok(flags)
}

/// wasm-opt takes seconds, so its last input is kept beside its last output.
fn optimise(module: &Module, wasm: &Path) -> Result<Vec<u8>> {
    let input = shell::read(wasm)?;
    let last_input = module.work("wasm-opt.in.wasm");
    let last_output = module.work("wasm-opt.out.wasm");
    if std::fs::read(&last_input).is_ok_and(|last| last == input)
        && let Ok(output) = std::fs::read(&last_output)
    {
        return Ok(output);
    }
    Cmd::npm_tool("wasm-opt").args(WASM_OPT).arg(wasm).arg("-o").arg(&last_output).run()?;
    // Written last: an interrupted run must not look like a finished one.
    shell::write(&last_input, &input)?;
    shell::read(&last_output)
}

fn clear(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| dir.display().to_string()),
    }
}

/// The manifest with the workspace's version; everything else stays as its author wrote it.
fn stamp(manifest: &str, version: &str) -> Result<String> {
    let key = "\"version\": \"";
    let Some((before, rest)) = manifest.split_once(key) else {
        bail!("no version");
    };
    let Some((_, after)) = rest.split_once('"') else {
        bail!("the version does not end");
    };
    Ok(format!("{before}{key}{version}\"{after}"))
}

/// A manifest that names files which are not there breaks an application at its next install.
fn exports_exist(pkg: &Path) -> Result<()> {
    let manifest: serde_json::Value =
        serde_json::from_slice(&shell::read(&pkg.join("package.json"))?)?;
    let mut named = Vec::new();
    for key in ["exports", "main", "module", "browser", "types", "sideEffects", "bin"] {
        if let Some(value) = manifest.get(key) {
            collect(value, &mut named);
        }
    }
    for name in named {
        if !pkg.join(name).is_file() {
            bail!("package.json names {name}, which was not built");
        }
    }
    Ok(())
}

fn collect<'v>(value: &'v serde_json::Value, into: &mut Vec<&'v str>) {
    match value {
        serde_json::Value::String(name) => into.push(name),
        serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, into)),
        serde_json::Value::Object(map) => map.values().for_each(|value| collect(value, into)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// RFC 4648 base64 with padding, as `atob` reads it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let letter = ALPHABET.get(digit as usize).filter(|_| place <= chunk.len());
            out.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_keeps_the_test_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn stamping_changes_the_version_alone() {
        let manifest = "{\n  \"name\": \"x\",\n  \"version\": \"0.0.0\",\n  \"a\": \"0.0.0\"\n}\n";
        assert_eq!(
            stamp(manifest, "1.2.3").unwrap(),
            "{\n  \"name\": \"x\",\n  \"version\": \"1.2.3\",\n  \"a\": \"0.0.0\"\n}\n"
        );
        stamp("{}", "1.2.3").unwrap_err();
    }

    #[test]
    fn every_file_named_by_the_exports_is_collected() {
        let exports =
            serde_json::json!({ ".": { "types": "./a", "default": "./b" }, "x": ["./c"] });
        let mut named = Vec::new();
        collect(&exports, &mut named);
        named.sort_unstable();
        assert_eq!(named, ["./a", "./b", "./c"]);
    }
}
