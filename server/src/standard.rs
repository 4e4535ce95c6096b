//! The standard protocol over HTTP: `docs/protocol.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use holdfast_server_core::{OutcomeKind, Problem, ProblemKind, PullRequest, PushRequest, Role};

use crate::fault::Route;
use crate::flaw::Flaw;
use crate::http::{
    State, Tongue, Who, broken, coding, json, not_allowed, now_ms, preflight, read, refuse,
};

impl State {
    pub(crate) async fn standard(
        &self,
        request: Request<Body>,
        path: &str,
        notes: &mut String,
    ) -> Response<Body> {
        let (route, expected) = match path {
            "/api/push" => (Route::Push, Method::POST),
            "/api/pull" => (Route::Pull, Method::GET),
            _ => return refuse(&Problem::new(ProblemKind::NotFound, "no such path")),
        };
        if request.method() == Method::OPTIONS {
            return preflight("GET, POST", "authorization, content-type");
        }
        if request.method() != expected {
            return match route {
                Route::Push => not_allowed("POST", "push takes POST"),
                Route::Pull => not_allowed("GET", "pull takes GET"),
            };
        }
        let fault = match self.strike(Tongue::Standard, route, notes).await {
            Ok(fault) => fault,
            Err(response) => return response,
        };
        match self.answer_standard(route, request, notes).await {
            Ok(body) => {
                let answer = json(StatusCode::OK, "application/json", String::new());
                broken(answer, body, fault)
            }
            Err(problem) => refuse(&problem),
        }
    }

    async fn answer_standard(
        &self,
        route: Route,
        request: Request<Body>,
        notes: &mut String,
    ) -> Result<String, Problem> {
        let who = self.who(request.headers())?;
        match route {
            Route::Push => self.push(&who, request, notes).await,
            Route::Pull => self.pull(&who.tenant, &request, notes),
        }
    }

    async fn push(
        &self,
        who: &Who,
        request: Request<Body>,
        notes: &mut String,
    ) -> Result<String, Problem> {
        let (head, body) = request.into_parts();
        check_media(&head.headers)?;
        let limits = &self.terms.limits;
        let body = read(body, &head.headers, limits.request_bytes).await?;
        let push = PushRequest::parse(&body, limits)?;
        if who.user.role == Role::Reader && !push.operations.is_empty() {
            return Err(Problem::new(ProblemKind::Forbidden, "this token may only read"));
        }
        let (now, rules) = (now_ms(), self.rules.rules());
        // The database blocks: the worker thread is given up to other tasks meanwhile.
        let answer =
            tokio::task::block_in_place(|| self.db.push(&who.tenant, &push, rules, limits, now))?;
        let count = |kind| answer.outcomes.iter().filter(|o| o.kind == kind).count();
        let (rejected, conflict) = (count(OutcomeKind::Rejected), count(OutcomeKind::Conflict));
        let _ = write!(
            notes,
            " ops={} applied={} conflict={conflict} rejected={rejected} retry={} duplicate={}",
            answer.outcomes.len(),
            count(OutcomeKind::Applied),
            count(OutcomeKind::Retry),
            answer.outcomes.iter().filter(|o| o.duplicate).count(),
        );
        if self.breaks(Flaw::Batch) && rejected + conflict > 0 {
            return Err(Problem::new(ProblemKind::Malformed, "one operation is bad"));
        }
        Ok(answer.to_json())
    }

    fn pull(
        &self,
        tenant: &str,
        request: &Request<Body>,
        notes: &mut String,
    ) -> Result<String, Problem> {
        let invalid = || Problem::new(ProblemKind::Invalid, "the parameters cannot be read");
        let Query(parameters) = Query::<BTreeMap<String, String>>::try_from_uri(request.uri())
            .map_err(|_| invalid())?;
        let limit = parameters
            .get("limit")
            .map(|limit| limit.parse().map_err(|_| invalid()))
            .transpose()?;
        let pull = PullRequest {
            cursor: parameters.get("cursor").cloned(),
            limit,
            scope: parameters.get("scope").cloned(),
        };
        let (now, limits) = (now_ms(), &self.terms.limits);
        let answer = tokio::task::block_in_place(|| self.db.pull(tenant, &pull, limits, now))?;
        let _ = write!(notes, " changes={} more={}", answer.changes.len(), answer.more);
        Ok(answer.to_json())
    }
}

fn check_media(headers: &HeaderMap) -> Result<(), Problem> {
    if coding(headers)? != "identity" {
        let detail = "compressed requests are not taken";
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    }
    Ok(())
}
