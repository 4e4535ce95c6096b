//! Rows of values, read from documents in one pass each.

use super::Value;
use crate::model::scan::{Reader, unescaped};
use crate::model::{Document, Json, Path};

/// The values of a document, one for each column.
///
/// ```
/// use holdfast::model::{Document, Path};
/// use holdfast::query::values;
/// let order = Document::parse(r#"{"table":7,"lines":[{"name":"Soup"}]}"#).unwrap();
/// let row = values(&order, &[Path::field("table"), Path::field("status")]);
/// assert_eq!(row[0].json(), "7");
/// ```
#[must_use]
pub fn values(document: &Document, columns: &[Path]) -> Vec<Value> {
    let mut row = vec![Value::Absent; columns.len()];
    let wanted: Vec<(&[String], usize)> =
        columns.iter().enumerate().map(|(at, path)| (path.0.as_slice(), at)).collect();
    fill(document.text(), &wanted, &mut row);
    row
}

/// The rows that a list in a document is, one for each element. A column below the list's path is a member of the element, any other
/// one of the document.
#[must_use]
pub fn elements(document: &Document, each: &Path, columns: &[Path]) -> Vec<Vec<Value>> {
    let list = document.get(&each.0).filter(|list| list.text().starts_with('['));
    let Some(list) = list else { return Vec::new() };
    let whole = values(document, columns);
    let inside = |(at, path): (usize, &Path)| {
        each.covers(path).then(|| (path.0.get(each.0.len()..).unwrap_or_default().to_vec(), at))
    };
    let inside: Vec<(Vec<String>, usize)> = columns.iter().enumerate().filter_map(inside).collect();
    let wanted: Vec<(&[String], usize)> =
        inside.iter().map(|(path, at)| (path.as_slice(), *at)).collect();
    let rows = crate::model::json::elements(&list).into_iter().map(|element| {
        let mut row = whole.clone();
        for (_, at) in &wanted {
            if let Some(slot) = row.get_mut(*at) {
                *slot = Value::Absent;
            }
        }
        fill(element.text(), &wanted, &mut row);
        row
    });
    rows.collect()
}

/// Puts what a text has at these paths into their columns; of a doubled name the last value counts.
fn fill(text: &str, wanted: &[(&[String], usize)], row: &mut [Value]) {
    let mut here = |text: &str| {
        for (_, at) in wanted.iter().filter(|(path, _)| path.is_empty()) {
            if let (Some(slot), Ok(json)) = (row.get_mut(*at), Json::parse(text)) {
                *slot = Value::of(&json);
            }
        }
    };
    here(text);
    if !text.starts_with('{') || wanted.iter().all(|(path, _)| path.is_empty()) {
        return;
    }
    // A document is an object that was read before: there is nothing to refuse here.
    let _ = Reader::new(text).members(&mut |reader, spelled| {
        let value = reader.raw()?;
        let name = if spelled.contains('\\') { unescaped(spelled)? } else { spelled.to_owned() };
        let below: Vec<(&[String], usize)> = wanted
            .iter()
            .filter_map(|(path, at)| match path.split_first() {
                Some((first, rest)) if *first == name => Some((rest, *at)),
                Some(_) | None => None,
            })
            .collect();
        if !below.is_empty() {
            for (_, at) in &below {
                if let Some(slot) = row.get_mut(*at) {
                    *slot = Value::Absent;
                }
            }
            fill(value, &below, row);
        }
        Some(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(names: &str) -> Path {
        Path(names.split('.').map(str::to_owned).collect())
    }

    fn row(document: &str, columns: &[&str]) -> String {
        let columns: Vec<Path> = columns.iter().map(|it| path(it)).collect();
        let row = values(&Document::parse(document).unwrap(), &columns);
        row.iter().map(Value::json).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_row_is_read_in_one_pass() {
        let document = r#"{"a":1,"b":{"c":"x","d":{"e":[2]}},"a":3,"\u0066":true}"#;
        assert_eq!(
            row(document, &["a", "b.c", "b.d.e", "f", "b"]),
            r#"3 "x" [2] true {"c":"x","d":{"e":[2]}}"#
        );
        assert_eq!(row(document, &["a.b", "b.c.d", "z"]), "null null null");
        assert_eq!(row(r#"{"b":{"c":1},"b":2}"#, &["b.c", "b"]), "null 2");
    }

    #[test]
    fn every_element_of_a_list_is_a_row() {
        let order =
            Document::parse(r#"{"table":7,"lines":[{"name":"Soup","n":2},{"n":1},"x"]}"#).unwrap();
        let columns = ["table", "lines.name", "lines.n"].map(path);
        let rows: Vec<String> = elements(&order, &path("lines"), &columns)
            .iter()
            .map(|row| row.iter().map(Value::json).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(rows, [r#"7 "Soup" 2"#, "7 null 1", "7 null null"]);
        assert!(elements(&order, &path("table"), &columns).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_row_has_what_the_document_has(members in proptest::collection::vec(("[ab]", "[ab]", -9i32..9), 0..6)) {
            let text: Vec<String> = members.iter().map(|(a, b, n)| format!(r#""{a}":{{"{b}":{n}}}"#)).collect();
            let document = Document::parse(&format!("{{{}}}", text.join(","))).unwrap();
            let columns = ["a", "b", "a.a", "a.b", "b.a", "b.b"].map(path);
            let expected: Vec<Value> = columns.iter().map(|path| document
                .get(&path.0).map_or(Value::Absent, |json| Value::of(&json))).collect();
            prop_assert_eq!(values(&document, &columns), expected);
        }
    }
}
