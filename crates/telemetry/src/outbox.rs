//! What is to be sent to a place that the configuration names, and is sent again, ever later, until it is taken.

use model::time::Timestamp;

/// The most that waits at one time; past it the oldest is given up.
const MAX_WAITING: usize = 100;

/// The most that waits, in bytes; past it the oldest is given up.
const MAX_BYTES: usize = 1 << 20;

/// How long after the first failure it is sent again, in milliseconds; twice as long after each further one.
const FIRST_RETRY_MILLIS: u64 = 1_000;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    number: u64,
    body: Vec<u8>,
    /// How often it was sent.
    attempts: u32,
    /// When it is sent; while it is under way, when it counts as lost.
    due: Timestamp,
}

/// The messages for one place.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    waiting: Vec<Message>,
    next: u64,
    attempts: u32,
    timeout_millis: u64,
    /// How many were taken, and how many given up.
    pub delivered: u64,
    /// How many were given up.
    pub dropped: u64,
}

impl Outbox {
    /// An empty one, which sends a message as often as `attempts` at the most, and waits so long for it to be taken.
    #[must_use]
    pub fn new(attempts: u32, timeout_millis: u64) -> Outbox {
        Outbox { waiting: Vec::new(), next: 0, attempts, timeout_millis, delivered: 0, dropped: 0 }
    }

    /// Adds a message.
    pub fn push(&mut self, body: Vec<u8>, now: Timestamp) {
        let mut bytes = body.len();
        bytes += self.waiting.iter().map(|message| message.body.len()).sum::<usize>();
        while self.waiting.len() >= MAX_WAITING || (bytes > MAX_BYTES && !self.waiting.is_empty()) {
            bytes -= self.waiting.remove(0).body.len();
            self.dropped += 1;
        }
        self.next += 1;
        self.waiting.push(Message { number: self.next, body, attempts: 0, due: now });
    }

    /// The next message that is due, with its number.
    pub fn take_due(&mut self, now: Timestamp) -> Option<(u64, Vec<u8>)> {
        let lost_at = now.plus(2 * self.timeout_millis);
        let (attempts, before) = (self.attempts, self.waiting.len());
        // Of the last attempt nothing was heard: it may have been taken, and is not made again.
        self.waiting.retain(|message| message.due > now || message.attempts < attempts);
        self.dropped += (before - self.waiting.len()) as u64;
        let message = self.waiting.iter_mut().find(|message| message.due <= now)?;
        message.attempts += 1;
        message.due = lost_at;
        Some((message.number, message.body.clone()))
    }

    /// Tells what became of a message.
    pub fn tell(&mut self, number: u64, is_taken: bool, now: Timestamp) {
        let Some(place) = self.waiting.iter().position(|message| message.number == number) else { return };
        if is_taken {
            self.waiting.remove(place);
            self.delivered += 1;
        } else if let Some(message) = self.waiting.get_mut(place) {
            message.due = now.plus(FIRST_RETRY_MILLIS << message.attempts.saturating_sub(1).min(10));
            if message.attempts >= self.attempts {
                self.waiting.remove(place);
                self.dropped += 1;
            }
        }
    }

    /// When the first message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|message| message.due).min()
    }
}
