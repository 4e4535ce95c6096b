//! The choice tape: every decision of a run is read from it, so the tape is the test case.

/// Bytes that decide. Made from a seed, or given; after its end every choice is the first one, and that is the tamest.
#[derive(Debug, Clone)]
pub(crate) struct Tape {
    bytes: Vec<u8>,
    at: usize,
    /// Goes on making bytes; nothing for a tape that was given.
    state: Option<u64>,
}

impl Tape {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { bytes: Vec::new(), at: 0, state: Some(seed.wrapping_add(1)) }
    }

    pub(crate) fn given(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, state: None }
    }

    /// What was read so far.
    pub(crate) fn used(&self) -> &[u8] {
        &self.bytes[..self.at.min(self.bytes.len())]
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state.is_none() && self.at >= self.bytes.len()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        if self.at == self.bytes.len()
            && let Some(state) = &mut self.state
        {
            self.bytes.extend(splitmix(state).to_le_bytes());
        }
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    /// One of `n`; `n` is at most 256.
    pub(crate) fn pick(&mut self, n: usize) -> usize {
        if n <= 1 { 0 } else { usize::from(self.byte()) * n / 256 }
    }

    /// True in `of256` cases of 256. Costs nothing where it is never true.
    pub(crate) fn chance(&mut self, of256: u16) -> bool {
        // The last bytes are the rare ones: an exhausted tape reads zeros.
        of256 > 0 && u16::from(self.byte()) >= 256 - of256
    }
}

pub(crate) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if text.len() % 2 == 1 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
