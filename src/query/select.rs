//! Order and pages.

use std::cmp::Ordering;

use super::filter::move_to;
use super::{Query, Value};
use crate::model::map::sort_by;

/// One step of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// A place in [`Query::columns`].
    pub column: usize,
    /// Which way.
    pub direction: Direction,
}

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// The rows that were asked for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Places of rows in what was given.
    pub rows: Vec<usize>,
    /// Where the next page begins: the values of the last row in the order asked for. Its id belongs to it. Nothing on the last
    /// page.
    pub next: Option<Vec<Value>>,
}

/// A row that is in question: its values in the order asked for, and its place in what was given.
struct Candidate<'a> {
    key: Vec<&'a Value>,
    place: usize,
}

/// Chooses rows. `rows` are ids with their values by column, in order of id.
#[must_use]
pub fn select<'a>(query: &Query, rows: impl Iterator<Item = (&'a str, &'a [Value])>) -> Selected {
    let mut found = Vec::new();
    for (place, (id, values)) in rows.enumerate() {
        if !query.filter.takes(values) {
            continue;
        }
        let key =
            query.order.iter().map(|order| values.get(order.column).unwrap_or(&Value::Absent));
        let candidate = Candidate { key: key.collect(), place };
        let behind = query.after.as_ref().is_none_or(|(values, after)| {
            let after_key: Vec<&Value> = values.iter().collect();
            query.compare(&after_key, &candidate.key).then_with(|| (**after).cmp(id)).is_lt()
        });
        if behind {
            found.push(candidate);
        }
    }
    sort_by(&mut found, |a, b| {
        query.compare(&a.key, &b.key).then_with(|| a.place.cmp(&b.place)).is_lt()
    });
    let limit = query.limit.unwrap_or(usize::MAX);
    let more = found.len().saturating_sub(query.offset) > limit;
    let page: Vec<Candidate<'_>> = found.into_iter().skip(query.offset).take(limit).collect();
    let next = page.last().filter(|_| more);
    let next = next.map(|last| last.key.iter().copied().cloned().collect());
    Selected { rows: page.iter().map(|one| one.place).collect(), next }
}

impl Query {
    /// The same question over columns that stand elsewhere: at `places` by their present place.
    #[must_use]
    pub fn renumbered(mut self, places: &[usize]) -> Self {
        self.filter.renumber(places);
        self.order.iter_mut().for_each(|order| move_to(&mut order.column, places));
        self
    }

    /// The order of two rows by what was asked for; the id is for others to look at.
    fn compare(&self, a: &[&Value], b: &[&Value]) -> Ordering {
        for (order, (a, b)) in self.order.iter().zip(a.iter().zip(b)) {
            let step = match order.direction {
                Direction::Ascending => a.cmp(b),
                Direction::Descending => b.cmp(a),
            };
            if step.is_ne() {
                return step;
            }
        }
        Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Document, Path};
    use crate::query::{Value, place_text, read_query, select, values};

    const ORDERS: &[(&str, &str)] = &[
        (
            "a",
            r#"{"status":"open","table":7,"total":1750,"tags":["window"],"at":"2026-11-28T10:00:00Z"}"#,
        ),
        ("b", r#"{"status":"paid","table":3,"total":99.5,"at":"2026-11-28T09:00:00Z"}"#),
        ("c", r#"{"status":"open","table":null,"total":"free","tags":[]}"#),
        (
            "d",
            r#"{"status":"void","table":7,"total":0,"guest":{"name":"Ada"},"at":"2026-11-27T23:59:59Z"}"#,
        ),
        ("e", r#"{}"#),
    ];

    /// The ids that a query finds, and where its next page begins.
    fn ask(text: &str) -> (String, Option<String>) {
        let query = read_query(text).unwrap();
        let columns: &[Path] = &query.columns;
        let rows: Vec<(&str, Vec<Value>)> = ORDERS
            .iter()
            .map(|(id, text)| (*id, values(&Document::parse(text).unwrap(), columns)))
            .collect();
        let found = select(&query, rows.iter().map(|(id, row)| (*id, row.as_slice())));
        let ids: Vec<&str> = found.rows.iter().map(|at| rows[*at].0).collect();
        let last = ids.last().copied().unwrap_or_default();
        (ids.concat(), found.next.map(|values| place_text(&values, last)))
    }

    #[test]
    fn conditions_take_what_they_say() {
        for (filter, ids) in [
            (r#"{}"#, "abcde"),
            (r#"{"status":"open"}"#, "ac"),
            (r#"{"status":"open","table":7}"#, "a"),
            (r#"{"status":{"in":["paid","void"]}}"#, "bd"),
            (r#"{"total":{"gte":99.50,"lt":1750}}"#, "b"),
            (r#"{"total":{"gt":-1}}"#, "abd"),
            (r#"{"total":{"lte":"zzz"}}"#, "c"),
            (r#"{"total":0.0}"#, "d"),
            (r#"{"table":null}"#, "c"),
            (r#"{"table":{"exists":false}}"#, "e"),
            (r#"{"tags":{"has":"window"}}"#, "a"),
            (r#"{"tags":{"eq":[]}}"#, "c"),
            (r#"{"at":{"prefix":"2026-11-28"}}"#, "ab"),
            (r#"{"guest.name":"Ada"}"#, "d"),
            (r#"{"$or":[{"status":"paid"},{"table":7,"total":0}]}"#, "bd"),
            (r#"{"$and":[{"status":"open"},{"$not":{"tags":{"eq":[]}}}]}"#, "a"),
            (r#"{"$not":{"status":"open"}}"#, "bde"),
            (r#"{"$or":[]}"#, ""),
        ] {
            assert_eq!(ask(&format!(r#"{{"where":{filter}}}"#)).0, ids, "{filter}");
        }
    }

    #[test]
    fn orders_have_several_steps_and_the_id_is_the_last() {
        for (query, ids) in [
            (r#"{"orderBy":"table"}"#, "ecbad"),
            (r#"{"orderBy":{"field":"table","direction":"desc"}}"#, "adbce"),
            (r#"{"orderBy":["table",{"field":"total","direction":"desc"}]}"#, "ecbad"),
            (r#"{"orderBy":["table","total"]}"#, "ecbda"),
            (r#"{"orderBy":"table","offset":1,"limit":2}"#, "cb"),
        ] {
            assert_eq!(ask(query).0, ids, "{query}");
        }
    }

    #[test]
    fn pages_follow_one_another_and_miss_nothing() {
        for order in ["[]", r#""table""#, r#"[{"field":"table","direction":"desc"},"at"]"#] {
            let whole = ask(&format!(r#"{{"orderBy":{order}}}"#)).0;
            let (mut all, mut after) = (String::new(), None::<String>);
            loop {
                let place = after.map_or_else(String::new, |after| {
                    format!(r#","after":{}"#, crate::model::json::quote(&after))
                });
                let (ids, next) = ask(&format!(r#"{{"orderBy":{order},"limit":2{place}}}"#));
                all.push_str(&ids);
                let Some(next) = next else { break };
                after = Some(next);
            }
            assert_eq!(all, whole, "{order}");
        }
    }
}
