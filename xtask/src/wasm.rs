//! As much of WebAssembly's binary format as these tasks need.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

pub(crate) const CUSTOM: u8 = 0;
pub(crate) const IMPORTS: u8 = 2;
pub(crate) const CODE: u8 = 10;

/// The kind of an import that is a function.
pub(crate) const FUNCTION: u8 = 0;

/// What every module of this version begins with.
const HEAD: &[u8; 8] = b"\0asm\x01\0\0\0";

/// The custom section that names are in, and its part for functions.
const NAMES: &str = "name";
const FUNCTION_NAMES: u8 = 1;

/// The sections of a module, in order.
pub(crate) fn sections(module: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let mut from = Bytes(module);
    if from.take(HEAD.len()) != Some(HEAD) {
        bail!("not a module");
    }
    let mut sections = Vec::new();
    while let Some([id]) = from.take(1) {
        let size = from.number().context("a section without a size")?;
        sections.push((*id, from.take(size).context("a section that does not end")?));
    }
    Ok(sections)
}

/// A module of these sections.
pub(crate) fn module<S: AsRef<[u8]>>(sections: &[(u8, S)]) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    for (id, section) in sections {
        out.push(*id);
        write_bytes(&mut out, section.as_ref());
    }
    out
}

/// A module without the names of its functions.
pub(crate) fn without_names(module: &[u8]) -> Result<Vec<u8>> {
    let mut sections = sections(module)?;
    sections.retain(|(id, section)| *id != CUSTOM || Bytes(section).text() != Some(NAMES));
    Ok(self::module(&sections))
}

/// The functions of a module by name, each with its size in bytes.
pub(crate) fn functions(module: &[u8]) -> Result<Vec<(String, usize)>> {
    let sections = sections(module)?;
    let of = |wanted: u8| sections.iter().filter(move |(id, _)| *id == wanted);
    let imports = of(IMPORTS).map(|(_, section)| Bytes(section).number()).next();
    let mut index = imports.unwrap_or(Some(0)).context("the imports")?;
    let names = of(CUSTOM).find_map(|(_, section)| function_names(section)).unwrap_or_default();
    let mut functions = Vec::new();
    for (_, section) in of(CODE) {
        let mut from = Bytes(section);
        for _ in 0..from.number().context("no count of functions")? {
            let size = from.number().context("a function without a size")?;
            from.take(size).context("a function that does not end")?;
            let name = names.get(&index).map_or("?", |name| name);
            functions.push((name.to_owned(), size));
            index += 1;
        }
    }
    Ok(functions)
}

fn function_names(section: &[u8]) -> Option<BTreeMap<usize, &str>> {
    let mut from = Bytes(section);
    if from.text()? != NAMES {
        return None;
    }
    while let Some([part]) = from.take(1) {
        let size = from.number()?;
        let mut part_of = Bytes(from.take(size)?);
        if *part == FUNCTION_NAMES {
            let count = part_of.number()?;
            return (0..count).map(|_| Some((part_of.number()?, part_of.text()?))).collect();
        }
    }
    None
}

/// What is left of a binary.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// LEB128, of at most 32 bits.
    pub(crate) fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

pub(crate) fn write_number(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        out.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return;
        }
    }
}

pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One import and two functions, of which one has a name.
    fn example() -> Vec<u8> {
        let names = b"\x04name\x01\x08\x02\x00\x01i\x02\x02fn";
        module(&[
            (IMPORTS, &b"\x01\x01m\x01i\x00\x00"[..]),
            (CODE, b"\x02\x02\x00\x0b\x03\x00\x00\x0b"),
            (CUSTOM, names),
            (CUSTOM, b"\x05other"),
        ])
    }

    #[test]
    fn functions_are_counted_behind_the_imports() {
        let expected = [("?".to_owned(), 2), ("fn".to_owned(), 3)];
        assert_eq!(functions(&example()).unwrap(), expected);
    }

    #[test]
    fn only_the_names_are_taken_out() {
        let stripped = without_names(&example()).unwrap();
        let ids: Vec<u8> = sections(&stripped).unwrap().iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [IMPORTS, CODE, CUSTOM]);
        without_names(b"\0asm").unwrap_err();
    }

    #[test]
    fn numbers_of_every_size_are_read_as_they_were_written() {
        for number in [0, 1, 127, 128, 300, 0xffff_ffff] {
            let mut written = Vec::new();
            write_number(&mut written, number);
            assert_eq!(Bytes(&written).number(), Some(number));
        }
        assert_eq!(Bytes(&[0x80]).number(), None);
    }
}
