//! What rows add up to.

use std::cmp::Ordering;

use super::filter::move_to;
use super::{Aggregate, Decimal, Value};

/// What makes a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name of the key in the answer.
    pub name: String,
    /// A place in [`Aggregate::columns`].
    pub column: usize,
    /// How much of a value counts.
    pub part: Part,
}

/// How much of a value makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The first characters of a text: of an instant by RFC 3339, 10 are its day and 13 its hour. Other values count whole.
    Length(usize),
    /// The step that a number falls into: the greatest `origin + n * step` that is not above it. Other values count whole.
    Step {
        /// How wide: 3,600,000 are the hours of a time in milliseconds.
        step: i64,
        /// Where one of them begins.
        origin: i64,
    },
}

/// A calculation over a column. Values of other kinds than it calculates with are passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fold {
    /// The sum of the numbers; nothing where it is out of reach.
    Sum(String, usize),
    /// Their mean, to twelve places; nothing where there are none.
    Mean(String, usize),
    /// The least value that is there.
    Min(String, usize),
    /// The greatest.
    Max(String, usize),
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Its values, in the order of [`Aggregate::groups`].
    pub key: Vec<Value>,
    /// Rows in it.
    pub count: usize,
    /// In the order of [`Aggregate::folds`].
    pub results: Vec<Value>,
}

/// A calculation under way.
#[derive(Clone)]
enum Running {
    /// How many, and their sum until it was out of reach.
    Numbers(usize, Option<Decimal>),
    Extreme(Option<Value>),
}

impl Aggregate {
    /// The same question over columns that stand elsewhere: at `places` by their present place.
    #[must_use]
    pub fn renumbered(mut self, places: &[usize]) -> Self {
        self.filter.renumber(places);
        self.groups.iter_mut().for_each(|group| move_to(&mut group.column, places));
        for fold in &mut self.folds {
            match fold {
                Fold::Sum(_, column)
                | Fold::Mean(_, column)
                | Fold::Min(_, column)
                | Fold::Max(_, column) => move_to(column, places),
            }
        }
        self
    }

    /// The groups of these rows, in the order of their keys. Without groups, one of all rows, even of none.
    #[must_use]
    pub fn totals<'a>(&self, rows: impl Iterator<Item = &'a [Value]>) -> Vec<Totals> {
        let start: Vec<Running> = self.folds.iter().map(Fold::start).collect();
        let mut groups: Vec<(Vec<Value>, usize, Vec<Running>)> = Vec::new();
        if self.groups.is_empty() {
            groups.push((Vec::new(), 0, start.clone()));
        }
        for row in rows.filter(|row| self.filter.takes(row)) {
            // Nearly every row falls into a group that is known: nothing is made for it.
            let found = groups.binary_search_by(|(key, ..)| self.order(key, row));
            let at = found.unwrap_or_else(|at| {
                let key = self.groups.iter().map(|group| group.of(row)).collect();
                groups.insert(at, (key, 0, start.clone()));
                at
            });
            let Some((_, count, running)) = groups.get_mut(at) else { continue };
            *count += 1;
            for (fold, running) in self.folds.iter().zip(running) {
                fold.take(running, row);
            }
        }
        let end = |(key, count, running): (Vec<Value>, usize, Vec<Running>)| {
            let results = self.folds.iter().zip(&running).map(|(fold, it)| fold.end(it)).collect();
            Totals { key, count, results }
        };
        groups.into_iter().map(end).collect()
    }

    /// The order of a group and the group of a row.
    fn order(&self, key: &[Value], row: &[Value]) -> Ordering {
        let steps = self.groups.iter().zip(key).map(|(group, known)| group.order(known, row));
        steps.fold(Ordering::Equal, Ordering::then)
    }
}

impl Group {
    /// The order of a group's value and a row's. Nothing is made for it where the part of a value is a part of its text.
    fn order(&self, known: &Value, row: &[Value]) -> Ordering {
        match (known, row.get(self.column).unwrap_or(&Value::Absent), self.part) {
            (Value::Text(known), Value::Text(text), Part::Length(length)) => {
                (**known).cmp(start(text, length))
            }
            (_, value, Part::Whole | Part::Length(_)) => known.cmp(value),
            (_, _, Part::Step { .. }) => known.cmp(&self.of(row)),
        }
    }

    fn of(&self, row: &[Value]) -> Value {
        let value = row.get(self.column).unwrap_or(&Value::Absent);
        match (value, self.part) {
            (Value::Text(text), Part::Length(length)) => Value::Text(start(text, length).into()),
            (Value::Number(number), Part::Step { step, origin }) => {
                let floor = number.floor().and_then(|it| {
                    let steps = it.checked_sub(origin)?.checked_div_euclid(step)?;
                    steps.checked_mul(step)?.checked_add(origin)
                });
                floor.map_or_else(|| value.clone(), |it| Value::Number(Decimal::of_int(it)))
            }
            (_, _) => value.clone(),
        }
    }
}

