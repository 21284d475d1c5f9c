//! The lists of features that were asked for lately: a service asks for the same ones again and again, so the next of the same
//! text is known by comparing it, and is not read.
//!
//! Knows nothing of what the features mean. Invariants: a number names one text for ever, and only what was read without an
//! error is kept.

use model::block;

/// How many are remembered; each that is not the one costs a comparison up to where it differs.
const MAX_LISTS: usize = 8;

/// The longest that is remembered, in bytes.
const MAX_TEXT: usize = 64 * 1_024;

/// Lists of features, as they were written.
#[derive(Debug, Default)]
pub struct Lists {
    lists: Vec<List>,
    /// How many there have been.
    numbers: u64,
}

/// A JSON array of features.
#[derive(Debug)]
pub struct List {
    /// Its number; never 0.
    pub number: u64,
    /// How many features it holds.
    pub count: usize,
    /// The array, from bracket to bracket.
    pub text: Box<[u8]>,
}

impl Lists {
    /// The list that `bytes` begin with.
    #[must_use]
    pub fn at_start_of(&self, bytes: &[u8]) -> Option<&List> {
        let begins = |list: &&List| bytes.get(..list.text.len()).is_some_and(|start| block::is_same(start, &list.text));
        self.lists.iter().find(begins)
    }

    /// Remembers a list that was read, in the place of the oldest where there are many; its number, or 0 where it is too long.
    pub fn remember(&mut self, text: &[u8], count: usize) -> u64 {
        if text.len() > MAX_TEXT {
            return 0;
        }
        let place = (self.numbers % MAX_LISTS as u64) as usize;
        self.numbers += 1;
        let list = List { number: self.numbers, count, text: text.into() };
        match self.lists.get_mut(place) {
            Some(oldest) => *oldest = list,
            None => self.lists.push(list),
        }
        self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_known_by_its_whole_text_until_others_take_its_place() {
        let mut lists = Lists::default();
        assert!(lists.at_start_of(b"[\"a\"]").is_none());
        let number = lists.remember(b"[\"a\"]", 1);
        let known = lists.at_start_of(b"[\"a\"],\"entities\"").unwrap();
        assert_eq!((known.number, known.count), (number, 1));
        assert!(lists.at_start_of(b"[\"a\",\"b\"]").is_none());
        assert!(lists.at_start_of(b"[\"a\"").is_none());
        let numbers: Vec<u64> =
            (0..MAX_LISTS).map(|count| lists.remember(format!("[{count}]").as_bytes(), 1)).collect();
        assert!(numbers.iter().all(|&other| other != number));
        assert!(lists.at_start_of(b"[\"a\"]").is_none());
        assert_eq!(lists.at_start_of(b"[3]]").map(|list| list.number), Some(numbers[3]));
        assert_eq!(lists.remember(&vec![b' '; MAX_TEXT + 1], 1), 0);
    }
}
