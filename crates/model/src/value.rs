//! The metadata of one value: its status and its times.

use crate::time::{EventTime, PackedTimestamp};

/// Feast's field statuses, in the order of its protobuf enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// The value is unavailable: its store or origin failed, or did not respond in time.
    Invalid = 0,
    /// There is a value. Feast's Python server also reports a stored null so.
    Present = 1,
    /// The entity is known and the value is null.
    NullValue = 2,
    /// The origin does not know this entity.
    NotFound = 3,
    /// The value's event is older than its view allows.
    OutsideMaxAge = 4,
}

impl Status {
    /// The name that Feast's JSON uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::Invalid => "INVALID",
            Status::Present => "PRESENT",
            Status::NullValue => "NULL_VALUE",
            Status::NotFound => "NOT_FOUND",
            Status::OutsideMaxAge => "OUTSIDE_MAX_AGE",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The status of that number, as the stored form holds it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Status> {
        Status::ALL.into_iter().find(|&status| status as u8 == number)
    }

    const ALL: [Status; 5] =
        [Status::Invalid, Status::Present, Status::NullValue, Status::NotFound, Status::OutsideMaxAge];
}

/// The metadata of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The status that the origin reports.
    pub status: Status,
    /// Whether the origin does not know the entity, which is cached for a shorter time. With its Redis store Feast reports `PRESENT`
    /// even then, so this is not the same as `NOT_FOUND`.
    pub is_negative: bool,
    /// When the event of the value happened.
    pub event_time: EventTime,
    /// When Featheredge fetched it from the origin.
    pub fetched_at: PackedTimestamp,
}
