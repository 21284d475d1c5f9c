//! Who watches: takes what the serving core tells of requests, keeps it in windows, judges it, answers those who ask, and has
//! things to send to where the configuration says.
//!
//! It stands apart from the core, which has none of it before the first answer, and is told behind answers. It knows no request, only
//! records. Its invariant: whatever it is told, its memory is bounded.

mod analytics;
mod fold;
mod look;
pub mod report;
mod sla_report;
mod stats;

use config::Config;
use model::time::Timestamp;
use telemetry::histogram::{Kind, Windows};
use telemetry::monitor::Monitor;
use telemetry::outbox::Outbox;
use telemetry::record::{Batch, PATHS, TIERS};
use telemetry::sla::{Status, Targets};
use telemetry::snapshot::GaugeSnapshot;
use telemetry::trace::Export;

pub use report::{Report, Scope};

const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];

/// How long spans wait for others before they are exported, in milliseconds; and how often what is open is looked at.
const LOOK_MILLIS: u64 = 1_000;

/// How often spans are posted, and windows and points sent: those once, since what was taken though nobody heard so would count twice.
const TRACES_ATTEMPTS: u32 = 3;
const ONCE: u32 = 1;

/// A place for what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Alerts, posted as JSON.
    Webhook,
    /// Spans, posted as JSON.
    Traces,
    /// Windows, to where those of all isolates are merged.
    Windows,
    /// Points for Analytics Engine: a JSON array.
    Analytics,
}

/// All places.
pub const PLACES: [Place; 4] = [Place::Webhook, Place::Traces, Place::Windows, Place::Analytics];

impl Place {
    /// Its name, which a host tells its secrets by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Place::Webhook => "webhook",
            Place::Traces => "traces",
            Place::Windows => "windows",
            Place::Analytics => "analytics",
        }
    }
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What kind of place it goes to.
    pub place: Place,
    /// What to [tell](Aggregator::told) of it by.
    pub number: u64,
    /// The place's URL, or the name under which the host has it.
    pub to: String,
    /// What to send.
    pub body: Vec<u8>,
}

/// The watcher of one core.
#[derive(Debug)]
pub struct Aggregator {
    config: Config,
    windows: Windows,
    monitor: Monitor,
    targets: Targets,
    /// How the window stood at the last look.
    status: Status,
    /// How the core stood when it was last heard of.
    gauges: GaugeSnapshot,
    routes: [usize; PATHS.len()],
    priorities: [usize; PRIORITIES.len()],
    tiers: [usize; TIERS.len()],
    /// The slowest request since the last look.
    slowest: u64,
    /// Rows that L2's budget had no room for, up to the last look.
    over_budget: u64,
    /// Records that the core had no room for.
    lost: u64,
    outboxes: [Outbox; PLACES.len()],
    spans: Option<Export>,
    /// When these are exported.
    spans_at: Timestamp,
    /// When Analytics Engine was last told.
    analysed_at: Timestamp,
}

