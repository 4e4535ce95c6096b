//! `Content-Digest` (RFC 9530), with SHA-256.

use sha2::{Digest as _, Sha256};

/// The value of the header for a body as it is sent.
///
/// ```
/// let value = holdfast_server_core::content_digest(b"{\"hello\": \"world\"}\n");
/// assert_eq!(value, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
/// ```
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", base64(&Sha256::digest(body), Padding::Kept))
}

pub(super) enum Padding {
    Kept,
    None,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn base64(bytes: &[u8], padding: Padding) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let letter = ALPHABET.get(usize::try_from(digit).unwrap_or(0)).copied();
            out.push(char::from(letter.unwrap_or(b'A')));
        }
        match padding {
            Padding::Kept => out.extend(std::iter::repeat_n('=', 3 - chunk.len())),
            Padding::None => {}
        }
    }
    out
}

/// What [`base64`] without padding made, read back.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in chunk {
            let digit = ALPHABET.iter().position(|letter| letter == byte)?;
            bits = bits << 6 | u32::try_from(digit).ok()?;
        }
        let bytes = (bits << (6 * (4 - chunk.len()))).to_be_bytes();
        out.extend(bytes.get(1..chunk.len())?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_keeps_the_test_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes(), Padding::Kept), coded);
            let bare = base64(plain.as_bytes(), Padding::None);
            assert_eq!(bare, coded.trim_end_matches('='));
            assert_eq!(from_base64(&bare).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(from_base64("a*"), None);
        assert_eq!(from_base64("a"), Some(vec![]), "one digit holds no byte");
    }
}
