//! Many rows in one value: a head with the keys and lengths of what follows, a line break, then the texts as they are. What a
//! platform charges for is values, not bytes; and whoever looks for one row reads the head alone. A text that is damaged hides no
//! other: where it begins and ends stands in the head.

use super::{Key, Part, STORES};
use crate::model::scan::{Reader, quote_to};

/// A row inside another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Whose row it is.
    pub(super) store: &'static str,
    /// Under which key it would be a row of its own.
    pub(super) key: Key,
    /// Its text.
    pub(super) text: String,
}

/// The text of a value that holds these rows; rows of one store stand together.
pub(super) fn pack<'a>(members: impl Iterator<Item = (&'static str, Key, &'a str)>) -> String {
    let (mut head, mut body) = (String::from("{"), String::new());
    let mut section = "";
    for (store, key, text) in members {
        if store != section {
            head.push_str(if section.is_empty() { "\"" } else { "],\"" });
            head.push_str(store);
            head.push_str("\":[");
            section = store;
        } else {
            head.push(',');
        }
        head.push('[');
        write_key(&mut head, &key);
        head.push(',');
        head.push_str(&text.len().to_string());
        head.push(']');
        body.push_str(text);
    }
    head.push_str(if section.is_empty() { "}\n" } else { "]}\n" });
    head.push_str(&body);
    head
}

fn write_key(out: &mut String, key: &[Part]) {
    out.push('[');
    for part in key {
        if !out.ends_with('[') {
            out.push(',');
        }
        match part {
            Part::Number(number) => out.push_str(&number.to_string()),
            Part::Text(text) => quote_to(out, text),
        }
    }
    out.push(']');
}

/// The rows inside a value; nothing if its head cannot be read. A text that is cut off is given as far as it goes.
pub(super) fn unpack(text: &str) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    each(text, &mut |store, key, text| {
        members.push(Member { store, key, text: text.to_owned() });
    })?;
    Some(members)
}

/// Hands over the rows inside a value, in their order.
pub(super) fn each(text: &str, hand: &mut dyn FnMut(&'static str, Key, &str)) -> Option<()> {
    let (head, body) = text.split_once('\n')?;
    let mut at = 0_usize;
    let mut section = |from: &mut Reader<'_>, store: &'static str| {
        from.list(&mut |from| {
            let (key, length) = entry(from)?;
            let text = body.get(at..at.checked_add(length)?).or_else(|| body.get(at..));
            at += length;
            hand(store, key, text.unwrap_or_default());
            Some(())
        })
    };
    Reader::whole(head, |from| {
        from.members(&mut |from, name| {
            let spec = STORES.iter().find(|spec| spec.name == name)?;
            section(from, spec.name)
        })
    })
}

/// A key and a length: a list of two.
fn entry(from: &mut Reader<'_>) -> Option<(Key, usize)> {
    let (mut key, mut length) = (None, None);
    from.list(&mut |from| {
        if key.is_none() {
            key = Some(read_key(from)?);
        } else if length.is_none() {
            length = Some(usize::try_from(from.number()?).ok()?);
        } else {
            return None;
        }
        Some(())
    })?;
    Some((key?, length?))
}

fn read_key(from: &mut Reader<'_>) -> Option<Key> {
    let mut key = Key::new();
    from.list(&mut |from| {
        key.push(match from.peek()? {
            b'"' => Part::Text(from.string()?),
            _ => Part::Number(from.number()?),
        });
        Some(())
    })?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    fn members() -> Vec<Member> {
        let member = |store, key, text: &str| Member { store, key, text: text.into() };
        vec![
            member("outbox", vec![text("orders"), text("a\"\n"), Part::Number(7)], "{\"ä\":1}"),
            member("outbox", vec![text("orders"), text("b"), Part::Number(8)], ""),
            member("records", vec![text("orders"), text("b")], "{\n}"),
        ]
    }

    fn packed(members: &[Member]) -> String {
        pack(members.iter().map(|it| (it.store, it.key.clone(), &*it.text)))
    }

    #[test]
    fn what_was_packed_comes_out_as_it_was() {
        assert_eq!(unpack(&packed(&members())), Some(members()));
        assert_eq!(packed(&[]), "{}\n");
        assert_eq!(unpack("{}\n"), Some(Vec::new()));
    }

    /// P30: damage in one text, or a lost end, hides no other text.
    #[test]
    fn damage_stays_where_it_is() {
        let whole = packed(&members());
        let damaged = whole.replace("{\"ä\":1}", "{\"ä\"?1}");
        let found = unpack(&damaged).unwrap();
        assert_eq!(found[1..], members()[1..]);
        let cut = whole.strip_suffix("\n}").unwrap();
        let found = unpack(cut).unwrap();
        assert_eq!((found.len(), &*found[2].text), (3, "{"));
    }

    #[test]
    fn a_head_that_is_none_of_ours_is_nothing() {
        for text in ["", "{}", "{\"elsewhere\":[]}\n", "{\"outbox\":[[1,2]]}\n", "[]\n"] {
            assert_eq!(unpack(text), None, "{text}");
        }
    }
}
