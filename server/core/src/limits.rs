//! Every number that bounds what a request or an answer may cost.

/// The limits of one server. [`Limits::default`] are those of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request body, decoded.
    pub request_bytes: usize,
    /// Operations in one push.
    pub operations: usize,
    /// Bytes of one answer. A page is cut, and operations are put off, before this is passed.
    pub answer_bytes: usize,
    /// Changes in one page of a pull, and the default where a request names no limit.
    pub page: usize,
    /// Bytes of one document's JSON text.
    pub document_bytes: usize,
    /// Levels of nested objects and arrays, the document itself being the first.
    pub depth: usize,
    /// Bytes of one member name.
    pub key_bytes: usize,
    /// Characters of a record's id.
    pub id_chars: usize,
    /// Characters of a collection's name.
    pub collection_chars: usize,
    /// Characters of an operation id, a group id or a device id.
    pub token_chars: usize,
    /// Members of one group.
    pub group: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 1 << 20,
            operations: 1_000,
            answer_bytes: 8 << 20,
            page: 1_000,
            document_bytes: 256 << 10,
            depth: 64,
            key_bytes: 256,
            id_chars: 128,
            collection_chars: 64,
            token_chars: 64,
            group: 50,
        }
    }
}
