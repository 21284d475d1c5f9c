//! How the types of the configuration take their values from a [`Tree`].
//!
//! Each table is a list of keys and of the fields behind them, walked by one function for all: what serde derives would be
//! compiled for every table anew, and made a tenth of the Worker. Its invariant: what a table does not say keeps its value.

use super::named::Named;
use super::tree::{Fault, Tree, segment};

/// Something that the configuration can set.
pub(super) trait Setting {
    /// Takes its value from `tree`.
    ///
    /// # Errors
    /// A value of the wrong type, or a key that means nothing.
    fn set(&mut self, tree: &Tree) -> Result<(), Fault>;
}

/// Makes tables of structs: each field is set by the key of its name.
macro_rules! tables {
    ($($table:ident { $($field:ident),* $(,)? })*) => {$(
        impl $crate::read::Setting for $table {
            fn set(&mut self, tree: &$crate::tree::Tree) -> Result<(), $crate::tree::Fault> {
                $crate::read::set_table(tree, &[$(stringify!($field)),*], &mut [$(&mut self.$field),*])
            }
        }
    )*};
}
pub(super) use tables;

/// Makes enums the choice of a text.
macro_rules! choices {
    ($($choice:ident { $($name:literal => $variant:ident),* $(,)? })*) => {$(
        impl $crate::read::Setting for $choice {
            fn set(&mut self, tree: &$crate::tree::Tree) -> Result<(), $crate::tree::Fault> {
                const NAMES: &[&str] = &[$($name),*];
                let chosen = $crate::read::choice(tree, NAMES)?;
                let variants = [$($choice::$variant),*];
                if let Some(&variant) = variants.get(chosen) {
                    *self = variant;
                }
                Ok(())
            }
        }
    )*};
}
pub(super) use choices;

/// Sets those of `fields` that the table in `tree` names by their `keys`.
pub(super) fn set_table(
    tree: &Tree,
    keys: &'static [&'static str],
    fields: &mut [&mut dyn Setting],
) -> Result<(), Fault> {
    for (key, value) in tree.table()? {
        let known = keys.iter().position(|known| known == key).and_then(|at| fields.get_mut(at));
        let Some(field) = known else { return Err(Fault::unknown_key(key, keys)) };
        field.set(value).map_err(|fault| fault.within(&segment(key)))?;
    }
    Ok(())
}

/// Which of `names` the text in `tree` is.
pub(super) fn choice(tree: &Tree, names: &[&str]) -> Result<usize, Fault> {
    let chosen = match tree {
        Tree::Text(text) => names.iter().position(|name| name == text),
        _ => None,
    };
    chosen.ok_or_else(|| Fault::not_among(names, tree))
}

fn whole_number<T: TryFrom<i64>>(tree: &Tree, most: u64) -> Result<T, Fault> {
    let number = match tree {
        Tree::Integer(number) => T::try_from(*number).ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let allowed = match most {
            u64::MAX => "a whole number, 0 or more".to_owned(),
            most => ["a whole number from 0 to ", &most.to_string()].concat(),
        };
        Fault::not_allowed(tree, allowed)
    })
}

macro_rules! whole_numbers {
    ($($number:ident up to $most:expr),*) => {$(
        impl Setting for $number {
            fn set(&mut self, tree: &Tree) -> Result<(), Fault> {
                *self = whole_number(tree, $most)?;
                Ok(())
            }
        }
    )*};
}

whole_numbers!(u16 up to u64::from(u16::MAX), u32 up to u64::from(u32::MAX), usize up to usize::MAX as u64, u64 up to u64::MAX);

impl Setting for bool {
    fn set(&mut self, tree: &Tree) -> Result<(), Fault> {
        let Tree::Boolean(value) = tree else { return Err(Fault::not_allowed(tree, "`true` or `false`")) };
        *self = *value;
        Ok(())
    }
}

impl Setting for String {
    fn set(&mut self, tree: &Tree) -> Result<(), Fault> {
        let Tree::Text(text) = tree else { return Err(Fault::not_allowed(tree, "a text in quotes")) };
        self.clone_from(text);
        Ok(())
    }
}

impl Setting for Vec<String> {
    fn set(&mut self, tree: &Tree) -> Result<(), Fault> {
        let Tree::List(list) = tree else { return Err(Fault::not_allowed(tree, "a list")) };
        self.clear();
        for (index, value) in list.iter().enumerate() {
            let mut text = String::new();
            text.set(value).map_err(|fault| fault.within(&["[", &index.to_string(), "]"].concat()))?;
            self.push(text);
        }
        Ok(())
    }
}

/// A list that is there and yet empty is a mistake: leaving it out means something else.
pub(super) struct AtLeastOneColumn<'a>(pub(super) &'a mut Vec<String>);

impl Setting for AtLeastOneColumn<'_> {
    fn set(&mut self, tree: &Tree) -> Result<(), Fault> {
        match tree {
            Tree::List(list) if !list.is_empty() => self.0.set(tree),
            _ => Err(Fault::not_allowed(tree, "a list of at least one column")),
        }
    }
}

impl<T: Setting + Default> Setting for Option<T> {
    fn set(&mut self, tree: &Tree) -> Result<(), Fault> {
        *self = None;
        if *tree != Tree::Null {
            self.get_or_insert_default().set(tree)?;
        }
        Ok(())
    }
}

impl<T: Setting + Default> Setting for Named<T> {
    fn set(&mut self, tree: &Tree) -> Result<(), Fault> {
        self.clear();
        for (key, value) in tree.table()? {
            let mut thing = T::default();
            thing.set(value).map_err(|fault| fault.within(&segment(key)))?;
            self.insert(key.clone(), thing);
        }
        Ok(())
    }
}
