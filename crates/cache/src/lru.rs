//! Least recently used: what was used last stays longest.
//!
//! Good where what was used of late is used again; a scan of more rows than there is room for takes everything with it.

use std::rc::Rc;

use model::row::Row;

use crate::policy::Policy;
use crate::table::Table;

/// The policy.
#[derive(Debug, Default)]
pub(crate) struct Lru {
    rows: Table<Rc<Row>>,
}

impl Policy for Lru {
    fn get(&mut self, hash: u64) -> Option<&Rc<Row>> {
        self.rows.get(hash)
    }

    fn peek(&self, hash: u64) -> Option<&Rc<Row>> {
        self.rows.peek(hash)
    }

    fn peek_mut(&mut self, hash: u64) -> Option<&mut Rc<Row>> {
        self.rows.peek_mut(hash)
    }

    fn admit(&mut self, hash: u64, row: Rc<Row>) {
        self.rows.push(hash, row);
    }

    fn remove(&mut self, hash: u64) -> Option<Rc<Row>> {
        self.rows.pop(hash)
    }

    fn evict(&mut self) -> Option<(u64, Rc<Row>)> {
        self.rows.pop_lru()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Rc<Row>)) {
        self.rows.values().for_each(visit);
    }
}
