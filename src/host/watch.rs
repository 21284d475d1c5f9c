//! Who watches, for JavaScript: batches of records in, reports and messages out.
//!
//! A module of its own beside the one that serves. Decides nothing: what is sent where is the watcher's to say, and done by
//! `watching.mjs`.

use wasm_bindgen::{JsError, JsValue, prelude::wasm_bindgen};

use crate::host::table;
use aggregator::{Message, PLACES, Report, Scope};
use model::time::Instant;
use protocol::problem;

/// The watcher of one core.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Watch {
    watch: aggregator::Watch,
    message: Option<Message>,
}

/// What is answered to who asks for a report.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Answer {
    status: u16,
    media_type: &'static str,
    body: Vec<u8>,
}

#[wasm_bindgen]
impl Answer {
    /// The HTTP status.
    #[wasm_bindgen(getter)]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The media type.
    #[wasm_bindgen(getter)]
    pub fn media_type(&self) -> String {
        self.media_type.to_owned()
    }

    /// The body.
    #[wasm_bindgen(getter)]
    pub fn body(&self) -> Vec<u8> {
        self.body.clone()
    }
}

#[wasm_bindgen]
impl Watch {
    /// The watcher of a core with `config`, the table that `docs/configuration.md` describes; it looks at no more of it than it needs.
    ///
    /// # Errors
    /// Which key of that cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(config: JsValue) -> Result<Watch, JsError> {
        let config = table::watching(&config)?;
        Ok(Watch { watch: aggregator::Watch::new(config), message: None })
    }

    /// Takes what the core's `take_records` gave; gives what its `set_sla_status` takes.
    pub fn take(&mut self, batch: &[u8], now: f64) -> u8 {
        self.watch.take(batch, instant(now));
        self.watch.sla_status() as u8
    }

    /// Goes on to the next message that is due; whether there is one.
    pub fn next_message(&mut self, now: f64) -> bool {
        self.message = self.watch.next_message(instant(now));
        self.message.is_some()
    }

    /// What kind of place the message goes to, as a number that [`Watch::told`] takes.
    pub fn message_place(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.place as usize)
    }

    /// That place's name: `webhook`, `traces`, `windows` or `analytics`.
    pub fn message_kind(&self) -> String {
        self.message.as_ref().map_or("", |message| message.place.name()).to_owned()
    }

    /// Its number.
    pub fn message_number(&self) -> f64 {
        self.message.as_ref().map_or(0.0, |message| message.number as f64)
    }

    /// The URL that it goes to, or the name under which the host has the place.
    pub fn message_to(&self) -> String {
        self.message.as_ref().map_or("", |message| &message.to).to_owned()
    }

    /// How long it may take to send one, in milliseconds.
    pub fn message_timeout(&self) -> f64 {
        self.watch.config().alerts.webhook_timeout_ms as f64
    }

    /// What to send.
    pub fn take_body(&mut self) -> Vec<u8> {
        self.message.as_mut().map(|message| core::mem::take(&mut message.body)).unwrap_or_default()
    }

    /// Tells what became of a message.
    pub fn told(&mut self, place: usize, number: f64, is_taken: bool, now: f64) {
        if let Some(&place) = PLACES.get(place) {
            self.watch.told(place, number as u64, is_taken, instant(now));
        }
    }

    /// When there is something to do though no request may come, in milliseconds; 0 where there is not.
    pub fn next_at(&self, now: f64) -> f64 {
        self.watch.next_at(instant(now)).map_or(0.0, |at| at.0 as f64)
    }

    /// Whether the report is of all isolates, so that the windows that they sent are needed to write it; their place is
    /// [`Watch::windows_at`].
    pub fn needs_windows(&self, path: &str, query: &str) -> bool {
        Report::at(path).is_some_and(|report| report != Report::Alerts) && Scope::of(query) == Some(Scope::Deployment)
    }

    /// The name under which the host has the windows of all isolates; empty where they are not merged.
    pub fn windows_at(&self) -> String {
        let telemetry = &self.watch.config().telemetry;
        if telemetry.aggregate { telemetry.binding.clone() } else { String::new() }
    }

    /// What is answered to `GET` of a report's path; `merged` are the windows of all isolates, where these are needed and can be had.
    pub fn report(&self, path: &str, query: &str, merged: Option<Vec<u8>>, now: f64) -> Answer {
        let problem = |status, kind, title, detail| {
            let body = problem::body(status, kind, title, detail);
            Answer { status, media_type: problem::CONTENT_TYPE, body }
        };
        let (Some(report), Some(_)) = (Report::at(path), Scope::of(query)) else {
            return problem(400, "bad-scope", "There is no such scope", "`scope` is `isolate` or `deployment`");
        };
        if self.needs_windows(path, query) && merged.is_none() {
            let detail = "`telemetry.aggregate` is off, or the object under `telemetry.binding` cannot be reached";
            return problem(503, "not-aggregated", "The deployment's figures are not at hand", detail);
        }
        let body = self.watch.report(report, merged.as_deref(), instant(now));
        Answer { status: 200, media_type: report.media_type(), body }
    }

    /// What is kept of all isolates' windows, with what one of them sent added; nothing where that cannot be read.
    pub fn merge(&self, kept: &[u8], news: &[u8], now: f64) -> Option<Vec<u8>> {
        self.watch.merge(kept, news, instant(now))
    }
}

fn instant(now: f64) -> Instant {
    Instant(now as u64)
}