/// The first characters of a text.
fn start(text: &str, length: usize) -> &str {
    let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

impl Fold {
    fn start(&self) -> Running {
        match self {
            Self::Sum(..) | Self::Mean(..) => Running::Numbers(0, Some(Decimal::of_int(0))),
            Self::Min(..) | Self::Max(..) => Running::Extreme(None),
        }
    }

    /// The name in the answer, and the column.
    #[must_use]
    pub fn over(&self) -> (&str, usize) {
        match self {
            Self::Sum(name, column)
            | Self::Mean(name, column)
            | Self::Min(name, column)
            | Self::Max(name, column) => (name, *column),
        }
    }

    fn take(&self, running: &mut Running, row: &[Value]) {
        let value = row.get(self.over().1).unwrap_or(&Value::Absent);
        match running {
            Running::Numbers(count, sum) => {
                if let Value::Number(number) = value {
                    *count += 1;
                    *sum = sum.take().and_then(|sum| sum.plus(number));
                }
            }
            Running::Extreme(_) if matches!(value, Value::Absent | Value::Null) => {}
            Running::Extreme(known) => {
                let better = known.as_ref().is_none_or(|known| match self {
                    Self::Min(..) => value < known,
                    Self::Max(..) | Self::Sum(..) | Self::Mean(..) => value > known,
                });
                if better {
                    *known = Some(value.clone());
                }
            }
        }
    }

    fn end(&self, running: &Running) -> Value {
        let number = |number: Option<Decimal>| number.map_or(Value::Null, Value::Number);
        match (self, running) {
            (Self::Mean(..), Running::Numbers(count, sum)) => {
                number(sum.as_ref().and_then(|sum| sum.divided(*count)))
            }
            (_, Running::Numbers(_, sum)) => number(sum.clone()),
            (_, Running::Extreme(value)) => value.clone().unwrap_or(Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::query::read_aggregate;
    use crate::query::value::tests::of;
    use crate::query::{Totals, Value};

    fn totals(aggregate: &str, rows: &[&[&str]]) -> Vec<Totals> {
        let rows: Vec<Vec<Value>> =
            rows.iter().map(|row| row.iter().map(|it| of(it)).collect()).collect();
        read_aggregate(aggregate).unwrap().totals(rows.iter().map(Vec::as_slice))
    }

    #[test]
    fn rows_are_counted_and_added_up_in_groups() {
        let rows: &[&[&str]] = &[
            &[r#""2026-11-28T09:10:00Z""#, "17.50"],
            &[r#""2026-11-28T10:59:59Z""#, "0.1"],
            &[r#""2026-11-28T10:00:00Z""#, "0.2"],
            &[r#""2026-11-28T10:30:00Z""#, r#""free""#],
        ];
        let by = r#"{"groupBy":[{"field":"at","length":13}],"sum":["total"],"avg":["total"],"min":["total"],"max":["total"]}"#;
        let found = totals(by, rows);
        let line = |one: &Totals| {
            let all = one.key.iter().chain(&one.results).map(Value::json).collect::<Vec<_>>();
            format!("{} {}", one.count, all.join(" "))
        };
        let lines: Vec<String> = found.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                r#"1 "2026-11-28T09" 17.5 17.5 17.5 17.5"#,
                r#"3 "2026-11-28T10" 0.3 0.15 0.1 "free""#,
            ]
        );
    }

    #[test]
    fn numbers_fall_into_steps() {
        let rows: &[&[&str]] =
            &[&["3599999"], &["3600000"], &["7199999.5"], &["-1"], &["1e300"], &[r#""x""#], &["-"]];
        let by = r#"{"groupBy":{"field":"at","step":3600000,"origin":0}}"#;
        let lines: Vec<String> = totals(by, rows)
            .iter()
            .map(|it| format!("{} {}", it.key[0].json(), it.count))
            .collect();
        let far = format!("1{} 1", "0".repeat(300));
        assert_eq!(lines, ["null 1", "-3600000 1", "0 1", "3600000 2", &far, r#""x" 1"#]);
    }

    #[test]
    fn nothing_adds_up_to_nothing() {
        let found = totals(r#"{"sum":["total"],"avg":["total"],"max":["total"]}"#, &[]);
        let results: Vec<String> = found[0].results.iter().map(Value::json).collect();
        assert_eq!((found[0].count, results), (0, ["0", "null", "null"].map(str::to_owned).into()));
        assert_eq!(totals(r#"{"groupBy":["table"]}"#, &[]), []);
    }
}
