//! The benchmark framework for JavaScript hosts: runs, reports and comparisons as plain objects, whose shapes are those of `benchmark`'s types.
//!
//! Decides nothing. Time comes as the milliseconds of the host's monotonic clock, with fractions.

use benchmark::compare;
use benchmark::report::{HISTORY, Repeat, Run, SCHEMA, VERSION};
use benchmark::runner::{Micros, Next, Runner, Ticket};
use benchmark::scenario::{Fault, Scenario};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsError, JsValue, prelude::wasm_bindgen};

/// What [`Benchmark::next`] gives where there is no request to begin now.
const NOTHING_NOW: f64 = -1.0;
const DONE: f64 = -2.0;

/// One run of a scenario.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Benchmark {
    runner: Runner,
    due: Option<Micros>,
}

#[wasm_bindgen]
impl Benchmark {
    /// A run of `scenario`, whose entities' ids begin with `namespace`; `repeat` is which repetition it is.
    ///
    /// # Errors
    /// Why the scenario cannot be run.
    #[wasm_bindgen(constructor)]
    pub fn new(scenario: JsValue, namespace: &str, repeat: u32) -> Result<Benchmark, JsError> {
        let scenario: Scenario = read(scenario)?;
        Ok(Benchmark { runner: Runner::new(scenario, namespace, u64::from(repeat))?, due: None })
    }

    /// The number of a request to begin, −1 where there is none now, −2 where all have ended.
    pub fn next(&mut self, now: f64) -> f64 {
        self.due = None;
        match self.runner.next(micros(now)) {
            Next::Begin(ticket) => f64::from(ticket.0),
            Next::Wait(due) => {
                self.due = due;
                NOTHING_NOW
            }
            Next::Done => DONE,
        }
    }

    /// When the next request is due, where time alone is waited for.
    pub fn due(&self) -> Option<f64> {
        self.due.map(|due| due.0 as f64 / 1_000.0)
    }

    /// The body of the request to begin.
    pub fn body(&self) -> Vec<u8> {
        self.runner.body().to_vec()
    }

    /// Tells that a request is begun.
    pub fn begun(&mut self, number: u32, now: f64) {
        self.runner.begun(Ticket(number), micros(now));
    }

    /// Tells a request's answer; of a body with status 200 the end will do, of others the beginning.
    pub fn answered(&mut self, number: u32, status: u16, server_timing: &str, body: &[u8], now: f64) {
        self.runner.answered(Ticket(number), status, server_timing, body, micros(now));
    }

    /// Tells that a request has no answer.
    pub fn failed(&mut self, number: u32, kind: &str, now: f64) {
        self.runner.failed(Ticket(number), kind, micros(now));
    }

    /// What is known so far.
    ///
    /// # Errors
    /// None that can happen.
    pub fn live(&self, now: f64) -> Result<JsValue, JsError> {
        write(&self.runner.live(micros(now)))
    }

    /// What was measured, as a repetition of a run.
    ///
    /// # Errors
    /// None that can happen.
    pub fn finish(self) -> Result<JsValue, JsError> {
        write::<Repeat>(&self.runner.finish())
    }
}

/// What the framework knows by itself: the default scenarios, the form of an export, and how many runs are kept.
///
/// # Errors
/// None that can happen.
#[wasm_bindgen(js_name = framework)]
pub fn framework() -> Result<JsValue, JsError> {
    #[derive(Serialize)]
    struct Framework {
        scenarios: [Scenario; 4],
        schema: &'static str,
        version: u32,
        history: usize,
        product_version: &'static str,
        tail_bytes: usize,
    }
    write(&Framework {
        scenarios: Scenario::defaults(),
        schema: SCHEMA,
        version: VERSION,
        history: HISTORY,
        product_version: env!("CARGO_PKG_VERSION"),
        tail_bytes: benchmark::outcome::TAIL,
    })
}

/// A scenario with `share` of its requests, or why it cannot be run.
///
/// # Errors
/// Why it cannot.
#[wasm_bindgen(js_name = scaledScenario)]
pub fn scaled_scenario(scenario: JsValue, share: f64) -> Result<JsValue, JsError> {
    let scenario = read::<Scenario>(scenario)?.scaled(share);
    scenario.check()?;
    write(&scenario)
}

/// A run with all that it shows.
///
/// # Errors
/// Why it is none that can be read.
#[wasm_bindgen]
pub fn summarize(run: JsValue) -> Result<JsValue, JsError> {
    write(&read::<Run>(run)?.summarized()?)
}

/// Two runs beside each other.
///
/// # Errors
/// Why one of them cannot be read.
#[wasm_bindgen]
pub fn compare(left: JsValue, right: JsValue, seed: u32) -> Result<JsValue, JsError> {
    write(&compare::compare(&read(left)?, &read(right)?, u64::from(seed)))
}

fn read<T: DeserializeOwned>(value: JsValue) -> Result<T, Fault> {
    serde_wasm_bindgen::from_value(value).map_err(|error| Fault(error.to_string()))
}

fn write<T: Serialize>(value: &T) -> Result<JsValue, JsError> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    Ok(value.serialize(&serializer).map_err(|error| Fault(error.to_string()))?)
}

fn micros(now: f64) -> Micros {
    Micros((now * 1_000.0) as u64)
}
