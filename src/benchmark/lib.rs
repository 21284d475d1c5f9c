//! The benchmark framework for JavaScript hosts: runs, reports and comparisons as plain objects, whose shapes are those of `benchmark`'s types.
//!
//! It decides nothing. Times are milliseconds of the host's monotonic clock, with fractions.

use benchmark::compare;
use benchmark::report::{MAX_RUNS, Repeat, Run, SCHEMA, VERSION};
use benchmark::runner::{Micros, Next, RequestSlot, Runner};
use benchmark::scenario::{BenchmarkError, Scenario};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsError, JsValue, prelude::wasm_bindgen};

/// The result of [`Benchmark::next`] if no request is due, and after the last one.
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
    /// A run of `scenario`. Entities' ids begin with `namespace`; `repeat` is the number of the repetition.
    ///
    /// # Errors
    /// Why the scenario is invalid.
    #[wasm_bindgen(constructor)]
    pub fn new(scenario: JsValue, namespace: &str, repeat: u32) -> Result<Benchmark, JsError> {
        let scenario: Scenario = read(scenario)?;
        Ok(Benchmark { runner: Runner::new(scenario, namespace, u64::from(repeat))?, due: None })
    }

    /// The number of a request to begin; −1 if none is due, −2 after the last one.
    pub fn next(&mut self, now: f64) -> f64 {
        self.due = None;
        match self.runner.next(micros(now)) {
            Next::Begin(slot) => f64::from(slot.0),
            Next::Wait(due) => {
                self.due = due;
                NOTHING_NOW
            }
            Next::Done => DONE,
        }
    }

    /// When the next request is due, unless it waits for another to end.
    pub fn due(&self) -> Option<f64> {
        self.due.map(|due| due.0 as f64 / 1_000.0)
    }

    /// The body of the request to begin.
    pub fn body(&self) -> Vec<u8> {
        self.runner.body().to_vec()
    }

    /// Reports that a request has begun.
    pub fn begun(&mut self, number: u32, now: f64) {
        self.runner.begun(RequestSlot(number), micros(now));
    }

    /// Reports the response of a request. The end of a body with status 200 suffices, and the beginning of others.
    pub fn answered(&mut self, number: u32, status: u16, server_timing: &str, body: &[u8], now: f64) {
        self.runner.answered(RequestSlot(number), status, server_timing, body, micros(now));
    }

    /// Reports the failure of a request.
    pub fn failed(&mut self, number: u32, kind: &str, now: f64) {
        self.runner.failed(RequestSlot(number), kind, micros(now));
    }

    /// The results so far.
    ///
    /// # Errors
    /// None that can happen.
    pub fn live(&self, now: f64) -> Result<JsValue, JsError> {
        write(&self.runner.live(micros(now)))
    }

    /// The results, as a repetition of a run.
    ///
    /// # Errors
    /// None that can happen.
    pub fn finish(self) -> Result<JsValue, JsError> {
        write::<Repeat>(&self.runner.finish())
    }
}

/// The constants of the framework: the default scenarios, the schema of an export, and how many runs are kept.
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
        history: MAX_RUNS,
        product_version: env!("CARGO_PKG_VERSION"),
        tail_bytes: benchmark::response::TAIL,
    })
}

/// A scenario with `share` of its requests.
///
/// # Errors
/// Why it is invalid.
#[wasm_bindgen(js_name = scaledScenario)]
pub fn scaled_scenario(scenario: JsValue, share: f64) -> Result<JsValue, JsError> {
    let scenario = read::<Scenario>(scenario)?.scaled(share);
    scenario.check()?;
    write(&scenario)
}

/// Computes the summaries of a run.
///
/// # Errors
/// Why it is not a valid export.
#[wasm_bindgen]
pub fn summarize(run: JsValue) -> Result<JsValue, JsError> {
    write(&read::<Run>(run)?.summarized()?)
}

/// Compares two runs.
///
/// # Errors
/// Why one of them is not a valid export.
#[wasm_bindgen]
pub fn compare(left: JsValue, right: JsValue, seed: u32) -> Result<JsValue, JsError> {
    write(&compare::compare(&read(left)?, &read(right)?, u64::from(seed)))
}

fn read<T: DeserializeOwned>(value: JsValue) -> Result<T, BenchmarkError> {
    serde_wasm_bindgen::from_value(value).map_err(|error| BenchmarkError(error.to_string()))
}

fn write<T: Serialize>(value: &T) -> Result<JsValue, JsError> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    Ok(value.serialize(&serializer).map_err(|error| BenchmarkError(error.to_string()))?)
}

fn micros(now: f64) -> Micros {
    Micros((now * 1_000.0) as u64)
}
