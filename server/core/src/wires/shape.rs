//! What a record of each entity looks like: its fields, its unique keys, what it refers to.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::time;
use crate::object::{Object, is_null};

/// An entity of a wire.
pub(crate) struct Entity {
    /// The wire's name of it, which is the collection's.
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
    /// Fields whose value only one live record may have.
    pub(crate) unique: &'static [&'static str],
    /// Fields that name a record, and the collection it is in.
    pub(crate) links: &'static [(&'static str, &'static str)],
}

/// One member of an entity's document.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
}

/// What a member's value must be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// A text that says something: an empty one counts as absent.
    Name,
    Flag,
    Number,
    /// Neither fraction nor exponent.
    Whole,
    /// A number, or a whole number, not below a bound; what is said of one that is.
    NumberFrom(f64, &'static str),
    WholeFrom(f64, &'static str),
    /// Decimal digits as text, greater than 0.
    Amount(&'static str),
    Decimal,
    Choice(&'static [&'static str]),
    Instant,
    Date,
    List,
    /// A list of objects with these members.
    Items(&'static [Field]),
    Map,
    /// The id of another record: a text, or a whole number.
    Link,
}

pub(crate) const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

pub(crate) const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// Why a document is not one of its entity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The member, from the top: `items[2].quantity`.
    pub(crate) field: Cow<'static, str>,
    /// What it must be; with the field's name before it, a sentence: `must be a text`.
    pub(crate) says: &'static str,
}

impl Wrong {
    pub(crate) fn sentence(&self) -> String {
        format!("{} {}", self.field, self.says)
    }
}

impl Entity {
    /// Checks a whole document; the first wrong member in the order of the fields is named.
    pub(crate) fn check(&self, document: &RawValue) -> Result<(), Wrong> {
        check(self.fields, &Object::of(document), "")
    }
}

fn check(fields: &[Field], object: &Object, at: &str) -> Result<(), Wrong> {
    for field in fields {
        let wrong = |says| Err(Wrong { field: format!("{at}{}", field.name).into(), says });
        match object.get(field.name) {
            Some(value) if !is_null(value) => {
                if let Kind::Items(inner) = field.kind {
                    items(inner, value, &format!("{at}{}", field.name))?;
                } else if let Some(says) = field.kind.refuses(value) {
                    return wrong(says);
                }
            }
            _ if field.required => return wrong("is required"),
            _ => {}
        }
    }
    Ok(())
}

fn items(fields: &[Field], value: &RawValue, at: &str) -> Result<(), Wrong> {
    let list: Vec<&RawValue> = serde_json::from_str(value.get())
        .map_err(|_| Wrong { field: at.to_owned().into(), says: "must be a list" })?;
    for (index, item) in list.into_iter().enumerate() {
        let at = format!("{at}[{index}]");
        let object = serde_json::from_str(item.get())
            .map_err(|_| Wrong { field: at.clone().into(), says: "must be an object" })?;
        check(fields, &object, &format!("{at}."))?;
    }
    Ok(())
}

impl Kind {
    /// What is wrong with a value; `None` if nothing is.
    fn refuses(self, value: &RawValue) -> Option<&'static str> {
        let text = || serde_json::from_str::<String>(value.get()).ok();
        let number = || serde_json::from_str::<f64>(value.get()).ok();
        let whole = || serde_json::from_str::<i64>(value.get()).is_ok();
        let starts = |sign| value.get().starts_with(sign);
        let unless = |sound: bool, says| if sound { None } else { Some(says) };
        match self {
            Self::Text => unless(text().is_some(), "must be a text"),
            Self::Name => match text() {
                Some(text) => unless(!text.trim().is_empty(), "is required"),
                None => Some("must be a text"),
            },
            Self::Flag => unless(matches!(value.get(), "true" | "false"), "must be true or false"),
            Self::Number => unless(number().is_some(), "must be a number"),
            Self::Whole => unless(whole(), "must be a whole number"),
            Self::NumberFrom(least, says) => match number() {
                Some(number) => unless(number >= least, says),
                None => Some("must be a number"),
            },
            Self::WholeFrom(least, says) => match number().filter(|_| whole()) {
                Some(number) => unless(number >= least, says),
                None => Some("must be a whole number"),
            },
            Self::Decimal => unless(text().is_some_and(|t| decimal(&t)), "must be a decimal text"),
            Self::Amount(says) => match text().filter(|text| decimal(text)) {
                Some(text) => {
                    let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
                    unless(!zero && !text.starts_with('-'), says)
                }
                None => Some("must be a decimal text"),
            },
            Self::Choice(words) => {
                let known = text().is_some_and(|text| words.contains(&text.as_str()));
                unless(known, "is not one of the words it may be")
            }
            Self::Instant => {
                unless(text().is_some_and(|t| time::parse(&t).is_some()), "must be an instant")
            }
            Self::Date => unless(text().is_some_and(|t| time::is_date(&t)), "must be a date"),
            Self::List | Self::Items(_) => unless(starts('['), "must be a list"),
            Self::Map => unless(starts('{'), "must be an object"),
            Self::Link => unless(text().is_some() || whole(), "must be an id"),
        }
    }
}

