//! All mutants of a text in one: each behind a question that is asked when the program runs. So everything is compiled once.

use std::ops::Range;

use super::find::{Change, Mutant};

/// The module that answers the questions, put beside the others of the crate.
pub(crate) const SWITCH: &str = "\
//! Which mutant runs: `HOLDFAST_MUTANT`.

static CHOSEN: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
    std::env::var(\"HOLDFAST_MUTANT\").ok().and_then(|it| it.parse().ok()).unwrap_or(0)
});

#[inline]
pub(crate) fn on(mutant: u32) -> bool {
    *CHOSEN == mutant
}
";

/// A text with mutants in it, and where in it each of them is.
pub(crate) struct Woven {
    pub(crate) text: String,
    /// The number of a mutant and the bytes that it takes.
    places: Vec<(u32, Range<usize>)>,
}

/// Puts mutants, each with its number, into the text that they are of.
pub(crate) fn weave(text: &str, mutants: &[(u32, &Mutant)]) -> Woven {
    let mut all: Vec<&(u32, &Mutant)> = mutants.iter().collect();
    // What only stands between goes before; then the larger first: what begins at the same place is inside of it.
    all.sort_by_key(|(number, it)| {
        (it.at.start, !it.at.is_empty(), std::cmp::Reverse(it.at.end), *number)
    });
    let mut woven = Woven { text: String::with_capacity(text.len() * 4), places: Vec::new() };
    let mut open: Vec<(u32, &Mutant, usize)> = Vec::new();
    let mut done = 0;
    for (number, mutant) in all {
        while let Some((number, inner, began)) = open.pop_if(|it| it.1.at.end <= mutant.at.start) {
            woven.copy(text, &mut done, inner.at.end);
            woven.close(number, inner, began);
        }
        woven.copy(text, &mut done, mutant.at.start);
        let began = woven.text.len();
        woven.text.push_str(&opening(*number, &mutant.change));
        open.push((*number, mutant, began));
    }
    while let Some((number, inner, began)) = open.pop() {
        woven.copy(text, &mut done, inner.at.end);
        woven.close(number, inner, began);
    }
    woven.copy(text, &mut done, text.len());
    woven
}

fn opening(number: u32, change: &Change) -> String {
    let on = format!("crate::mutant::on({number})");
    match change {
        Change::Value(value) => format!("(if {on} {{ {value} }} else {{ "),
        Change::Field(name, value) => format!("{name}: (if {on} {{ {value} }} else {{ "),
        Change::Nothing => format!("if !{on} {{ "),
        Change::Return(value) => format!("if {on} {{ return {value}; }} "),
    }
}

impl Woven {
    fn copy(&mut self, text: &str, done: &mut usize, until: usize) {
        if let Some(piece) = text.get(*done..until) {
            self.text.push_str(piece);
            *done = until;
        }
    }

    fn close(&mut self, number: u32, mutant: &Mutant, began: usize) {
        match mutant.change {
            Change::Value(_) | Change::Field(..) => self.text.push_str(" })"),
            Change::Nothing => self.text.push_str(" }"),
            Change::Return(_) => {}
        }
        self.places.push((number, began..self.text.len()));
    }

    /// The innermost mutant that a piece of the text is in, or that is in it.
    pub(crate) fn at(&self, piece: &Range<usize>) -> Option<u32> {
        let holds = |it: &&(u32, Range<usize>)| it.1.start <= piece.start && it.1.end >= piece.end;
        let inner = self.places.iter().filter(holds).min_by_key(|it| it.1.len());
        inner.map(|it| it.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::find::mutants;

    fn woven(text: &str) -> Woven {
        let found = mutants("src/a.rs", text).unwrap();
        let numbered: Vec<(u32, &Mutant)> = (1..).zip(&found).collect();
        weave(text, &numbered)
    }

    #[test]
    fn one_is_inside_the_other() {
        let text = "fn f() -> X { y(!a && b) }";
        let woven = woven(text);
        assert_eq!(
            woven.text,
            "fn f() -> X { y((if crate::mutant::on(3) { !a || b } else { \
             (if crate::mutant::on(1) { true } else { (if crate::mutant::on(2) { a } else { !a }) }) \
             && (if crate::mutant::on(4) { true } else { b }) })) }"
        );
        let at = woven.text.find("{ !a })").unwrap() + 2;
        assert_eq!(woven.at(&(at..at + 2)), Some(2));
        assert_eq!(woven.at(&(0..2)), None);
    }

    #[test]
    fn statements_returns_and_fields() {
        assert_eq!(
            woven("fn f() { go(1); }").text,
            "fn f() { if crate::mutant::on(1) { return ; } if !crate::mutant::on(2) { go(1); } }"
        );
        assert_eq!(
            woven("fn f(old: A) -> A { A { at, ..old } }").text,
            "fn f(old: A) -> A { A { at: (if crate::mutant::on(1) { old.at } else { at }), ..old } }"
        );
    }
}
