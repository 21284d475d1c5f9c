//! Caches the texts of recent lists of features. Services request the same list again and again, so the next one of the same text is
//! compared, and not parsed.
//!
//! Knows nothing of what the features mean. Invariants: a list is identified by its allocation, which no other list has while it is
//! referenced; and only a list that was parsed without an error is cached.

use std::rc::Rc;

use model::row::ALLOCATION;
use model::short_copy;

/// How many are cached; each other one costs a comparison up to its first difference.
const MAX_LISTS: usize = 8;

/// The longest that is cached, in bytes.
const MAX_TEXT: usize = 64 * 1_024;

/// Recent lists of features, as they were written.
#[derive(Debug, Default)]
pub struct FeatureListCache {
    lists: Vec<Rc<FeatureList>>,
    /// The index of the oldest, once it is full.
    oldest: usize,
}

/// A JSON array of features.
#[derive(Debug)]
pub struct FeatureList {
    /// How many features it holds.
    pub count: usize,
    /// The array, from bracket to bracket.
    pub text: Box<[u8]>,
}

impl FeatureList {
    /// Its memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<FeatureList>() + 2 * ALLOCATION + self.text.len()
    }
}

/// The most memory of one cache, in bytes.
pub const MAX_BYTES: usize = MAX_LISTS * (MAX_TEXT + size_of::<FeatureList>() + 2 * ALLOCATION);

impl FeatureListCache {
    /// The list that `bytes` begin with.
    #[must_use]
    pub fn at_start_of(&self, bytes: &[u8]) -> Option<&Rc<FeatureList>> {
        let begins = |list: &&Rc<FeatureList>| {
            bytes.get(..list.text.len()).is_some_and(|start| short_copy::is_same(start, &list.text))
        };
        self.lists.iter().find(begins)
    }

    /// The memory of all lists, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lists.iter().map(|list| list.size()).sum()
    }

    /// Caches a list that was parsed, replacing the oldest where the cache is full; `None` where it is too long.
    pub fn remember(&mut self, text: &[u8], count: usize) -> Option<Rc<FeatureList>> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let list = Rc::new(FeatureList { count, text: text.into() });
        match self.lists.get_mut(self.oldest) {
            Some(oldest) => *oldest = Rc::clone(&list),
            None => self.lists.push(Rc::clone(&list)),
        }
        self.oldest = (self.oldest + 1) % MAX_LISTS;
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_found_by_its_whole_text_until_others_replace_it() {
        let mut lists = FeatureListCache::default();
        assert!(lists.at_start_of(b"[\"a\"]").is_none());
        let list = lists.remember(b"[\"a\"]", 1).unwrap();
        let known = lists.at_start_of(b"[\"a\"],\"entities\"").unwrap();
        assert!(Rc::ptr_eq(known, &list) && known.count == 1);
        assert!(lists.at_start_of(b"[\"a\",\"b\"]").is_none());
        assert!(lists.at_start_of(b"[\"a\"").is_none());
        let others: Vec<Rc<FeatureList>> =
            (0..MAX_LISTS).map(|count| lists.remember(format!("[{count}]").as_bytes(), 1).unwrap()).collect();
        assert!(lists.at_start_of(b"[\"a\"]").is_none());
        assert!(Rc::ptr_eq(lists.at_start_of(b"[3]]").unwrap(), &others[3]));
        assert!(lists.remember(&vec![b' '; MAX_TEXT + 1], 1).is_none());
    }

    #[test]
    fn one_text_in_two_caches_is_two_lists() {
        let [one, other] = [(); 2].map(|()| FeatureListCache::default().remember(b"[\"a\"]", 1).unwrap());
        assert!(!Rc::ptr_eq(&one, &other));
    }
}
