//! The telemetry of one core: ingests its records into windows, evaluates alerts, writes reports, and has messages for the configured
//! [sinks](Sink).
//!
//! It is apart from the serving core, which sends it batches in the background. It knows no request, only records, and does no I/O: the
//! host sends its messages. Invariant: its memory is bounded, whatever the batches are.
//!
//! ```
//! use featheredge_aggregator::{Aggregator, Report};
//! use model::time::Timestamp;
//! use telemetry::record::{RecordBuffer, Request};
//! use telemetry::snapshot::GaugeSnapshot;
//!
//! let now = Timestamp(1_000_000);
//! let mut records = RecordBuffer::default();
//! records.request(&Request { status: 200, millis: 12, ..Request::default() }, &[], now);
//!
//! let mut aggregator = Aggregator::new(config::Config::default());
//! aggregator.ingest(&records.take(GaugeSnapshot::default(), now), now);
//! let metrics = String::from_utf8(aggregator.report(Report::Metrics, None, now)).unwrap();
//! assert!(metrics.contains("featheredge_requests_total 1\n"));
//! ```

mod alerts;
mod analytics;
mod ingest;
pub mod report;
mod sla_report;
mod stats;

use config::Config;
use model::time::Timestamp;
use telemetry::histogram::{SeriesKind, Windows};
use telemetry::monitor::Monitor;
use telemetry::outbox::Outbox;
use telemetry::record::{Batch, ROUTES, TIERS};
use telemetry::sla::{Status, Targets};
use telemetry::snapshot::GaugeSnapshot;
use telemetry::trace::TraceExport;

pub use report::{Report, ReportScope};

const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];

/// How often open alerts are evaluated without a request, and how long spans wait to be exported together, in milliseconds.
const EVALUATION_INTERVAL_MILLIS: u64 = 1_000;

/// Attempts to send spans, and to send windows and data points. The latter have one: a repeated message would count twice.
const TRACES_ATTEMPTS: u32 = 3;
const ONCE: u32 = 1;

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sink {
    /// Alerts, posted as JSON.
    Webhook,
    /// Spans, posted as JSON.
    Traces,
    /// Windows, for the object that merges those of all isolates.
    Windows,
    /// Data points for Analytics Engine: a JSON array.
    Analytics,
}

/// All sinks.
pub const SINKS: [Sink; 4] = [Sink::Webhook, Sink::Traces, Sink::Windows, Sink::Analytics];

impl Sink {
    /// Its name, by which a host finds its secrets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Sink::Webhook => "webhook",
            Sink::Traces => "traces",
            Sink::Windows => "windows",
            Sink::Analytics => "analytics",
        }
    }
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sink.
    pub sink: Sink,
    /// Identifies it for [`Aggregator::ack`].
    pub number: u64,
    /// The sink's URL, or the name of its binding.
    pub to: String,
    /// The bytes to send.
    pub body: Vec<u8>,
}

/// The telemetry of one core.
#[derive(Debug)]
pub struct Aggregator {
    config: Config,
    windows: Windows,
    monitor: Monitor,
    targets: Targets,
    /// The SLO of the window when alerts were last evaluated.
    status: Status,
    /// The gauges of the last batch.
    gauges: GaugeSnapshot,
    routes: [usize; ROUTES.len()],
    priorities: [usize; PRIORITIES.len()],
    tiers: [usize; TIERS.len()],
    /// The latency of the slowest request since alerts were last evaluated, if there was one.
    slowest_millis: Option<u64>,
    /// Rows not written for lack of budget, when alerts were last evaluated.
    over_budget: u64,
    /// Records that the core's buffer had no room for.
    records_dropped: u64,
    outboxes: [Outbox; SINKS.len()],
    spans: Option<TraceExport>,
    /// When these are exported.
    spans_at: Timestamp,
    /// When data points were last sent.
    points_sent_at: Timestamp,
}

