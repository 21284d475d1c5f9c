//! What the origin is asked for: the rows and columns of a request that no tier had.

/// Rows and columns of one origin call: every row with every column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchSpec {
    /// Rows of the request, ascending, each entity once.
    pub rows: Vec<usize>,
    /// For each view with something missing: its number, and the numbers of the missing columns in the request's order. No numbers
    /// mean the whole view.
    pub views: Vec<(usize, Vec<usize>)>,
    /// The places that wait for the rows: `view × rows of the request + row`.
    pub places: Vec<usize>,
}
