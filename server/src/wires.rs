//! The five wires over HTTP, each below its own name: `/paytrack/api/sync/push`.

use std::fmt::Write as _;
use std::io::Read as _;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use holdfast_server_core::{
    Access, Answer, Call, Method as WireMethod, Problem, ProblemKind, Role, User, Wire,
    content_digest,
};

use crate::fault::Route;
use crate::flaw::Flaw;
use crate::http::{State, Tongue, broken, coding, json, now_ms, preflight, read};

/// The request headers of WIRES 0.2; one that is not among them makes a browser's request fail.
const ALLOWED: &str = "authorization, content-type, content-encoding, content-digest, \
    want-content-digest, idempotency-key, if-none-match";

/// What a call is made of, each part read or refused.
struct Parts {
    method: WireMethod,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Result<Vec<u8>, Problem>,
}

/// An answer with the headers that its wire gives it.
pub(crate) fn response(wire: Wire, answer: Answer) -> Response<Body> {
    let (mut response, body) = head(wire, answer);
    *response.body_mut() = Body::from(body);
    response
}

fn head(wire: Wire, answer: Answer) -> (Response<Body>, String) {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, "application/json", String::new());
    let headers = response.headers_mut();
    if answer.body.is_empty() {
        headers.remove(header::CONTENT_TYPE);
    }
    let etag = answer.etag.and_then(|etag| HeaderValue::try_from(etag).ok());
    if let Some(etag) = etag {
        headers.insert(header::ETAG, etag);
    }
    if wire.sends_digest() && !answer.body.is_empty() {
        let digest = HeaderValue::try_from(content_digest(answer.body.as_bytes()));
        if let Ok(digest) = digest {
            headers.insert("content-digest", digest);
        }
    }
    if answer.status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    (response, answer.body)
}

impl State {
    pub(crate) async fn wire(
        &self,
        wire: Wire,
        request: Request<Body>,
        below: &str,
        notes: &mut String,
    ) -> Response<Body> {
        let tongue = Tongue::Wire(wire);
        let Some(path) = crate::files::percent_decode(below) else {
            return tongue.refuse(&Problem::new(ProblemKind::NotFound, "No such path"));
        };
        if request.method() == Method::OPTIONS && wire.methods(&path).is_some() {
            return preflight("GET, POST, PUT, DELETE", ALLOWED);
        }
        let Some(method) = method(request.method()) else {
            return not_allowed(wire, &path);
        };
        if wire.methods(&path).is_some_and(|methods| !methods.contains(&method)) {
            return not_allowed(wire, &path);
        }
        let parts = self.parts(wire, method, path, request).await;
        let who = self.who(&parts.headers);
        let user = who.as_ref().map_or(User { id: 0, role: Role::Reader }, |who| who.user);
        let read = parts.read(wire, user, &self.terms);
        let access = read.as_ref().map_or_else(|_| parts.access(), |request| request.access());
        let route = match access {
            Access::Read => Route::Pull,
            Access::Write => Route::Push,
        };
        let fault = match self.strike(tongue, route, notes).await {
            Ok(fault) => fault,
            Err(response) => return response,
        };
        let answer = who.and_then(|who| {
            let request = read?;
            let now = now_ms();
            // The database blocks: the worker thread is given up to other tasks meanwhile.
            tokio::task::block_in_place(|| {
                self.db.answer(wire, &who.tenant, &request, &self.terms, now)
            })
        });
        match answer {
            Ok(answer) if self.breaks(Flaw::Batch) && has_refusal(&answer) => {
                tongue.refuse(&Problem::new(ProblemKind::Malformed, "one operation is bad"))
            }
            Ok(answer) => {
                let _ = write!(notes, " bytes={}", answer.body.len());
                let (response, body) = head(wire, answer);
                broken(response, body, fault)
            }
            Err(problem) => tongue.refuse(&problem),
        }
    }

    async fn parts(
        &self,
        wire: Wire,
        method: WireMethod,
        path: String,
        request: Request<Body>,
    ) -> Parts {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        let query = query.split('&').filter(|pair| !pair.is_empty()).filter_map(pair).collect();
        let limit = self.terms.limits.request_bytes;
        let body = match method {
            WireMethod::Get | WireMethod::Delete => Ok(Vec::new()),
            WireMethod::Post | WireMethod::Put => match read(body, &head.headers, limit).await {
                Ok(bytes) => decode(wire, &head.headers, &bytes, limit),
                Err(problem) => Err(problem),
            },
        };
        Parts { method, path, query, headers: head.headers, body }
    }
}

