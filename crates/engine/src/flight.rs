//! Flights: one fetch of a row is shared by all requests that miss it.
//!
//! A flight belongs to one session, its leader, under a lease. Later sessions follow it; when it
//! completes, they are woken and read L1. If the leader's host dies, followers see by their own timers
//! that the lease has expired, and one takes over. Flights know row hashes and session numbers only.
//! Invariant: two rows with one hash may make a follower wait in vain, but it never sees the other's row.

use hashbrown::HashMap;

use model::time::Timestamp;

#[derive(Debug)]
struct Flight {
    leader: u64,
    began: Timestamp,
    lease_until: Timestamp,
    followers: Vec<u64>,
}

/// The flights in progress, by the hash of their row.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_row: HashMap<u64, Flight, foldhash::fast::FixedState>,
}

/// A session's role in a row's flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It fetches the row.
    Leads,
    /// It waits for another session's flight, until woken or until the lease expires.
    Follows {
        /// When the lease runs out.
        until: Timestamp,
    },
}

impl Flights {
    /// Joins the flight of the row with `hash`, or begins one with a lease of `lease_millis`.
    pub(super) fn join(&mut self, hash: u64, session: u64, now: Timestamp, lease_millis: u64) -> Role {
        let lease_until = now.plus(lease_millis);
        match self.by_row.get_mut(&hash) {
            Some(flight) if flight.leader != session && flight.lease_until > now => {
                if !flight.followers.contains(&session) {
                    flight.followers.push(session);
                }
                Role::Follows { until: flight.lease_until }
            }
            Some(flight) => {
                flight.leader = session;
                flight.began = now;
                flight.lease_until = lease_until;
                flight.followers.retain(|&follower| follower != session);
                Role::Leads
            }
            None => {
                self.by_row.insert(hash, Flight { leader: session, began: now, lease_until, followers: Vec::new() });
                Role::Leads
            }
        }
    }

    /// Lengthens the lease of a flight that `session` leads.
    pub(super) fn renew(&mut self, hash: u64, session: u64, until: Timestamp) {
        if let Some(flight) = self.by_row.get_mut(&hash).filter(|flight| flight.leader == session) {
            flight.lease_until = until;
        }
    }

    /// Shifts all times back by so many milliseconds, after a clock that was ahead.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        for flight in self.by_row.values_mut() {
            flight.began = flight.began.minus(millis);
            flight.lease_until = flight.lease_until.minus(millis);
        }
    }

    /// Whether another session's flight began longer ago than so many milliseconds, so that a read
    /// with such a bound must not follow it.
    pub(super) fn is_older_than(&self, hash: u64, session: u64, millis: u64, now: Timestamp) -> bool {
        let others = self.by_row.get(&hash).filter(|flight| flight.leader != session && flight.lease_until > now);
        others.is_some_and(|flight| now.millis_since(flight.began) > millis)
    }

    /// Whether another session leads the row's flight.
    pub(super) fn is_led_by_another(&self, hash: u64, session: u64, now: Timestamp) -> bool {
        self.by_row.get(&hash).is_some_and(|flight| flight.leader != session && flight.lease_until > now)
    }

    /// Completes the flight of a row, if `session` leads it, and returns its followers.
    pub(super) fn complete(&mut self, hash: u64, session: u64) -> Vec<u64> {
        if self.by_row.get(&hash).is_some_and(|flight| flight.leader == session) {
            self.by_row.remove(&hash).map(|flight| flight.followers).unwrap_or_default()
        } else {
            Vec::new()
        }
    }

    /// How many rows are in flight.
    pub(super) fn len(&self) -> usize {
        self.by_row.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leads_the_others_follow_and_are_woken_once() {
        let mut flights = Flights::default();
        assert_eq!(flights.join(7, 1, Timestamp(0), 100), Role::Leads);
        assert_eq!(flights.join(7, 2, Timestamp(10), 100), Role::Follows { until: Timestamp(100) });
        assert_eq!(flights.join(7, 2, Timestamp(20), 100), Role::Follows { until: Timestamp(100) });
        assert_eq!(flights.join(8, 2, Timestamp(20), 100), Role::Leads);
        assert!(flights.complete(7, 2).is_empty(), "a follower cannot end the flight");
        assert_eq!((flights.complete(7, 1), flights.len()), (vec![2], 1));
    }

    #[test]
    fn a_flight_older_than_a_bound_is_not_followed() {
        let mut flights = Flights::default();
        flights.join(7, 1, Timestamp(1_000), 5_000);
        assert!(!flights.is_older_than(7, 2, 100, Timestamp(1_100)));
        assert!(flights.is_older_than(7, 2, 100, Timestamp(1_101)));
        assert!(!flights.is_older_than(7, 1, 100, Timestamp(1_101)), "it is its own");
        assert!(!flights.is_older_than(7, 2, 100, Timestamp(6_000)), "its lease has run out");
    }

    #[test]
    fn a_follower_takes_over_from_a_leader_whose_lease_has_expired() {
        let mut flights = Flights::default();
        flights.join(7, 1, Timestamp(0), 100);
        flights.join(7, 2, Timestamp(10), 100);
        flights.join(7, 3, Timestamp(10), 100);
        assert_eq!(flights.join(7, 2, Timestamp(100), 100), Role::Leads);
        assert_eq!(flights.join(7, 3, Timestamp(100), 100), Role::Follows { until: Timestamp(200) });
        assert!(flights.complete(7, 1).is_empty(), "the former leader has no flight to end");
        assert_eq!(flights.complete(7, 2), [3]);
    }

    #[test]
    fn only_who_leads_a_flight_lengthens_its_lease() {
        let mut flights = Flights::default();
        flights.join(7, 1, Timestamp(0), 100);
        flights.renew(7, 2, Timestamp(900));
        assert!(!flights.is_led_by_another(7, 2, Timestamp(100)), "the lease ends when it was to");
        flights.renew(7, 1, Timestamp(500));
        assert!(flights.is_led_by_another(7, 2, Timestamp(499)));
        assert!(!flights.is_led_by_another(7, 1, Timestamp(499)), "its leader leads it itself");
        assert_eq!(flights.join(7, 2, Timestamp(499), 100), Role::Follows { until: Timestamp(500) });
    }
}
