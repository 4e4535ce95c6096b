//! Rules of single members: which side has the last word, or how what two sides did is added up (R1, R4, R13).

use super::json::{Json, elements, unquote};
use super::number::Number;

/// How one member is merged where both sides changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldRule {
    /// The server's value.
    Server,
    /// The device's value.
    Client,
    /// The newer value.
    LastWriteWins,
    /// A list without an order: members added and removed.
    Set,
    /// A number: differences are added up.
    Counter,
    /// The greater value.
    Max,
    /// The lesser value.
    Min,
    /// Never moves backwards in this list.
    Monotonic(Vec<String>),
    /// A list that only grows: what was put at its end is put at the end of theirs.
    Append,
    /// A person.
    Manual,
}

impl FieldRule {
    /// Whether what both sides did is added up, so that there is never a choice between them.
    #[must_use]
    pub fn calculates(&self) -> bool {
        match self {
            Self::Set | Self::Counter | Self::Max | Self::Min | Self::Append => true,
            Self::Monotonic(_) => true,
            Self::Server | Self::Client | Self::LastWriteWins | Self::Manual => false,
        }
    }

    /// What somebody did to a value, who found `was` and left `mine`, done to the value that is there. Over what they found that
    /// is exactly what they left.
    ///
    /// Nothing where the rule cannot calculate: another type than its own, or a value that somebody took out. Nothing is lost
    /// then, because the member is settled like one without a rule.
    #[must_use]
    pub fn over(
        &self,
        was: Option<&Json>,
        mine: Option<&Json>,
        there: Option<&Json>,
    ) -> Option<Json> {
        let mine = mine?;
        if there == was {
            return Some(mine.clone());
        }
        if was == Some(mine) {
            return there.cloned();
        }
        let there = there?;
        match self {
            Self::Counter => counted(was, mine, there),
            Self::Set => with_members(was, mine, there),
            Self::Append => appended(was, mine, there),
            Self::Max => greater(mine, there).map(|mine_is| pick(mine_is, mine, there)),
            Self::Min => greater(mine, there).map(|mine_is| pick(!mine_is, mine, there)),
            Self::Monotonic(steps) => {
                let place = |json: &Json| {
                    let step = unquote(json.text())?;
                    steps.iter().position(|known| *known == step)
                };
                Some(pick(place(mine)? > place(there)?, mine, there))
            }
            Self::Server | Self::Client | Self::LastWriteWins | Self::Manual => None,
        }
    }
}

fn pick(mine_is_it: bool, mine: &Json, there: &Json) -> Json {
    if mine_is_it { mine.clone() } else { there.clone() }
}

/// What is not there yet counts as none.
fn counted(was: Option<&Json>, mine: &Json, there: &Json) -> Option<Json> {
    let was = Number::parse(was.map_or("0", Json::text))?;
    let (mine, there) = (Number::parse(mine.text())?, Number::parse(there.text())?);
    let sum = Number::sum(&[(false, &there), (false, &mine), (true, &was)])?;
    Json::parse(&sum.text()).ok()
}

/// Members keep their order; what was added comes at the end.
fn with_members(was: Option<&Json>, mine: &Json, there: &Json) -> Option<Json> {
    let (was, mine, mut all) = (found(was)?, list(mine)?, list(there)?);
    let before = all.len();
    all.retain(|item| mine.contains(item) || !was.contains(item));
    let mut same = all.len() == before;
    for item in mine {
        if !was.contains(&item) && !all.contains(&item) {
            all.push(item);
            same = false;
        }
    }
    Some(if same { there.clone() } else { print(&all) })
}

fn appended(was: Option<&Json>, mine: &Json, there: &Json) -> Option<Json> {
    let (was, mine, mut all) = (found(was)?, list(mine)?, list(there)?);
    all.extend_from_slice(mine.strip_prefix(was.as_slice())?);
    Some(print(&all))
}

/// Whether the first of two numbers, or of two texts, is the greater one.
fn greater(a: &Json, b: &Json) -> Option<bool> {
    if let (Some(a), Some(b)) = (Number::parse(a.text()), Number::parse(b.text())) {
        return Number::sum(&[(false, &a), (true, &b)]).map(|more| more.is_positive());
    }
    Some(unquote(a.text())? > unquote(b.text())?)
}