impl Aggregator {
    /// One for a core of this configuration.
    #[must_use]
    pub fn new(config: Config) -> Aggregator {
        let Config { sla, alerts, .. } = &config;
        let mut windows = Windows::new(sla.window_seconds * 1_000, sla.burn_rate_hour_seconds * 1_000);
        let attempts = [alerts.webhook_attempts, TRACES_ATTEMPTS, ONCE, ONCE];
        Aggregator {
            routes: ROUTES.map(|path| windows.series_of(SeriesKind::Route, path)),
            priorities: PRIORITIES.map(|priority| windows.series_of(SeriesKind::Priority, priority)),
            tiers: TIERS.map(|tier| windows.series_of(SeriesKind::Tier, tier)),
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
            slowest_millis: None,
            over_budget: 0,
            records_dropped: 0,
            outboxes: attempts.map(|attempts| Outbox::new(attempts, alerts.webhook_timeout_ms)),
            spans: None,
            spans_at: Timestamp::default(),
            points_sent_at: Timestamp::default(),
            config,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Ingests a batch, and evaluates alerts. Afterwards there may be [messages](Aggregator::next_message).
    pub fn ingest(&mut self, batch: &Batch, now: Timestamp) {
        self.ingest_records(batch);
        self.evaluate_alerts(now);
        if now >= self.spans_at
            && let Some(spans) = self.spans.take()
        {
            self.enqueue(Sink::Traces, spans.into_vec(), now);
        }
        if self.config.telemetry.aggregate
            && let Some(slots) = self.windows.take_closed_slots()
        {
            self.enqueue(Sink::Windows, slots, now);
        }
        let is_analysing = self.config.telemetry.analytics_binding.is_some();
        if is_analysing && now.millis_since(self.points_sent_at) >= self.windows.slot_millis() {
            self.points_sent_at = now;
            let data_points = analytics::data_points(&self.windows);
            self.enqueue(Sink::Analytics, data_points, now);
        }
    }

    /// The SLO in the window of the last batch, for the core's responses.
    #[must_use]
    pub fn sla_status(&self) -> Status {
        self.status
    }

    fn enqueue(&mut self, sink: Sink, body: Vec<u8>, now: Timestamp) {
        if let Some(outbox) = self.outboxes.get_mut(sink as usize) {
            outbox.push(body, now);
        }
    }

    /// The next message that is due.
    pub fn next_message(&mut self, now: Timestamp) -> Option<Message> {
        let Config { alerts, telemetry, .. } = &self.config;
        let binding = Some(&telemetry.binding);
        let targets = [&alerts.webhook_url, &telemetry.traces_url].map(Option::as_ref).into_iter();
        let targets = targets.chain([binding, telemetry.analytics_binding.as_ref()]);
        for ((sink, outbox), to) in SINKS.into_iter().zip(&mut self.outboxes).zip(targets) {
            if let (Some(to), Some((number, body))) = (to, outbox.take_due(now)) {
                return Some(Message { sink, number, to: to.clone(), body });
            }
        }
        None
    }

    /// Reports whether a message was delivered.
    pub fn ack(&mut self, sink: Sink, number: u64, is_delivered: bool, now: Timestamp) {
        if let Some(outbox) = self.outboxes.get_mut(sink as usize) {
            outbox.ack(number, is_delivered, now);
        }
    }

    /// When there is work without a request: an alert may resolve, a message is due, or a window is to be merged.
    #[must_use]
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let Config { alerts, telemetry, .. } = &self.config;
        let is_alerting = alerts.webhook_url.is_some() && self.monitor.open().next().is_some();
        let mut next = is_alerting.then_some(now.plus(EVALUATION_INTERVAL_MILLIS.min(self.windows.slot_millis())));
        let open_until = self.windows.open_until().filter(|_| telemetry.aggregate);
        let spans_at = self.spans.as_ref().map(|_| self.spans_at);
        for due in self.outboxes.iter().map(Outbox::next_due).chain([open_until, spans_at]).flatten() {
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        next
    }

    /// The merged windows of all isolates, at first empty, with the slots that one isolate sent. `None` if those have another version or
    /// other windows, as during a deployment.
    #[must_use]
    pub fn merge(&self, merged: &[u8], slots: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let mut windows = self.merge_windows(&[merged], now);
        windows.merge_encoded(slots, now).then(|| windows.encode())
    }

    /// Decodes and merges windows.
    fn merge_windows(&self, all: &[&[u8]], now: Timestamp) -> Windows {
        let sla = &self.config.sla;
        let mut windows = Windows::merged(sla.window_seconds * 1_000, sla.burn_rate_hour_seconds * 1_000);
        for bytes in all {
            // Bytes of another version or of other windows are left out.
            windows.merge_encoded(bytes, now);
        }
        windows
    }
}
