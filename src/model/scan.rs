//! JSON read once, from the front, by hand. Readers generated for each type weighed more than half of the package, and read a
//! document as often as it is nested in others; this one passes over every byte a single time.

use super::number::Number;

/// A place in a JSON text. Whatever is not strict JSON (RFC 8259), or not of the asked type, is nothing; the place is then of no
/// use any more.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The deepest nesting that was passed over.
    pub(crate) deepest: usize,
    /// The longest name that was passed over, of those longer than [`NAME_BYTES`].
    pub(crate) longest: usize,
}

/// Names up to this are not looked at: nobody minds them.
pub(crate) const NAME_BYTES: usize = 256;

/// Reads one value.
type Read<'r, 'a> = &'r mut dyn FnMut(&mut Reader<'a>) -> Option<()>;
/// Reads the value of a member; the name is as it is spelled.
type ReadMember<'r, 'a> = &'r mut dyn FnMut(&mut Reader<'a>, &'a str) -> Option<()>;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, deepest: 0, longest: 0 }
    }

    /// A whole text as one value.
    pub(crate) fn whole<T>(text: &'a str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut reader = Self::new(text);
        let value = read(&mut reader)?;
        reader.end().then_some(value)
    }

    /// Whether nothing but white space is left.
    pub(crate) fn end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The first byte of what comes next.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.here()?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn here(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> Option<&'a str> {
        self.text.get(start..self.at)
    }

    /// Passes a byte, if it comes next.
    fn pass(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn must(&mut self, byte: u8) -> Option<()> {
        self.pass(byte).then_some(())
    }

    /// What stands between the quotes of a string, as it is spelled.
    fn quoted(&mut self) -> Option<&'a str> {
        self.must(b'"')?;
        let start = self.at;
        loop {
            let byte = self.here()?;
            self.at += 1;
            match byte {
                b'"' => return self.text.get(start..self.at - 1),
                b'\\' => {
                    let digits = match self.here()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 0,
                        b'u' => 4,
                        _ => return None,
                    };
                    self.at += 1;
                    for _ in 0..digits {
                        self.here()?.is_ascii_hexdigit().then_some(())?;
                        self.at += 1;
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        let name = self.quoted()?;
        if name.len() > NAME_BYTES {
            self.longest = self.longest.max(unescaped(name).map_or(name.len(), |it| it.len()));
        }
        self.must(b':')?;
        Some(name)
    }

    /// A number or a word. Which numbers there are, RFC 8259 says.
    fn plain(&mut self) -> Option<()> {
        let start = self.at;
        while self.here().is_some_and(
            |byte| matches!(byte, b'a'..=b'z' | b'E' | b'0'..=b'9' | b'+' | b'-' | b'.'),
        ) {
            self.at += 1;
        }
        let word = self.since(start)?;
        if matches!(word, "null" | "true" | "false") {
            return Some(());
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let number = word.strip_prefix('-').unwrap_or(word);
        let (number, power) = match number.split_once(['e', 'E']) {
            Some((number, power)) => (number, power.strip_prefix(['+', '-']).unwrap_or(power)),
            None => (number, "0"),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let led = whole.len() > 1 && whole.starts_with('0');
        (digits(whole) && !led && digits(fraction) && digits(power)).then_some(())
    }

    /// The text of the next value.
    pub(crate) fn raw(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        // Not by recursion: how deep a text goes is not ours to say.
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek()? {
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    let closing = opening + 2;
                    open.push(closing);
                    self.deepest = self.deepest.max(open.len());
                    if self.peek()? != closing {
                        if opening == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b'"' => {
                    self.quoted()?;
                }
                _ => self.plain()?,
            }
            loop {
                let Some(closing) = open.last().copied() else { return self.since(start) };
                if self.pass(closing) {
                    open.pop();
                    continue;
                }
                self.must(b',')?;
                if closing == b'}' {
                    self.name()?;
                }
                break;
            }
        }
    }

    /// Passes over a value that nobody asked for.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.raw().map(|_| ())
    }

    pub(crate) fn string(&mut self) -> Option<String> {
        unescaped(self.quoted()?)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        self.raw()?.parse().ok()
    }

    pub(crate) fn small(&mut self) -> Option<u32> {
        self.raw()?.parse().ok()
    }

    /// A number of any kind, with all its digits.
    pub(crate) fn decimal(&mut self) -> Option<Number> {
        Number::parse(self.raw()?)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.raw()? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A value, or `null` for none.
    pub(crate) fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.peek()? == b'n' {
            return (self.raw()? == "null").then_some(None);
        }
        read(self).map(Some)
    }

    /// The elements of a list.
    pub(crate) fn list(&mut self, each: Read<'_, 'a>) -> Option<()> {
        self.must(b'[')?;
        if self.pass(b']') {
            return Some(());
        }
        loop {
            each(self)?;
            if self.pass(b']') {
                return Some(());
            }
            self.must(b',')?;
        }
    }

    /// The members of an object, in their order.
    pub(crate) fn members(&mut self, each: ReadMember<'_, 'a>) -> Option<()> {
        self.must(b'{')?;
        if self.pass(b'}') {
            return Some(());
        }
        loop {
            let name = self.name()?;
            each(self, name)?;
            if self.pass(b'}') {
                return Some(());
            }
            self.must(b',')?;
        }
    }

    /// The members of one of our own rows: none twice, and all that must be there.
    pub(crate) fn object(&mut self, needed: &[&str], each: ReadMember<'_, 'a>) -> Option<()> {
        let mut seen: Vec<&str> = Vec::new();
        self.members(&mut |reader, name| {
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            each(reader, name)
        })?;
        needed.iter().all(|name| seen.contains(name)).then_some(())
    }

    /// Begins a variant, which is its name or an object of one member: the name, and whether a content follows.
    pub(crate) fn variant(&mut self) -> Option<(&'a str, bool)> {
        if self.pass(b'{') { Some((self.name()?, true)) } else { Some((self.quoted()?, false)) }
    }

    /// Ends a variant that has a content.
    pub(crate) fn end_variant<T>(&mut self, value: T) -> Option<T> {
        self.must(b'}')?;
        Some(value)
    }
}

/// What a string stands for; nothing if that is no text: half of a surrogate pair.
pub(crate) fn unescaped(spelled: &str) -> Option<String> {
    let mut out = String::with_capacity(spelled.len());
    let mut rest = spelled;
    while let Some(at) = rest.bytes().position(|byte| byte == b'\\') {
        out.push_str(rest.get(..at)?);
        let escape = rest.get(at + 1..)?;
        let unit = |from: usize| u32::from_str_radix(escape.get(from..from + 4)?, 16).ok();
        let mut length = 1;
        out.push(match *escape.as_bytes().first()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = unit(1)?;
                length = 5;
                if let 0xd800..0xdc00 = first {
                    length = 11;
                    let second = unit(7).filter(|it| (0xdc00..0xe000).contains(it))?;
                    (escape.get(5..7)? == "\\u").then_some(())?;
                    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?
                } else {
                    char::from_u32(first)?
                }
            }
            itself => char::from(itself),
        });
        rest = escape.get(length..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// Writes a text as a JSON string.
pub(crate) fn quote_to(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|it| it < 0x20 || it == b'"' || it == b'\\') {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let byte = tail.bytes().next().unwrap_or_default();
        match byte {
            8 => out.push_str("\\b"),
            9 => out.push_str("\\t"),
            10 => out.push_str("\\n"),
            12 => out.push_str("\\f"),
            13 => out.push_str("\\r"),
            0..0x20 => {
                out.push_str(if byte < 0x10 { "\\u000" } else { "\\u001" });
                out.extend(char::from_digit(u32::from(byte & 15), 16));
            }
            _ => {
                out.push('\\');
                out.push(char::from(byte));
            }
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

/// The reader of `serde_json` is the judge.
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    fn agrees(text: &str) {
        let raw: Option<&RawValue> = serde_json::from_str(text).ok();
        assert_eq!(Reader::whole(text, Reader::raw), raw.map(RawValue::get), "{text:?}");
        let string: Option<String> = serde_json::from_str(text).ok();
        assert_eq!(Reader::whole(text, Reader::string), string, "{text:?}");
        let number: Option<u64> = serde_json::from_str(text).ok();
        assert_eq!(Reader::whole(text, Reader::number), number, "{text:?}");
        let small: Option<u32> = serde_json::from_str(text).ok();
        assert_eq!(Reader::whole(text, Reader::small), small, "{text:?}");
        let float: Option<f64> = serde_json::from_str(text).ok();
        assert_eq!(Reader::whole(text, Reader::decimal).is_some(), float.is_some(), "{text:?}");
        let flag: Option<bool> = serde_json::from_str(text).ok();
        assert_eq!(Reader::whole(text, Reader::flag), flag, "{text:?}");
    }

    /// R5, P36.
    #[test]
    fn what_json_is_and_what_not() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "{}",
            "[]",
            " [ ] ",
            "[,]",
            "[1,]",
            "[1 2]",
            "{\"a\":1}",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1]",
            "[1}",
            "[[[]]]",
            "[[]",
            "nul",
            "null",
            "nullx",
            "true",
            "false",
            "True",
            "-",
            "0",
            "-0",
            "00",
            "01",
            "1.",
            ".1",
            "1.5",
            "-1.5e-7",
            "1e",
            "1e+",
            "1E5",
            "1e5.5",
            "1e999",
            "+1",
            "1-1",
            "1e1e1",
            "18446744073709551615",
            "18446744073709551616",
            "4294967296",
            "NaN",
            "\"",
            "\"\"",
            "\"a",
            "\"\n\"",
            "\"\\n\"",
            "\"\\x\"",
            "\"\\u00e4\"",
            "\"\\u00e\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ud83dxx0041\"",
            "\"\\u+041\"",
            "\"\\\\\"",
            "\"\\",
            "\"😀\"",
            "\u{a0}1",
            "1 1",
            "{\"a\":{\"b\":[1,{\"c\":null}]}} ",
            "\u{feff}1",
            "[\"\\u12\u{e4}x\"]",
        ] {
            agrees(text);
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<String>().prop_map(|text| Value::from(text).to_string()),
            any::<f64>().prop_map(|number| Value::from(number).to_string()),
            any::<u64>().prop_map(|number| number.to_string()),
            Just("null".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|members| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(name, value)| format!("{} : {value}", Value::from(name)))
                        .collect();
                    format!("{{{}}}", members.join(",\n"))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_writes_them(text: String) {
            let mut out = String::new();
            quote_to(&mut out, &text);
            prop_assert_eq!(&out, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(Reader::whole(&out, Reader::string), Some(text));
        }

        #[test]
        fn values_are_read_as_serde_reads_them(text in value()) {
            agrees(&text);
        }

        #[test]
        fn broken_values_are_refused_as_serde_refuses_them(
            text in value(),
            at: prop::sample::Index,
            with in prop::sample::select(vec!["", "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "e", "-", ".", "\n", "\\u12"]),
        ) {
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            let mut broken: String = chars[..at].iter().collect();
            broken.push_str(with);
            broken.extend(&chars[at + 1..]);
            agrees(&broken);
        }
    }
}
