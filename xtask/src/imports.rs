//! Short names for what the module imports. wasm-bindgen ends each name in a hash; both the module and the glue carry all of them,
//! they do not compress, and nobody reads them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::wasm::{self, Bytes, FUNCTION, IMPORTS, write_bytes, write_number};

/// What wasm-bindgen's glue calls itself in the module.
const GLUE: &str = "./holdfast_bg.js";
/// What it is called instead.
const SHORT_GLUE: &str = "g";

/// The module and the glue that belongs to it, with short names in both.
pub(crate) fn shorten(module: &[u8], glue: &str) -> Result<(Vec<u8>, String)> {
    let (module, names) = in_module(module)?;
    let glue = in_glue(glue, &names)?;
    Ok((module, glue))
}

fn in_module(module: &[u8]) -> Result<(Vec<u8>, BTreeMap<String, String>)> {
    let mut names = BTreeMap::new();
    let mut sections = Vec::new();
    for (id, section) in wasm::sections(module)? {
        let renamed = match id {
            IMPORTS => imports(section, &mut names).context("the imports")?,
            _ => section.to_vec(),
        };
        sections.push((id, renamed));
    }
    Ok((wasm::module(&sections), names))
}

fn imports(section: &[u8], names: &mut BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut from = Bytes(section);
    let count = from.number().context("no count")?;
    let mut out = Vec::new();
    write_number(&mut out, count);
    for nth in 0..count {
        let (glue, name) = (from.text().context("no module")?, from.text().context("no name")?);
        if glue != GLUE {
            bail!("{name} is imported from {glue}");
        }
        let Some([FUNCTION]) = from.take(1) else { bail!("{name} is no function") };
        let kind = from.number().context("no type")?;
        write_bytes(&mut out, SHORT_GLUE.as_bytes());
        write_bytes(&mut out, short(nth).as_bytes());
        out.push(FUNCTION);
        write_number(&mut out, kind);
        if names.insert(name.to_owned(), short(nth)).is_some() {
            bail!("{name} is imported twice");
        }
    }
    Ok(out)
}

/// Each import is a member of one object: its key stands at the beginning of a line.
fn in_glue(glue: &str, names: &BTreeMap<String, String>) -> Result<String> {
    let mut found = 0;
    let mut out = String::with_capacity(glue.len());
    for line in glue.split_inclusive('\n') {
        let key = line.trim_start();
        let indent = line.get(..line.len() - key.len()).unwrap_or_default();
        match key.split_once(':').and_then(|(key, rest)| Some((names.get(key)?, rest))) {
            Some((name, rest)) => {
                found += 1;
                out.extend([indent, name, ":", rest]);
            }
            None => out.push_str(line),
        }
    }
    if found != names.len() {
        bail!("{found} of {} imports are in the glue", names.len());
    }
    let (quoted, short) = (format!("\"{GLUE}\":"), format!("\"{SHORT_GLUE}\":"));
    if out.matches(&quoted).count() != 1 {
        bail!("the glue does not call itself {GLUE}");
    }
    Ok(out.replacen(&quoted, &short, 1))
}

/// `a` to `Z`, then `aa`, `ba` and so on.
fn short(nth: usize) -> String {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = LETTERS.get(nth % LETTERS.len()).map_or('a', |letter| char::from(*letter));
    let rest = (nth / LETTERS.len()).checked_sub(1).map(short).unwrap_or_default();
    format!("{letter}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(names: &[&str]) -> Vec<u8> {
        let mut section = Vec::new();
        write_number(&mut section, names.len());
        for (name, kind) in names.iter().zip(300..) {
            write_bytes(&mut section, GLUE.as_bytes());
            write_bytes(&mut section, name.as_bytes());
            section.push(FUNCTION);
            write_number(&mut section, kind);
        }
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([1, 2, 7, 8, IMPORTS]);
        write_bytes(&mut module, &section);
        module.extend([3, 1, 9]);
        module
    }

    const GLUE_TEXT: &str = "const import0 = {\n  __wbg_a_1f: function() {},\n  __wbg_b_2e: function() { return x ? y : z; },\n};\nreturn { \"./holdfast_bg.js\": import0 };\n";

    #[test]
    fn imports_are_called_the_same_in_module_and_glue() {
        let (shortened, glue) = shorten(&module(&["__wbg_a_1f", "__wbg_b_2e"]), GLUE_TEXT).unwrap();
        let expected = b"\0asm\x01\0\0\0\x01\x02\x07\x08\x02\x0f\x02\x01g\x01a\0\xac\x02\x01g\x01b\0\xad\x02\x03\x01\x09";
        assert_eq!(shortened, expected);
        assert_eq!(
            glue,
            "const import0 = {\n  a: function() {},\n  b: function() { return x ? y : z; },\n};\nreturn { \"g\": import0 };\n"
        );
    }

    #[test]
    fn an_import_that_the_glue_does_not_have_is_an_error() {
        let error = shorten(&module(&["__wbg_a_1f", "__wbg_c_3d"]), GLUE_TEXT).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 imports are in the glue");
        shorten(b"\0asm", GLUE_TEXT).unwrap_err();
    }

    #[test]
    fn names_are_distinct_however_many_there_are() {
        let names: std::collections::BTreeSet<String> = (0..5_000).map(short).collect();
        assert_eq!(names.len(), 5_000);
        assert_eq!([short(0), short(51), short(52), short(104)], ["a", "Z", "aa", "ab"]);
    }
}
