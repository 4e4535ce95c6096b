//! From the JSON text that an application writes to a question. What makes no sense is refused with its place: a filter that was
//! misspelled and ignored would show a till the wrong day.

use super::{Aggregate, Direction, Filter, Fold, Group, Order, Part, Query, STATE, Test, Value};
use crate::model::json::{elements, members, unquote};
use crate::model::{Code, Json, Path, Scope, SyncError};

/// How deep conditions may be nested: deeper ones are nobody's question.
const DEPTH: usize = 16;

type Refused<T> = Result<T, SyncError>;

/// Reads `{ where?, orderBy?, limit?, offset?, after? }`.
///
/// # Errors
/// `invalid-value` with the path of what makes no sense.
pub fn read_query(text: &str) -> Refused<Query> {
    let mut query = Query {
        columns: Vec::new(),
        filter: Filter::All(Vec::new()),
        order: Vec::new(),
        offset: 0,
        limit: None,
        after: None,
        scope: None,
    };
    let mut after = None;
    for (name, value) in object(text, "query")? {
        match &*name {
            "where" => query.filter = filter(&mut query.columns, &value, "where", DEPTH)?,
            "orderBy" => query.order = orders(&mut query.columns, &value)?,
            "limit" => query.limit = Some(number(&value, "limit")?),
            "offset" => query.offset = number(&value, "offset")?,
            "after" => after = Some(string(&value, "after")?),
            "scope" => query.scope = Some(Scope(string(&value, "scope")?)),
            _ => return Err(unknown(&name, &name)),
        }
    }
    if let Some(after) = after {
        query.after = Some(place(&after, query.order.len())?);
    }
    Ok(query)
}

/// Reads `{ where?, each?, groupBy?, sum?, avg?, min?, max? }`.
///
/// ```
/// use holdfast::query::read_aggregate;
/// let asked = read_aggregate(r#"{"each":"lines","groupBy":["lines.name"],"sum":["lines.total"]}"#).unwrap();
/// assert_eq!(asked.columns.len(), 2);
/// ```
///
/// # Errors
/// `invalid-value` with the path of what makes no sense.
pub fn read_aggregate(text: &str) -> Refused<Aggregate> {
    let mut asked = Aggregate {
        columns: Vec::new(),
        each: None,
        filter: Filter::All(Vec::new()),
        groups: Vec::new(),
        folds: Vec::new(),
        scope: None,
    };
    for (name, value) in object(text, "query")? {
        let columns = &mut asked.columns;
        let make = match &*name {
            "where" => {
                asked.filter = filter(columns, &value, "where", DEPTH)?;
                continue;
            }
            "each" => {
                asked.each = Some(path(&value, "each")?.1);
                continue;
            }
            "groupBy" => {
                asked.groups = many(&value, "groupBy", |one, at| group(columns, one, at))?;
                continue;
            }
            "scope" => {
                asked.scope = Some(Scope(string(&value, "scope")?));
                continue;
            }
            "sum" => Fold::Sum,
            "avg" => Fold::Mean,
            "min" => Fold::Min,
            "max" => Fold::Max,
            _ => return Err(unknown(&name, &name)),
        };
        asked.folds.extend(many(&value, &name, |one, at| {
            let (field, path) = path(one, at)?;
            Ok(make(field, column(columns, path)))
        })?);
    }
    Ok(asked)
}

fn filter(columns: &mut Vec<Path>, given: &Json, at: &str, depth: usize) -> Refused<Filter> {
    let depth = depth.checked_sub(1).ok_or_else(|| refused("nested too deeply", at))?;
    let mut all = Vec::new();
    for (name, value) in object(given.text(), at)? {
        let at = below(at, &name);
        all.push(match &*name {
            "$and" | "$or" => {
                let parts = many(&value, &at, |one, at| filter(&mut *columns, one, at, depth))?;
                if name == "$and" { Filter::All(parts) } else { Filter::Any(parts) }
            }
            "$not" => Filter::Not(Box::new(filter(columns, &value, &at, depth)?)),
            _ if name.starts_with('$') && name != STATE => return Err(unknown(&name, &at)),
            _ => {
                let column = column(columns, dotted(&name));
                let tests = tests(&value, &at)?.into_iter();
                Filter::All(tests.map(|test| Filter::Column(column, test)).collect())
            }
        });
    }
    Ok(Filter::All(all))
}

