//! What an origin call fetches: the rows and columns of a query that no tier had.

/// Rows and columns of one origin call: every row with every column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchSpec {
    /// Rows of the request, ascending, each entity once.
    pub rows: Vec<usize>,
    /// For each view with missing columns: its number, and the numbers of these columns in the request's order. No numbers
    /// mean the whole view.
    pub views: Vec<(usize, Vec<usize>)>,
    /// The lookups that wait for the rows, by their indices in the query.
    pub indices: Vec<usize>,
}
