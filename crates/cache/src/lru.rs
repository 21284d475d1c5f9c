//! LRU: the least recently used row is evicted.
//!
//! Good where recently used rows are used again. A scan of more rows than L1 holds evicts everything.

use std::rc::Rc;

use model::row::Row;

use crate::lru_table::LruTable;
use crate::policy::Policy;

/// The policy.
#[derive(Debug, Default)]
pub(crate) struct Lru {
    rows: LruTable<Rc<Row>>,
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
