//! Addresses and media types.

/// A path under a base address, whether or not that ends with a slash.
pub(super) fn join(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// A parameter's value as it may stand in an address.
pub(super) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(
                    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase(),
                );
            }
        }
    }
    out
}

/// Whether a `Content-Type` says JSON (`application/json`, `application/problem+json`, with or without parameters).
pub(super) fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(join("/api", "push"), "/api/push");
        assert_eq!(join("https://a.example/v1/", "pull"), "https://a.example/v1/pull");
        assert_eq!(escape("5f0c.4-_~"), "5f0c.4-_~");
        assert_eq!(escape("a b&c=é/\u{0}"), "a%20b%26c%3D%C3%A9%2F%00");
    }

    #[test]
    fn media_types() {
        for yes in
            ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
        {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["", "text/html", "text/json", "application/jsonp", "application/xml"] {
            assert!(!is_json(no), "{no}");
        }
    }
}
