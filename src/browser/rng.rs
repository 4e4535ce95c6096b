//! Random bytes from the platform.

use wasm_bindgen::prelude::*;

use crate::port::Rng;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = crypto)]
    static CRYPTO: Option<web_sys::Crypto>;
}

/// `crypto.getRandomValues`.
///
/// ```no_run
/// use holdfast::browser::BrowserRng;
/// use holdfast::port::Rng;
/// assert_ne!(BrowserRng.next(), BrowserRng.next());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BrowserRng;

impl Rng for BrowserRng {
    fn next(&self) -> u64 {
        let mut bytes = [0; 8];
        let filled = CRYPTO.with(|crypto| {
            let crypto = crypto.as_ref()?;
            crypto.get_random_values_with_u8_array(&mut bytes).ok()
        });
        if filled.is_none() {
            // Every engine that runs this module has `crypto`; a test double of a page may not. 53 bits are better than none.
            return (js_sys::Math::random() * 9_007_199_254_740_992.0) as u64;
        }
        u64::from_le_bytes(bytes)
    }
}