/// A value that it must equal, or an object of tests that it must pass, every one.
fn tests(given: &Json, at: &str) -> Refused<Vec<Test>> {
    if given.text().starts_with('[') {
        return Err(refused("a list is compared with `eq`, its elements with `has`", at));
    }
    if !given.is_object() {
        return Ok(vec![Test::Equal(Value::of(given))]);
    }
    let mut tests = Vec::new();
    for (name, value) in object(given.text(), at)? {
        let at = below(at, &name);
        let of = Value::of(&value);
        tests.push(match &*name {
            "eq" => Test::Equal(of),
            "in" => Test::In(many(&value, &at, |one, _| Ok(Value::of(one)))?),
            "lt" => Test::Below(ordered(of, &at)?, false),
            "lte" => Test::Below(ordered(of, &at)?, true),
            "gt" => Test::Above(ordered(of, &at)?, false),
            "gte" => Test::Above(ordered(of, &at)?, true),
            "prefix" => Test::Prefix(string(&value, &at)?),
            "has" => Test::Has(value),
            "exists" => match of {
                Value::Flag(true) => Test::Exists,
                Value::Flag(false) => Test::Equal(Value::Absent),
                Value::Absent
                | Value::Null
                | Value::Number(_)
                | Value::Text(_)
                | Value::Other(_) => return Err(refused("true or false is needed", &at)),
            },
            _ => return Err(unknown(&name, &at)),
        });
    }
    Ok(tests)
}

fn ordered(value: Value, at: &str) -> Refused<Value> {
    match value {
        Value::Flag(_) | Value::Number(_) | Value::Text(_) => Ok(value),
        Value::Absent | Value::Null | Value::Other(_) => {
            Err(refused("only numbers, texts and booleans have an order", at))
        }
    }
}

fn orders(columns: &mut Vec<Path>, given: &Json) -> Refused<Vec<Order>> {
    many(given, "orderBy", |one, at| {
        if !one.is_object() {
            let (_, path) = path(one, at)?;
            return Ok(Order { column: column(columns, path), direction: Direction::Ascending });
        }
        let (mut found, mut direction) = (None, Direction::Ascending);
        for (name, value) in object(one.text(), at)? {
            let at = below(at, &name);
            match &*name {
                "field" => found = Some(path(&value, &at)?.1),
                "direction" => {
                    direction = match &*string(&value, &at)? {
                        "asc" => Direction::Ascending,
                        "desc" => Direction::Descending,
                        _ => return Err(refused("\"asc\" or \"desc\" is needed", &at)),
                    };
                }
                _ => return Err(unknown(&name, &at)),
            }
        }
        let path = found.ok_or_else(|| refused("a field is needed", at))?;
        Ok(Order { column: column(columns, path), direction })
    })
}

fn group(columns: &mut Vec<Path>, given: &Json, at: &str) -> Refused<Group> {
    if !given.is_object() {
        let (name, path) = path(given, at)?;
        return Ok(Group { name, column: column(columns, path), part: Part::Whole });
    }
    let (mut found, mut part, mut origin) = (None, Part::Whole, 0);
    for (name, value) in object(given.text(), at)? {
        let at = below(at, &name);
        match &*name {
            "field" => found = Some(path(&value, &at)?),
            "length" => part = Part::Length(number(&value, &at)?),
            "step" => part = Part::Step { step: step(&value, &at)?, origin: 0 },
            "origin" => origin = integer(&value, &at)?,
            _ => return Err(unknown(&name, &at)),
        }
    }
    if let Part::Step { origin: begins, .. } = &mut part {
        *begins = origin;
    }
    let (name, path) = found.ok_or_else(|| refused("a field is needed", at))?;
    Ok(Group { name, column: column(columns, path), part })
}

/// Where a page begins, as the page before said it: an id, and in front of it the values in the order asked for.
fn place(after: &str, orders: usize) -> Refused<(Vec<Value>, String)> {
    if orders == 0 {
        return Ok((Vec::new(), after.to_owned()));
    }
    let foreign = || refused("is no place in this order", "after");
    let parts = Json::parse(after).map(|json| elements(&json)).map_err(|_| foreign())?;
    let Some((id, values)) = parts.split_last().filter(|(_, values)| values.len() == orders) else {
        return Err(foreign());
    };
    // Each stands in a list of its own: what is absent has nothing in it.
    let values = values.iter().map(|one| elements(one).first().map_or(Value::Absent, Value::of));
    Ok((values.collect(), unquote(id.text()).ok_or_else(foreign)?))
}

/// The place behind a row, as [`read_query`] takes it.
#[must_use]
pub fn place_text(values: &[Value], id: &str) -> String {
    if values.is_empty() {
        return id.to_owned();
    }
    let mut text = "[".to_owned();
    for value in values {
        text.push('[');
        if *value != Value::Absent {
            text.push_str(&value.json());
        }
        text.push_str("],");
    }
    text.push_str(&crate::model::json::quote(id));
    text.push(']');
    text
}

fn column(columns: &mut Vec<Path>, path: Path) -> usize {
    let known = columns.iter().position(|known| *known == path);
    known.unwrap_or_else(|| {
        columns.push(path);
        columns.len() - 1
    })
}

