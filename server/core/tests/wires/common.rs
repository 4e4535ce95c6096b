//! A backend in memory, and a client that says what it is told to.

use holdfast_server_core::{
    Answer, Call, Checks, Memory, Method, Problem, Role, Terms, User, Wire,
};
use serde_json::Value;

/// 2026-11-20T10:16:00.000Z
pub(crate) const NOW: u64 = 1_795_169_760_000;

pub(crate) struct Backend {
    pub(crate) wire: Wire,
    pub(crate) store: Memory,
    pub(crate) terms: Terms,
    pub(crate) role: Role,
    pub(crate) now: u64,
}

impl Backend {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            wire,
            store: Memory::new("e1"),
            terms: Terms::default(),
            role: Role::Member,
            now: NOW,
        }
    }

    /// Any document will do.
    pub(crate) fn unchecked(wire: Wire) -> Self {
        let terms = Terms { checks: Checks::Nothing, ..Terms::default() };
        Self { terms, ..Self::new(wire) }
    }

    pub(crate) fn call(
        &mut self,
        method: Method,
        address: &str,
        body: &str,
    ) -> Result<Answer, Problem> {
        self.call_if(method, address, body, None)
    }

    pub(crate) fn call_if(
        &mut self,
        method: Method,
        address: &str,
        body: &str,
        if_none_match: Option<&str>,
    ) -> Result<Answer, Problem> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        let query: Vec<_> = query.split('&').filter(|text| !text.is_empty()).map(pair).collect();
        let user = User { id: 5, role: self.role };
        let call = Call {
            query: &query,
            body: body.as_bytes(),
            if_none_match,
            ..Call::new(method, path, user)
        };
        self.now += 1;
        let before = self.store.clone();
        let answer = self
            .wire
            .read(&call, &self.terms)
            .and_then(|request| request.answer(&mut self.store, &self.terms, self.now));
        if answer.is_err() {
            self.store = before;
        }
        answer
    }

    fn json(answer: &Answer) -> Value {
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Value {
        let answer = self.call(Method::Post, path, &body.to_string()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        Self::json(&answer)
    }

    pub(crate) fn get(&mut self, address: &str) -> Value {
        let answer = self.call(Method::Get, address, "").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        Self::json(&answer)
    }

    /// Status and body, also of an error.
    pub(crate) fn any(&mut self, method: Method, address: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.call(method, address, &text);
        let answer = answer.unwrap_or_else(|problem| self.wire.refusal(&problem));
        let body = if answer.body.is_empty() { Value::Null } else { Self::json(&answer) };
        (answer.status, body)
    }

    /// Forgets every tombstone so far.
    pub(crate) fn prune(&mut self) {
        use holdfast_server_core::Tx as _;
        self.store.prune(u64::MAX).unwrap();
    }

    /// How often the most repeated operation had an effect.
    pub(crate) fn most_effects(&self) -> u64 {
        self.store.ledger().most_effects
    }
}