impl Aggregator {
    /// One for a core of this configuration.
    #[must_use]
    pub fn new(config: Config) -> Aggregator {
        let Config { sla, alerts, .. } = &config;
        let mut windows = Windows::new(sla.window_seconds * 1_000, sla.burn_rate_hour_seconds * 1_000);
        let attempts = [alerts.webhook_attempts, TRACES_ATTEMPTS, ONCE, ONCE];
        Aggregator {
            routes: PATHS.map(|path| windows.series_of(Kind::Route, path)),
            priorities: PRIORITIES.map(|priority| windows.series_of(Kind::Priority, priority)),
            tiers: TIERS.map(|tier| windows.series_of(Kind::Tier, tier)),
            windows,
            monitor: Monitor::default(),
            targets: Targets {
                p50_millis: sla.p50_ms,
                p95_millis: sla.p95_ms,
                p99_millis: sla.p99_ms,
                availability: sla.availability_per_million,
                error_rate: sla.errors_per_million,
                burn_rate_min_requests: sla.burn_rate_min_requests,
            },
            status: Status::default(),
            gauges: GaugeSnapshot::default(),
            slowest: 0,
            over_budget: 0,
            lost: 0,
            outboxes: attempts.map(|attempts| Outbox::new(attempts, alerts.webhook_timeout_ms)),
            spans: None,
            spans_at: Timestamp::default(),
            analysed_at: Timestamp::default(),
            config,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes a batch of what the core tells, and looks at what there is now. Afterwards there may be [messages](Aggregator::next_message).
    pub fn take(&mut self, batch: &Batch, now: Timestamp) {
        self.fold(batch);
        self.look(now);
        if now >= self.spans_at
            && let Some(spans) = self.spans.take()
        {
            self.put(Place::Traces, spans.into_vec(), now);
        }
        if self.config.telemetry.aggregate
            && let Some(news) = self.windows.take_news()
        {
            self.put(Place::Windows, news, now);
        }
        let is_analysing = self.config.telemetry.analytics_binding.is_some();
        if is_analysing && now.millis_since(self.analysed_at) >= self.windows.slot_millis() {
            self.analysed_at = now;
            let points = analytics::points(&self.windows);
            self.put(Place::Analytics, points, now);
        }
    }

    /// Whether the isolate kept its service level in the window that the last batch ended: the core says so in its answers.
    #[must_use]
    pub fn sla_status(&self) -> Status {
        self.status
    }

    fn put(&mut self, place: Place, body: Vec<u8>, now: Timestamp) {
        if let Some(outbox) = self.outboxes.get_mut(place as usize) {
            outbox.push(body, now);
        }
    }

    /// The next message that is due.
    pub fn next_message(&mut self, now: Timestamp) -> Option<Message> {
        let Config { alerts, telemetry, .. } = &self.config;
        let binding = Some(&telemetry.binding);
        let places = [&alerts.webhook_url, &telemetry.traces_url].map(Option::as_ref).into_iter();
        let places = places.chain([binding, telemetry.analytics_binding.as_ref()]);
        for ((place, outbox), to) in PLACES.into_iter().zip(&mut self.outboxes).zip(places) {
            if let (Some(to), Some((number, body))) = (to, outbox.take_due(now)) {
                return Some(Message { place, number, to: to.clone(), body });
            }
        }
        None
    }

    /// Tells what became of a message.
    pub fn told(&mut self, place: Place, number: u64, is_taken: bool, now: Timestamp) {
        if let Some(outbox) = self.outboxes.get_mut(place as usize) {
            outbox.tell(number, is_taken, now);
        }
    }

    /// When there is something to do though no request may come: an alert may be over, a message is due, or a window is to be merged.
    #[must_use]
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let Config { alerts, telemetry, .. } = &self.config;
        let is_alerting = alerts.webhook_url.is_some() && self.monitor.open().next().is_some();
        let mut next = is_alerting.then_some(now.plus(LOOK_MILLIS.min(self.windows.slot_millis())));
        let open_until = self.windows.open_until().filter(|_| telemetry.aggregate);
        let spans_at = self.spans.as_ref().map(|_| self.spans_at);
        for due in self.outboxes.iter().map(Outbox::next_due).chain([open_until, spans_at]).flatten() {
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        next
    }

    /// What is kept where the windows of all isolates are merged, empty at first, with what one of them sent added; `None` where that is
    /// of another version or of other windows, as in the middle of a deployment.
    #[must_use]
    pub fn merge(&self, kept: &[u8], news: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let mut windows = self.windows_of(&[kept], now);
        windows.read(news, now).then(|| windows.write())
    }

    /// The windows that all of these bytes tell of together.
    fn windows_of(&self, all: &[&[u8]], now: Timestamp) -> Windows {
        let sla = &self.config.sla;
        let mut windows = Windows::merged(sla.window_seconds * 1_000, sla.burn_rate_hour_seconds * 1_000);
        for bytes in all {
            // What cannot be read is of another version or another window, and says nothing of this one.
            windows.read(bytes, now);
        }
        windows
    }
}
