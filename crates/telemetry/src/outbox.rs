//! The messages for one sink, retried with exponential backoff until they are acknowledged.

use model::time::Timestamp;

/// The most messages in the queue; past it the oldest is dropped.
const MAX_MESSAGES: usize = 100;

/// The most bytes in the queue; past it the oldest message is dropped.
const MAX_BYTES: usize = 1 << 20;

/// The delay of the first retry, in milliseconds. It doubles with each further one.
const FIRST_RETRY_MILLIS: u64 = 1_000;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    number: u64,
    body: Vec<u8>,
    /// Attempts so far.
    attempts: u32,
    /// When it is sent next; while it is in flight, until when it may be acknowledged.
    due: Timestamp,
}

/// The messages for one sink.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    queue: Vec<Message>,
    next: u64,
    attempts: u32,
    timeout_millis: u64,
    /// How many were delivered.
    pub delivered: u64,
    /// How many were dropped.
    pub dropped: u64,
}

impl Outbox {
    /// An empty one. It sends a message `attempts` times at most, and waits for an acknowledgement for twice the timeout.
    #[must_use]
    pub fn new(attempts: u32, timeout_millis: u64) -> Outbox {
        Outbox { queue: Vec::new(), next: 0, attempts, timeout_millis, delivered: 0, dropped: 0 }
    }

    /// Adds a message.
    pub fn push(&mut self, body: Vec<u8>, now: Timestamp) {
        let mut bytes = body.len();
        bytes += self.queue.iter().map(|message| message.body.len()).sum::<usize>();
        while self.queue.len() >= MAX_MESSAGES || (bytes > MAX_BYTES && !self.queue.is_empty()) {
            bytes -= self.queue.remove(0).body.len();
            self.dropped += 1;
        }
        self.next += 1;
        self.queue.push(Message { number: self.next, body, attempts: 0, due: now });
    }

    /// The next message that is due, with its number.
    pub fn take_due(&mut self, now: Timestamp) -> Option<(u64, Vec<u8>)> {
        let ack_deadline = now.plus(2 * self.timeout_millis);
        let (attempts, before) = (self.attempts, self.queue.len());
        // The last attempt was not acknowledged. It may have been delivered, and is not repeated.
        self.queue.retain(|message| message.due > now || message.attempts < attempts);
        self.dropped += (before - self.queue.len()) as u64;
        let message = self.queue.iter_mut().find(|message| message.due <= now)?;
        message.attempts += 1;
        message.due = ack_deadline;
        Some((message.number, message.body.clone()))
    }

    /// Acknowledges a message, as delivered or as failed.
    pub fn ack(&mut self, number: u64, is_delivered: bool, now: Timestamp) {
        let Some(index) = self.queue.iter().position(|message| message.number == number) else { return };
        if is_delivered {
            self.queue.remove(index);
            self.delivered += 1;
        } else if let Some(message) = self.queue.get_mut(index) {
            message.due = now.plus(FIRST_RETRY_MILLIS << message.attempts.saturating_sub(1).min(10));
            if message.attempts >= self.attempts {
                self.queue.remove(index);
                self.dropped += 1;
            }
        }
    }

    /// When the first message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.iter().map(|message| message.due).min()
    }
}
