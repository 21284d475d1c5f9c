//! Things by name, in the order of their names.
//!
//! A sorted list, since there are tens of them and they are set once; a B-tree is compiled for each kind of thing anew.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Things by name; each name stands once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortedMap<T> {
    entries: Vec<(String, T)>,
}

impl<T> Default for SortedMap<T> {
    fn default() -> Self {
        SortedMap { entries: Vec::new() }
    }
}

impl<T> SortedMap<T> {
    /// Where `name` stands, or else belongs.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// What has that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.place(name).ok().and_then(|at| self.entries.get(at)).map(|(_, thing)| thing)
    }

    /// Puts `thing` in, in the place of an earlier one of that name.
    pub fn insert(&mut self, name: String, thing: T) {
        match self.place(&name) {
            Ok(at) => {
                if let Some((_, earlier)) = self.entries.get_mut(at) {
                    *earlier = thing;
                }
            }
            Err(at) => self.entries.insert(at, (name, thing)),
        }
    }

    /// All names and things, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(name, thing)| (name.as_str(), thing))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

impl<T> Extend<(String, T)> for SortedMap<T> {
    fn extend<I: IntoIterator<Item = (String, T)>>(&mut self, entries: I) {
        for (name, thing) in entries {
            self.insert(name, thing);
        }
    }
}

impl<T> FromIterator<(String, T)> for SortedMap<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        let mut map = SortedMap::default();
        map.extend(entries);
        map
    }
}

impl<T> IntoIterator for SortedMap<T> {
    type Item = (String, T);
    type IntoIter = std::vec::IntoIter<(String, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<T: Serialize> Serialize for SortedMap<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for SortedMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = SortedMap<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<SortedMap<T>, A::Error> {
        let mut map = SortedMap::default();
        while let Some((name, thing)) = access.next_entry()? {
            map.insert(name, thing);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once_and_in_its_order() {
        let mut map: SortedMap<u8> = [("b".to_owned(), 1), ("a".to_owned(), 2)].into_iter().collect();
        map.insert("b".to_owned(), 3);
        assert_eq!(map.iter().collect::<Vec<_>>(), [("a", &2), ("b", &3)]);
        assert_eq!((map.get("b"), map.get("c"), map.len()), (Some(&3), None, 2));
    }
}
