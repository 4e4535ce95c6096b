//! Where a source text can be changed in one place: what is there, and what stands there in the mutant.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context as _, Result};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Block, Expr, ExprLit, ExprMatch, ExprMethodCall, ExprStruct, Lit, Member,
    Pat, ReturnType, Signature, Stmt, Type, UnOp,
};

/// One change of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// File, function, what is there, what the mutant has instead: the same wherever the lines move to.
    pub(crate) name: String,
    /// What is replaced, in bytes of the text; empty where something is put in.
    pub(crate) at: Range<usize>,
    pub(crate) change: Change,
}

/// What a mutant does at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Another expression.
    Value(String),
    /// The field of this name, as the rest of the literal has it.
    Field(String, String),
    /// A statement is left out.
    Nothing,
    /// The function returns before it has done anything.
    Return(String),
}

/// Every mutant of a text, in the order of their places.
pub(crate) fn mutants(file: &str, text: &str) -> Result<Vec<Mutant>> {
    let parsed = syn::parse_file(text).with_context(|| file.to_owned())?;
    let short = file.strip_prefix("src/").unwrap_or(file);
    let mut finder = Finder {
        file: short,
        text,
        functions: Vec::new(),
        known: BTreeSet::new(),
        found: Vec::new(),
    };
    finder.visit_file(&parsed);
    let mut found = finder.found;
    found.sort_by_key(|mutant| (mutant.at.start, mutant.at.end));
    number(&mut found);
    Ok(found)
}

/// Tells those apart that have the same name.
fn number(found: &mut [Mutant]) {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for mutant in found {
        let time = times.entry(mutant.name.clone()).or_default();
        *time += 1;
        if *time > 1 {
            mutant.name.push_str(&format!(" (#{time})"));
        }
    }
}

/// What is asked of a value to find or keep it: a mutant of it always says yes, or no.
const PREDICATES: [&str; 12] = [
    "all",
    "any",
    "filter",
    "find",
    "is_none_or",
    "is_some_and",
    "partition",
    "partition_point",
    "position",
    "retain",
    "skip_while",
    "take_while",
];

/// Methods of the same shape that say something else.
const TWINS: [(&str, &str); 10] = [
    ("all", "any"),
    ("any", "all"),
    ("first", "last"),
    ("last", "first"),
    ("is_none", "is_some"),
    ("is_some", "is_none"),
    ("is_none_or", "is_some_and"),
    ("is_some_and", "is_none_or"),
    ("max", "min"),
    ("min", "max"),
];

struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    functions: Vec<String>,
    /// A chain of conditions is met once for each of its parts.
    known: BTreeSet<(usize, usize, String)>,
    found: Vec<Mutant>,
}

