//! The rows of the reserve (R27): beside the database's own state, so that one look tells whether it is drawn on.

use super::write::text_of;
use super::{Key, Part, Row, RowChange, text};
use crate::model::{Reserve, SPARE_TERMS};

/// Where the database's own state is.
pub(super) fn state() -> Key {
    vec![text("state")]
}

/// While it is there, what never left is not sealed.
pub(super) fn marker() -> Key {
    vec![text("unsealed")]
}

/// What the keys of all spare terms begin with.
pub(super) fn spares() -> Key {
    vec![text("term")]
}

fn spare(number: u64) -> Key {
    vec![text("term"), Part::Number(number)]
}

/// The rows that a change of the reserve becomes.
pub(super) fn changes(reserve: Reserve) -> Vec<RowChange> {
    let put = |key| {
        // What it says does not matter: it is there.
        let row = Row { text: text_of(&(), |out, ()| out.0.push('1')), indexes: Vec::new() };
        RowChange::Put { store: "meta", key, row }
    };
    let delete = |key| RowChange::Delete { store: "meta", key };
    match reserve {
        Reserve::Fill => {
            [marker()].into_iter().chain((1..=SPARE_TERMS).map(spare)).map(put).collect()
        }
        Reserve::Draw => vec![delete(marker())],
        Reserve::DrawTerm(number) => vec![delete(marker()), delete(spare(number))],
    }
}
