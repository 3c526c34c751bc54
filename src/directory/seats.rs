//! Who may hold a connection: a number of seats in all, and a number for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The seats.
#[derive(Debug)]
pub(super) struct Seats {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<u64, usize>,
}

/// A seat taken; free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    whose: u64,
}

impl Seats {
    pub(super) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default() })
    }

    /// A seat for a stranger, if there is one left for him.
    pub(super) fn take(self: &Arc<Self>, who: IpAddr) -> Option<Seat> {
        let whose = household(who);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.all || taken.by.get(&whose).is_some_and(|held| *held >= self.each) {
            return None;
        }
        taken.all += 1;
        *taken.by.entry(whose).or_default() += 1;
        Some(Seat { seats: Arc::clone(self), whose })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(held) = taken.by.get_mut(&self.whose) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                taken.by.remove(&self.whose);
            }
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 one: one subscriber has all of it.
fn household(who: IpAddr) -> u64 {
    match who.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_dropped() {
        let seats = Seats::new(1, 1);
        let seat = seats.take([127, 0, 0, 1].into()).unwrap();
        assert!(seats.take([127, 0, 0, 2].into()).is_none());
        drop(seat);
        assert!(seats.take([127, 0, 0, 2].into()).is_some());
        assert!(seats.taken.lock().unwrap().by.is_empty());
    }

    #[test]
    fn one_address_cannot_take_every_seat() {
        let seats = Seats::new(10, 2);
        let one = || seats.take("2001:db8::1".parse().unwrap());
        let _two = (one().unwrap(), seats.take("2001:db8::ffff:2".parse().unwrap()).unwrap());
        assert!(one().is_none());
        assert!(seats.take("2001:db8:0:1::1".parse().unwrap()).is_some());
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_both_forms() {
        let seats = Seats::new(10, 1);
        let _seat = seats.take("192.0.2.1".parse().unwrap()).unwrap();
        assert!(seats.take("::ffff:192.0.2.1".parse().unwrap()).is_none());
    }
}