/// A member by its name, `a.b` being one inside another; a list of names where a name has a dot in it.
fn path(given: &Json, at: &str) -> Refused<(String, Path)> {
    if let Some(name) = unquote(given.text()) {
        let path = dotted(&name);
        return Ok((name, path));
    }
    let names: Option<Vec<String>> = elements(given).iter().map(|it| unquote(it.text())).collect();
    match names.filter(|names| !names.is_empty()) {
        Some(names) => Ok((names.join("."), Path(names))),
        None => Err(refused("the name of a field is needed", at)),
    }
}

fn dotted(name: &str) -> Path {
    Path(name.split('.').map(str::to_owned).collect())
}

/// One, or a list of them.
fn many<T>(
    given: &Json,
    at: &str,
    mut read: impl FnMut(&Json, &str) -> Refused<T>,
) -> Refused<Vec<T>> {
    if !given.text().starts_with('[') {
        return Ok(vec![read(given, at)?]);
    }
    let numbered = elements(given).into_iter().enumerate();
    numbered.map(|(index, one)| read(&one, &below(at, &index.to_string()))).collect()
}

fn object(text: &str, at: &str) -> Refused<Vec<(String, Json)>> {
    members(text).ok_or_else(|| refused("an object is needed", at))
}

fn number(given: &Json, at: &str) -> Refused<usize> {
    given.text().parse().map_err(|_| refused("a whole number is needed", at))
}

fn integer(given: &Json, at: &str) -> Refused<i64> {
    given.text().parse().map_err(|_| refused("an integer is needed", at))
}

fn step(given: &Json, at: &str) -> Refused<i64> {
    let step = integer(given, at)?;
    if step > 0 { Ok(step) } else { Err(refused("more than 0 is needed", at)) }
}

fn string(given: &Json, at: &str) -> Refused<String> {
    unquote(given.text()).ok_or_else(|| refused("a string is needed", at))
}

fn below(at: &str, name: &str) -> String {
    [at, ".", name].concat()
}

fn unknown(name: &str, at: &str) -> SyncError {
    refused(&["there is no ", name].concat(), at)
}

fn refused(why: &str, at: &str) -> SyncError {
    SyncError::new(Code::InvalidValue, [at, ": ", why].concat()).at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (query, place) in [
            ("[]", "query"),
            (r#"{"were":{}}"#, "were"),
            (r#"{"where":[]}"#, "where"),
            (r#"{"where":{"a":[1]}}"#, "where.a"),
            (r#"{"where":{"a":{"greater":1}}}"#, "where.a.greater"),
            (r#"{"where":{"a":{"gt":null}}}"#, "where.a.gt"),
            (r#"{"where":{"a":{"prefix":1}}}"#, "where.a.prefix"),
            (r#"{"where":{"a":{"exists":1}}}"#, "where.a.exists"),
            (r#"{"where":{"$nor":[]}}"#, "where.$nor"),
            (r#"{"where":{"$or":[{"a":1},{"b":{"lt":{}}}]}}"#, "where.$or.1.b.lt"),
            (r#"{"orderBy":[1]}"#, "orderBy.0"),
            (r#"{"orderBy":{"direction":"desc"}}"#, "orderBy"),
            (r#"{"orderBy":{"field":"a","direction":"down"}}"#, "orderBy.direction"),
            (r#"{"limit":-1}"#, "limit"),
            (r#"{"offset":"2"}"#, "offset"),
            (r#"{"orderBy":"a","after":"order-1"}"#, "after"),
            (r#"{"orderBy":"a","after":"[[1],[2],\"x\"]"}"#, "after"),
        ] {
            let error = read_query(query).expect_err(query);
            assert_eq!(
                (error.code, error.path.as_deref()),
                (Code::InvalidValue, Some(place)),
                "{query}"
            );
        }
        let deep = format!("{}{}", r#"{"$not":"#.repeat(20), "{}".to_owned() + &"}".repeat(20));
        assert!(read_query(&format!(r#"{{"where":{deep}}}"#)).is_err());
        for (aggregate, place) in [
            (r#"{"median":"a"}"#, "median"),
            (r#"{"groupBy":[{"field":"at","length":"day"}]}"#, "groupBy.0.length"),
            (r#"{"groupBy":{"field":"at","step":0}}"#, "groupBy.step"),
            (r#"{"sum":{}}"#, "sum"),
        ] {
            let error = read_aggregate(aggregate).expect_err(aggregate);
            assert_eq!(error.path.as_deref(), Some(place), "{aggregate}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for values in [vec![], vec![Value::Absent], vec![Value::Null, Value::Text("a\"".into())]] {
            let text = place_text(&values, "id \"1\"");
            assert_eq!(place(&text, values.len()).unwrap(), (values, "id \"1\"".to_owned()));
        }
    }
}
