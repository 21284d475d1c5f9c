//! Figures: named numbers with a unit and a help text, declared once for JSON and for Prometheus.
//!
//! Invariant: what a [`figures!`](crate::figures) struct declares is in `/v1/stats`, and but for quantiles in `/metrics`, under names
//! that follow from its own.

use serde::{Serialize, Serializer};

/// The kind and unit of a number. JSON has the field's name; Prometheus has the base unit in place of the field's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count since the start.
    Total,
    /// A number that rises and falls.
    Gauge,
    /// Milliseconds of a quantile in a window. JSON has it and Prometheus does not: quantiles cannot be aggregated, so a
    /// [histogram](crate::prometheus::write_histogram) takes its place.
    QuantileMillis,
    /// Microseconds, written as milliseconds, in a field that ends in `_ms`.
    Micros,
    /// Millionths, written as a ratio from 0 to 1. The metric's name ends in `_ratio`.
    Ratio,
    /// Thousandths, written as a number.
    Rate,
    /// Millionths of a US dollar since the start, written as dollars, in a field that ends in `_usd`.
    MicroDollars,
}

/// See [`Unit::Total`].
pub type Total = u64;
/// See [`Unit::Gauge`].
pub type Gauge = u64;
/// See [`Unit::QuantileMillis`].
pub type QuantileMillis = u64;
/// See [`Unit::Micros`].
pub type Micros = Decimal<3>;
/// See [`Unit::Ratio`].
pub type Ratio = Decimal<6>;
/// See [`Unit::Rate`].
pub type Rate = Decimal<3>;
/// See [`Unit::MicroDollars`].
pub type MicroDollars = Decimal<6>;

/// A number that is this one divided by 10 to the power of `DECIMALS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal<const DECIMALS: u32>(pub u64);

impl<const DECIMALS: u32> From<Decimal<DECIMALS>> for u64 {
    fn from(decimal: Decimal<DECIMALS>) -> u64 {
        decimal.0
    }
}

impl<const DECIMALS: u32> Serialize for Decimal<DECIMALS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 10_u64.pow(DECIMALS) as f64)
    }
}

/// One of the figures of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The field's name.
    pub name: &'static str,
    /// Its kind and unit.
    pub unit: Unit,
    /// The field's documentation, which is the metric's help.
    pub help: &'static str,
}

/// A struct that [`figures!`](crate::figures) declares.
pub trait Figures {
    /// Its figures, in the order of its fields.
    const FIGURES: &'static [Figure];

    /// Their values, each in the unit that [`Unit`] describes.
    fn values(&self) -> Vec<u64>;
}

/// Declares structs of figures: `field: Unit` with one line of documentation each.
#[macro_export]
macro_rules! figures {
    ($($(#[doc = $about:literal])+ $name:ident { $(#[doc = $help:literal] $field:ident: $unit:ident,)+ })+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ::serde::Serialize)]
        pub struct $name {
            $(#[doc = $help] pub $field: $crate::figures::$unit,)+
        }

        impl $crate::figures::Figures for $name {
            const FIGURES: &'static [$crate::figures::Figure] = &[$($crate::figures::Figure {
                name: stringify!($field),
                unit: $crate::figures::Unit::$unit,
                help: $help,
            }),+];

            fn values(&self) -> Vec<u64> {
                vec![$(self.$field.into()),+]
            }
        }
    )+};
}

/// Values by label, serialized as an object in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByLabel<'a, T>(pub Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for ByLabel<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(label, value)| (label, value)))
    }
}
