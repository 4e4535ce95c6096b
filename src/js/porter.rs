//! What stands between a request and the wire, done by the TypeScript (`http.ts`): the application's token and signature,
//! compression and digests. As bindings in this module they would weigh more than they do there.

use std::future::Future;
use std::pin::Pin;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use super::callbacks::Callbacks;
use super::text::Object;
use crate::browser::{Luggage, NoToken, PackFuture, Porter, TokenReason};
use crate::port::HttpRequest;

pub(super) struct DoorPorter(pub(super) Callbacks);

impl Porter for DoorPorter {
    fn pack(&self, request: &HttpRequest, reason: TokenReason, signal: AbortSignal) -> PackFuture {
        let packed = self.0.pack(&head(request, reason), request.body.as_deref(), &signal);
        Box::pin(async move { luggage(&packed.await.ok_or(NoToken)?).ok_or(NoToken) })
    }

    fn is_intact(&self, digest: &str, bytes: &Uint8Array) -> Pin<Box<dyn Future<Output = bool>>> {
        let intact = self.0.is_intact(digest, bytes);
        Box::pin(async move { intact.await.is_some_and(|intact| intact.is_truthy()) })
    }
}

/// All of a request but its body and its times.
fn head(request: &HttpRequest, reason: TokenReason) -> String {
    Object::new()
        .text("method", request.method.text())
        .text("url", &request.url)
        .text("reason", reason.text())
        .maybe(request.gzip_from, |object, from| object.number("gzipFrom", from as u64))
        .maybe(request.idempotency_key.as_deref(), |object, key| object.text("key", key))
        .maybe(request.if_none_match.as_deref(), |object, tag| object.text("ifNoneMatch", tag))
        .flag("digest", request.digest)
        .end()
}

/// The body, then names and values of headers in turns; `null` where the application gave no token.
fn luggage(packed: &JsValue) -> Option<Luggage> {
    let mut parts = packed.dyn_ref::<Array>()?.iter();
    let body = parts.next()?.dyn_into().ok();
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        headers.push((name.as_string()?, value.as_string()?));
    }
    Some(Luggage { headers, body })
}
