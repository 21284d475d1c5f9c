//! Merges two copies of one row. It knows no tier. Invariant: of each feature the later fetch stays.

use std::rc::Rc;

use model::row::Row;

/// Merges two copies of a row: of each feature the later fetch. A row that is fetched as a whole, like a
/// feature service, is taken from the later fetch alone. A member that the service no longer has would
/// otherwise come back.
pub(super) fn merge(held: &Rc<Row>, row: &Rc<Row>, is_whole: bool) -> Rc<Row> {
    if Rc::ptr_eq(held, row) {
        return Rc::clone(row);
    }
    match is_whole {
        true if held.newest() > row.newest() => Rc::clone(held),
        true => Rc::clone(row),
        false => Rc::new(held.merge(row)),
    }
}