fn found(was: Option<&Json>) -> Option<Vec<Json>> {
    was.map_or(Some(Vec::new()), list)
}

fn list(json: &Json) -> Option<Vec<Json>> {
    json.text().starts_with('[').then(|| elements(json))
}

fn print(items: &[Json]) -> Json {
    let mut text = String::from("[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(item.text());
    }
    text.push(']');
    Json::from_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use FieldRule::{Append, Counter, Max, Min, Monotonic, Set};

    fn steps() -> FieldRule {
        Monotonic(["open", "paid", "served"].map(str::to_owned).into())
    }

    /// `rule | was | mine | there | result`; `-` is absent, no result is no calculation.
    #[test]
    fn what_was_done_is_done_to_what_is_there() {
        let cases = [
            (Counter, "5", "4", "9", "8"),
            (Counter, "5", "4", "5", "4"),
            (Counter, "5", "4", "4", "3"),
            (Counter, "-", "3", "5", "8"),
            (Counter, "-", "3", "-", "3"),
            (Counter, "0.1", "0.3", "0.1", "0.3"),
            (Counter, "0", "0.1", "0.2", "0.3"),
            (
                Counter,
                "9007199254740989",
                "9007199254740990",
                "9007199254740990",
                "9007199254740991",
            ),
            (Counter, "1e2", "5", "50.5", "-44.5"),
            (Counter, "\"5\"", "4", "9", ""),
            (Counter, "5", "4", "null", ""),
            (Counter, "5", "4", "-", ""),
            (Counter, "5", "-", "9", ""),
            (Set, r#"["a","b"]"#, r#"["b","c"]"#, r#"["x","a","b"]"#, r#"["x","b","c"]"#),
            (Set, r#"["a"]"#, r#"["a","c"]"#, r#"["c"]"#, r#"["c"]"#),
            (Set, "[1]", "[1.0,2]", "[1e0]", "[1.0,2]"),
            (Set, "-", r#"["a"]"#, r#"["b"]"#, r#"["b","a"]"#),
            (Set, r#"[{"k":1,"v":2}]"#, "[]", r#"[{"v":2,"k":1},3]"#, "[3]"),
            (Set, "[1]", "[2]", "\"x\"", ""),
            (Set, "[1]", "[2]", "-", ""),
            (Append, "[1]", "[1,2]", "[1,3]", "[1,3,2]"),
            (Append, "[1]", "[1,2]", "[1,2]", "[1,2,2]"),
            (Append, "-", "[1]", "[2]", "[2,1]"),
            (Append, "[1]", "[2]", "[1,3]", ""),
            (Max, "1", "5", "7", "7"),
            (Max, "1", "7", "5", "7"),
            (Max, "9", "5", "9", "5"),
            (Max, "1", "10", "9.99", "10"),
            (Max, r#""a""#, r#""2026-02""#, r#""2026-01""#, r#""2026-02""#),
            (Max, "1", "5", r#""7""#, ""),
            (Min, "9", "5", "7", "5"),
            (Min, "9", "7", "-2.5e1", "-2.5e1"),
            (Min, "9", "true", "false", ""),
            (steps(), r#""open""#, r#""paid""#, r#""served""#, r#""served""#),
            (steps(), r#""open""#, r#""served""#, r#""paid""#, r#""served""#),
            (steps(), r#""paid""#, r#""open""#, r#""paid""#, r#""open""#),
            (steps(), r#""paid""#, r#""open""#, r#""served""#, r#""served""#),
            (steps(), r#""open""#, r#""void""#, r#""paid""#, ""),
            (FieldRule::Server, "1", "2", "3", ""),
        ];
        for (rule, was, mine, there, result) in cases {
            let value = |text: &str| (text != "-").then(|| Json::parse(text).unwrap());
            let (was, mine, there) = (value(was), value(mine), value(there));
            let got = rule.over(was.as_ref(), mine.as_ref(), there.as_ref());
            let text = got.as_ref().map_or("", Json::text);
            assert_eq!(text, result, "{rule:?} {was:?} {mine:?} {there:?}");
        }
    }
}