impl Finder<'_> {
    fn source(&self, at: &Range<usize>) -> &str {
        self.text.get(at.clone()).unwrap_or_default()
    }

    fn add(&mut self, at: Range<usize>, change: Change) {
        let Some(function) = self.functions.last() else { return };
        // What plants bugs is no part of what is planned.
        let there = one_line(self.source(&at));
        if there.contains("planted::") {
            return;
        }
        let (there, instead) = match &change {
            Change::Value(text) | Change::Field(_, text) => (there, one_line(text)),
            Change::Nothing => (there, "nothing".to_owned()),
            Change::Return(text) => ("all it does".to_owned(), format!("return {text}")),
        };
        if there == instead || !self.known.insert((at.start, at.end, instead.clone())) {
            return;
        }
        let (file, there, instead) = (self.file, shortened(&there), shortened(&instead));
        let name = format!("{file} {function}: {there} -> {}", instead.trim_end());
        self.found.push(Mutant { name, at, change });
    }

    fn instead(&mut self, expr: &Expr, text: impl Into<String>) {
        self.add(range(expr), Change::Value(text.into()));
    }

    /// A condition that always or never holds.
    fn decided(&mut self, expr: &Expr) {
        if !has_let(expr) && !matches!(expr, Expr::Lit(_)) {
            self.instead(expr, "true");
            self.instead(expr, "false");
        }
    }

    /// A condition as a whole, where no operator in it says the same.
    fn condition(&mut self, expr: &Expr) {
        let operators = matches!(expr, Expr::Unary(_))
            || matches!(expr, Expr::Binary(binary) if opposite(&binary.op).is_some() || joins(&binary.op));
        if !operators {
            self.decided(expr);
        }
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) -> bool {
        if signature.constness.is_some() || is_test(attributes) {
            return false;
        }
        self.functions.push(signature.ident.to_string());
        let Some(first) = block.stmts.first() else { return true };
        let at = first.span().byte_range().start;
        for value in returned(&signature.output, self.text) {
            self.add(at..at, Change::Return((*value).to_owned()));
        }
        true
    }

    /// `a op b`, written out with another operator.
    fn with_operator(&self, binary: &syn::ExprBinary, op: &str) -> String {
        let (left, right) = (range(&binary.left), range(&binary.right));
        format!("{} {op} {}", self.source(&left), self.source(&right))
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if self.function(&item.attrs, &item.sig, &item.block) {
            visit::visit_block(self, &item.block);
            self.functions.pop();
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if self.function(&item.attrs, &item.sig, &item.block) {
            visit::visit_block(self, &item.block);
            self.functions.pop();
        }
    }

    // What the compiler calculates cannot ask which mutant runs.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_stmt(&mut self, stmt: &'ast Stmt) {
        if let Stmt::Expr(expr, semicolon) = stmt {
            if let Expr::Match(matched) = expr {
                self.arms(matched);
            }
            let acts = matches!(expr, Expr::Call(_) | Expr::MethodCall(_) | Expr::Assign(_))
                || matches!(expr, Expr::Binary(binary) if assigns(&binary.op));
            if acts && semicolon.is_some() {
                self.add(stmt.span().byte_range(), Change::Nothing);
            }
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let whole = Expr::Binary(binary.clone());
        if let Some(op) = opposite(&binary.op) {
            self.instead(&whole, self.with_operator(binary, op));
        }
        if let Some(op) = neighbour(&binary.op) {
            self.instead(&whole, self.with_operator(binary, op));
        }
        if joins(&binary.op) {
            let (op, holds) = if is_and(&binary.op) { ("||", "true") } else { ("&&", "false") };
            if !has_let(&whole) {
                self.instead(&whole, self.with_operator(binary, op));
            }
            // A part that is not asked.
            for part in [&*binary.left, &*binary.right] {
                let chained = matches!(part, Expr::Binary(inner) if joins(&inner.op) && is_and(&inner.op) == is_and(&binary.op));
                if !chained && !has_let(part) {
                    self.instead(part, holds);
                }
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if let UnOp::Not(_) = unary.op {
            let inner = self.source(&range(&unary.expr)).to_owned();
            self.instead(&Expr::Unary(unary.clone()), inner);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
        self.condition(&expr.cond);
        visit::visit_expr_if(self, expr);
    }

    fn visit_expr_while(&mut self, expr: &'ast syn::ExprWhile) {
        self.condition(&expr.cond);
        visit::visit_expr_while(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((_, guard)) = &arm.guard {
            self.decided(guard);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_lit(&mut self, literal: &'ast ExprLit) {
        if let Lit::Bool(it) = &literal.lit {
            let other = if it.value { "false" } else { "true" };
            self.instead(&Expr::Lit(literal.clone()), other);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let method = call.method.to_string();
        if PREDICATES.contains(&&*method) {
            for argument in &call.args {
                if let Expr::Closure(closure) = argument {
                    self.condition(&closure.body);
                }
            }
        }
        if let Some((_, twin)) = TWINS.iter().find(|(name, _)| *name == method) {
            let whole = Expr::MethodCall(call.clone());
            let (at, name) = (range(&whole), call.method.span().byte_range());
            let (before, after) = (at.start..name.start, name.end..at.end);
            let text = format!("{}{twin}{}", self.source(&before), self.source(&after));
            self.instead(&whole, text);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_struct(&mut self, literal: &'ast ExprStruct) {
        if let Some(rest) = &literal.rest {
            let rest = self.source(&range(rest)).to_owned();
            for field in &literal.fields {
                if let Member::Named(name) = &field.member {
                    let kept = if rest.starts_with('*') {
                        format!("({rest}).{name}.clone()")
                    } else {
                        format!("{rest}.{name}")
                    };
                    if field.colon_token.is_some() {
                        self.instead(&field.expr, kept);
                    } else {
                        self.add(range(&field.expr), Change::Field(name.to_string(), kept));
                    }
                }
            }
        }
        visit::visit_expr_struct(self, literal);
    }
}

impl Finder<'_> {
    /// What an arm of a match does that gives no value.
    fn arms(&mut self, matched: &ExprMatch) {
        for arm in &matched.arms {
            if matches!(*arm.body, Expr::Call(_) | Expr::MethodCall(_) | Expr::Assign(_)) {
                self.instead(&arm.body, "()");
            }
        }
    }
}

fn range(expr: &Expr) -> Range<usize> {
    expr.span().byte_range()
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

/// Whether a condition binds something: then it has to stay where it is.
fn has_let(expr: &Expr) -> bool {
    let parts = matches!(expr, Expr::Binary(it) if has_let(&it.left) || has_let(&it.right));
    parts || matches!(expr, Expr::Let(_))
}

fn joins(op: &BinOp) -> bool {
    matches!(op, BinOp::And(_) | BinOp::Or(_))
}

fn is_and(op: &BinOp) -> bool {
    matches!(op, BinOp::And(_))
}

fn assigns(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_) | BinOp::SubAssign(_) | BinOp::BitOrAssign(_) | BinOp::BitAndAssign(_)
    )
}

/// The operator that says the contrary, or does.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser may come to know more operators")]
fn opposite(op: &BinOp) -> Option<&'static str> {
    Some(match op {
        BinOp::Eq(_) => "!=",
        BinOp::Ne(_) => "==",
        BinOp::Lt(_) => ">=",
        BinOp::Ge(_) => "<",
        BinOp::Gt(_) => "<=",
        BinOp::Le(_) => ">",
        BinOp::Add(_) => "-",
        BinOp::Sub(_) => "+",
        BinOp::Mul(_) => "+",
        BinOp::AddAssign(_) => "-=",
        BinOp::SubAssign(_) => "+=",
        BinOp::BitOrAssign(_) => "&=",
        BinOp::BitAndAssign(_) => "|=",
        _ => return None,
    })
}

/// The operator that differs where both sides are equal.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser may come to know more operators")]
fn neighbour(op: &BinOp) -> Option<&'static str> {
    Some(match op {
        BinOp::Lt(_) => "<=",
        BinOp::Le(_) => "<",
        BinOp::Gt(_) => ">=",
        BinOp::Ge(_) => ">",
        _ => return None,
    })
}

/// What a function may return without having done anything.
fn returned(output: &ReturnType, text: &str) -> &'static [&'static str] {
    let ReturnType::Type(_, output) = output else { return &[""] };
    let written = text.get(output.span().byte_range()).unwrap_or_default();
    let generic = written.split('<').next().unwrap_or_default();
    match generic {
        "bool" => &["true", "false"],
        "Option" => &["None"],
        "Vec" => &["Vec::new()"],
        "Map" => &["Map::new()"],
        "Set" => &["Set::new()"],
        "String" => &["String::new()"],
        "u32" | "u64" | "usize" | "i64" => &["0", "1"],
        "Result" if written.starts_with("Result<(),") => &["Ok(())"],
        _ => &[],
    }
}

/// A piece of source on one line.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .collect();
    let joined = words.join(" ");
    joined.replace(" .", ".").replace("( ", "(").replace(" )", ")").replace(",)", ")")
}

/// Enough of a text to know it by.
fn shortened(text: &str) -> String {
    const ENOUGH: usize = 90;
    if text.chars().count() <= ENOUGH {
        return text.to_owned();
    }
    let begin: String = text.chars().take(ENOUGH / 2).collect();
    let count = text.chars().count();
    let end: String = text.chars().skip(count - ENOUGH / 2).collect();
    format!("{begin}\u{2026}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let found = mutants("src/plan/a.rs", text).unwrap();
        found.into_iter().map(|mutant| mutant.name.replace("plan/a.rs ", "")).collect()
    }

    #[test]
    fn operators_say_something_else() {
        assert_eq!(
            names("fn f(a: u8, b: u8) -> X { x(a < b, a == 1 && !b) }"),
            [
                "f: a < b -> a >= b",
                "f: a < b -> a <= b",
                "f: a == 1 -> true",
                "f: a == 1 -> a != 1",
                "f: a == 1 && !b -> a == 1 || !b",
                "f: !b -> true",
                "f: !b -> b",
            ]
        );
    }

    #[test]
    fn a_condition_that_binds_stays_where_it_is() {
        assert_eq!(
            names("fn f() -> X { if let Some(a) = b() && a.ok() { 1 } else { 2 } }"),
            ["f: a.ok() -> true"]
        );
    }

    #[test]
    fn what_is_done_is_left_out() {
        assert_eq!(
            names("fn f(&mut self) { self.a += 1; go(1); }"),
            [
                "f: all it does -> return",
                "f: self.a += 1 -> self.a -= 1",
                "f: self.a += 1; -> nothing",
                "f: go(1); -> nothing",
            ]
        );
    }

    #[test]
    fn a_field_keeps_what_it_was() {
        assert_eq!(
            names("fn f(old: A) -> A { A { id: 1, at, ..old } }"),
            ["f: 1 -> old.id", "f: at -> old.at"]
        );
    }

    #[test]
    fn guards_predicates_and_arms() {
        assert_eq!(
            names(
                "fn f() -> X { match a { B if c(1) => d(), E => {} } x.iter().any(|it| it.ok()) }"
            ),
            [
                "f: c(1) -> true",
                "f: c(1) -> false",
                "f: d() -> ()",
                "f: x.iter().any(|it| it.ok()) -> x.iter().all(|it| it.ok())",
                "f: it.ok() -> true",
                "f: it.ok() -> false",
            ]
        );
    }

    #[test]
    fn tests_constants_and_planted_bugs_are_left_alone() {
        assert!(
            names(
                "const A: u8 = 1 + 1; const fn f() -> bool { 1 == 2 } \
                 fn g() -> X { y(planted::has(B)) } #[cfg(test)] mod tests { fn h() {} }"
            )
            .is_empty()
        );
    }

    #[test]
    fn the_same_change_twice_is_numbered_and_a_long_one_is_shortened() {
        let found = names("fn f() -> X { (a == b, a == b) }");
        assert_eq!(found, ["f: a == b -> a != b", "f: a == b -> a != b (#2)"]);
        let long = shortened(&"x".repeat(200));
        assert_eq!(long.chars().count(), 91);
    }
}
