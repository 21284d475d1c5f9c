//! Lists and texts of an export with a bound, which is enforced while they are read: before their memory is taken.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// The most bytes of a text.
const MAX_TEXT: usize = 4_000;

/// Reads a list of at most `MAX` elements.
pub(crate) fn vec<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a list of at most {MAX}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut read = Vec::new();
            while let Some(element) = elements.next_element()? {
                if read.len() == MAX {
                    return Err(A::Error::custom(format_args!("more than {MAX} elements")));
                }
                read.push(element);
            }
            Ok(read)
        }
    }
    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// Reads a text of at most [`MAX_TEXT`] bytes.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > MAX_TEXT {
        return Err(D::Error::custom(format_args!("more than {MAX_TEXT} bytes")));
    }
    Ok(text)
}