impl Parts {
    fn read(
        &self,
        wire: Wire,
        user: User,
        terms: &holdfast_server_core::Terms,
    ) -> Result<holdfast_server_core::Request, Problem> {
        let body = self.body.as_ref().map_err(Clone::clone)?;
        let if_none_match =
            self.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let call = Call {
            method: self.method,
            path: &self.path,
            query: &self.query,
            if_none_match,
            body,
            user,
        };
        wire.read(&call, terms)
    }

    /// What an unreadable request would have been.
    fn access(&self) -> Access {
        match self.method {
            WireMethod::Get => Access::Read,
            WireMethod::Post | WireMethod::Put | WireMethod::Delete => Access::Write,
        }
    }
}

fn method(method: &Method) -> Option<WireMethod> {
    match method.as_str() {
        "GET" => Some(WireMethod::Get),
        "POST" => Some(WireMethod::Post),
        "PUT" => Some(WireMethod::Put),
        "DELETE" => Some(WireMethod::Delete),
        _ => None,
    }
}

fn not_allowed(wire: Wire, path: &str) -> Response<Body> {
    let Some(methods) = wire.methods(path) else {
        let missing = Problem::new(ProblemKind::NotFound, "No such path");
        return Tongue::Wire(wire).refuse(&missing);
    };
    let words = methods.iter().map(|method| match method {
        WireMethod::Get => "GET",
        WireMethod::Post => "POST",
        WireMethod::Put => "PUT",
        WireMethod::Delete => "DELETE",
    });
    let allow = words.collect::<Vec<_>>().join(", ");
    let detail = "This path does not take this method";
    let problem = Problem::new(ProblemKind::MethodNotAllowed, detail);
    let mut response = Tongue::Wire(wire).refuse(&problem);
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// `name=value` of a query, decoded; a `+` is a space, as forms write it.
fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let decode = |text: &str| crate::files::percent_decode(&text.replace('+', " "));
    Some((decode(name)?, decode(value)?))
}

/// The body as it was before it was compressed. Its digest is that of what was sent.
fn decode(wire: Wire, headers: &HeaderMap, sent: &Bytes, limit: usize) -> Result<Vec<u8>, Problem> {
    let coding = coding(headers)?;
    if wire.verifies_digest() {
        verify(headers, sent)?;
    }
    match coding.as_str() {
        "identity" => Ok(sent.to_vec()),
        "gzip" if wire.takes_gzip() => inflate(sent, limit),
        _ => Err(Problem::new(ProblemKind::UnsupportedMediaType, "This coding is not taken")),
    }
}

fn inflate(sent: &Bytes, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    // One byte more than is allowed shows that there is more; nothing beyond it is unpacked.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let unpacked =
        flate2::read::MultiGzDecoder::new(sent.as_ref()).take(most).read_to_end(&mut body);
    if unpacked.is_err() {
        return Err(Problem::new(ProblemKind::Malformed, "The body is not gzip"));
    }
    if body.len() > limit {
        let detail = format!("At most {limit} bytes, decoded");
        return Err(Problem::new(ProblemKind::TooLarge, detail));
    }
    Ok(body)
}

/// `Content-Digest`, where it is sent and has a SHA-256.
fn verify(headers: &HeaderMap, sent: &Bytes) -> Result<(), Problem> {
    let Some(value) = headers.get("content-digest") else { return Ok(()) };
    let digests = value.to_str().unwrap_or("sha-256=::").split(',').map(str::trim);
    let expected = content_digest(sent);
    for digest in digests.filter(|digest| digest.starts_with("sha-256=")) {
        if digest != expected {
            let detail = "The body does not have the digest that is announced";
            return Err(Problem::new(ProblemKind::DigestMismatch, detail));
        }
    }
    Ok(())
}

/// Whether an answer refuses an operation, in the words of any of the wires.
fn has_refusal(answer: &Answer) -> bool {
    let words = [
        r#""status":"failed""#,
        r#""status":"rejected""#,
        r#""status":"error""#,
        r#""status":"conflict""#,
        r#""retryable":false"#,
        r#""conflicts":[{"#,
    ];
    words.iter().any(|word| answer.body.contains(word))
}
