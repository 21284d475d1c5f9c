//! Rows that some request is looking for right now, so that others wait for it instead of looking too.
//!
//! A flight belongs to one session under a lease. Whoever comes meanwhile follows; when the flight ends, its followers
//! are woken to look into L1. A leader whose host has gone silent never ends its flight, so a follower sees by its own
//! timer that the lease has run out, and takes over. Nothing but row hashes and session numbers is kept here: two rows
//! with one hash make a follower wait for nothing, and never see the other's row.

use hashbrown::HashMap;

use model::time::Timestamp;

#[derive(Debug)]
struct Flight {
    leader: u64,
    began: Timestamp,
    lease_until: Timestamp,
    followers: Vec<u64>,
}

/// The flights under way, by the hash of their row.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_row: HashMap<u64, Flight, foldhash::fast::FixedState>,
}

/// What a session is to a row's flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It looks for the row itself.
    Leads,
    /// It waits for another's flight, and looks again when woken or when that lease has run out.
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

    /// Puts the leases back by so many milliseconds: the clock that they were given by was ahead.
    pub(super) fn set_back(&mut self, millis: u64) {
        for flight in self.by_row.values_mut() {
            flight.began = flight.began.minus(millis);
            flight.lease_until = flight.lease_until.minus(millis);
        }
    }

    /// Whether what another session looks for will be older than so many milliseconds when it comes: nobody with such a bound need
    /// wait for it.
    pub(super) fn is_older_than(&self, hash: u64, session: u64, millis: u64, now: Timestamp) -> bool {
        let others = self.by_row.get(&hash).filter(|flight| flight.leader != session && flight.lease_until > now);
        others.is_some_and(|flight| now.millis_since(flight.began) > millis)
    }

    /// Whether another session than `session` looks for the row with `hash`.
    pub(super) fn is_led_by_another(&self, hash: u64, session: u64, now: Timestamp) -> bool {
        self.by_row.get(&hash).is_some_and(|flight| flight.leader != session && flight.lease_until > now)
    }

    /// Ends the flight of the row with `hash`, if `session` leads it: who followed it.
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
    fn what_began_longer_ago_than_a_bound_is_not_worth_waiting_for() {
        let mut flights = Flights::default();
        flights.join(7, 1, Timestamp(1_000), 5_000);
        assert!(!flights.is_older_than(7, 2, 100, Timestamp(1_100)));
        assert!(flights.is_older_than(7, 2, 100, Timestamp(1_101)));
        assert!(!flights.is_older_than(7, 1, 100, Timestamp(1_101)), "it is its own");
        assert!(!flights.is_older_than(7, 2, 100, Timestamp(6_000)), "its lease has run out");
    }

    #[test]
    fn a_follower_takes_over_from_a_leader_that_has_gone_silent() {
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
