//! Two copies of one row as one.

use std::rc::Rc;

use model::row::Row;

/// Two copies of a row as one: of each feature the later fetch. A row that is fetched as a whole, as a feature service is, stays as it
/// was fetched later: a member that the service no longer has would come back otherwise.
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
