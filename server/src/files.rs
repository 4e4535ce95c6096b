//! The page's files, below one directory.

use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use holdfast_server_core::{Problem, ProblemKind};

/// Nothing but our own scripts, and WebAssembly; no inline code.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'";

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The file a path names; `None` for a path that could leave the directory.
fn locate(www: &Path, path: &str) -> Option<PathBuf> {
    let decoded = percent_decode(path)?;
    let mut file = www.to_path_buf();
    for component in Path::new(decoded.trim_start_matches('/')).components() {
        match component {
            Component::Normal(name) => {
                let name = name.to_str()?;
                if name.starts_with('.') || name.contains('\\') || name.contains('\0') {
                    return None;
                }
                file.push(name);
            }
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    if decoded.ends_with('/') {
        file.push("index.html");
    }
    Some(file)
}

pub(crate) fn percent_decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| char::from(b?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Answers with a file, or with the problem that there is none.
pub(crate) async fn file(www: &Path, path: &str) -> Result<Response<Body>, Problem> {
    let missing = || Problem::new(ProblemKind::NotFound, "no such file");
    let wanted = locate(www, path).ok_or_else(missing)?;
    // A link inside the directory must not lead out of it.
    let real = tokio::fs::canonicalize(&wanted).await.map_err(|_| missing())?;
    let top = tokio::fs::canonicalize(www).await.map_err(|_| missing())?;
    if !real.starts_with(&top) {
        return Err(missing());
    }
    let bytes = tokio::fs::read(&real).await.map_err(|_| missing())?;
    Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, media_type(&wanted))
        .header(header::CONTENT_LENGTH, bytes.len())
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header("service-worker-allowed", "/")
        .body(Body::from(bytes))
        .map_err(|_| Problem::new(ProblemKind::Internal, "the file cannot be sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_directory() {
        let www = Path::new("www");
        for path in [
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/..%2fx",
            "/.git/x",
            "/a%00",
            "/%zz",
            "/a\\..\\x",
            "/%ff",
        ] {
            assert_eq!(locate(www, path), None, "{path}");
        }
        assert_eq!(locate(www, "/"), Some("www/index.html".into()));
        assert_eq!(locate(www, "/a/b%20c.js"), Some("www/a/b c.js".into()));
        assert_eq!(locate(www, "//etc/passwd"), Some("www/etc/passwd".into()));
    }
}