/// Digits, perhaps with a sign before and a fraction behind.
fn decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Field] = &[
        must("name", Kind::Name),
        may("text", Kind::Text),
        may("flag", Kind::Flag),
        may("number", Kind::Number),
        may("whole", Kind::Whole),
        may("from", Kind::WholeFrom(1.0, "must be greater than 0")),
        may("price", Kind::NumberFrom(0.0, "must not be negative")),
        may("amount", Kind::Amount("must be greater than 0")),
        may("decimal", Kind::Decimal),
        may("word", Kind::Choice(&["a", "b"])),
        may("at", Kind::Instant),
        may("day", Kind::Date),
        may("list", Kind::List),
        may("items", Kind::Items(&[must("qty", Kind::Whole)])),
        may("map", Kind::Map),
        may("other", Kind::Link),
    ];
    const ENTITY: Entity = Entity { name: "all", fields: ALL, unique: &[], links: &[] };

    fn says(text: &str) -> Option<String> {
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        ENTITY.check(&raw).err().map(|wrong| wrong.sentence())
    }

    #[test]
    fn each_kind_takes_its_values_and_names_the_first_wrong_one() {
        let good = r#"{"name":"x","text":"","flag":true,"number":1.5,"whole":-3,"from":1,"price":0,
            "amount":"0.001","decimal":"-2.50","word":"b","at":"2026-11-20T10:15:30Z",
            "day":"2026-11-20","list":[1],"items":[{"qty":2}],"map":{},"other":7,"unknown":[null]}"#;
        assert_eq!(says(good), None);
        assert_eq!(says(r#"{"name":"x","text":null,"other":"ord_1"}"#), None, "null is absent");
        for (member, expected) in [
            (r#""text":1"#, "text must be a text"),
            (r#""flag":1"#, "flag must be true or false"),
            (r#""number":"1""#, "number must be a number"),
            (r#""whole":1.5"#, "whole must be a whole number"),
            (r#""from":0"#, "from must be greater than 0"),
            (r#""from":1.5"#, "from must be a whole number"),
            (r#""price":-0.5"#, "price must not be negative"),
            (r#""amount":"0.000""#, "amount must be greater than 0"),
            (r#""amount":"-4.000""#, "amount must be greater than 0"),
            (r#""amount":4"#, "amount must be a decimal text"),
            (r#""decimal":"1.""#, "decimal must be a decimal text"),
            (r#""word":"c""#, "word is not one of the words it may be"),
            (r#""at":"now""#, "at must be an instant"),
            (r#""day":"2026-11-31""#, "day must be a date"),
            (r#""list":{}"#, "list must be a list"),
            (r#""items":[{"qty":1},{}]"#, "items[1].qty is required"),
            (r#""items":[1]"#, "items[0] must be an object"),
            (r#""items":{}"#, "items must be a list"),
            (r#""map":[]"#, "map must be an object"),
            (r#""other":1.5"#, "other must be an id"),
        ] {
            let text = format!(r#"{{"name":"x",{member}}}"#);
            assert_eq!(says(&text).as_deref(), Some(expected), "{member}");
        }
        for text in ["{}", r#"{"name":null}"#, r#"{"name":" "}"#] {
            assert_eq!(says(text).as_deref(), Some("name is required"), "{text}");
        }
    }
}
