//! The benchmark framework for JavaScript hosts: runs, reports and comparisons as plain objects, whose shapes are those of `benchmark`'s types.
//!
//! It decides nothing. Times are milliseconds of the host's monotonic clock, with fractions.

use benchmark::compare;
use benchmark::import;
use benchmark::repeat::{L1Usage, Repeat};
use benchmark::report::{MAX_ALL_REPEATS, MAX_RUNS, Run, SCHEMA, VERSION};
use benchmark::runner::{Micros, Next, RequestSlot, Runner};
use benchmark::scenario::{BenchmarkError, Scenario};
use benchmark::summary::Targets;
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

    /// Reports a response of a target that knows no tiers: the origin computed its rows, in so many calls.
    pub fn computed(&mut self, number: u32, rows: f64, calls: f64, now: f64) {
        self.runner.computed(RequestSlot(number), rows as u64, calls as u64, micros(now));
    }

    /// Reports the failure of a request, its kind, and the text of its error.
    pub fn failed(&mut self, number: u32, kind: &str, cause: Option<String>, now: f64) {
        self.runner.failed(RequestSlot(number), kind, cause.as_deref(), micros(now));
    }

    /// Reports L1 of the target after the last request.
    ///
    /// # Errors
    /// What it lacks.
    #[wasm_bindgen(js_name = setL1)]
    pub fn set_l1(&mut self, usage: JsValue) -> Result<(), JsError> {
        self.runner.set_l1(read::<L1Usage>(usage)?);
        Ok(())
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

/// The constants of the framework: the built-in scenarios, the default objectives, the schema of an export, and how many runs are kept.
///
/// # Errors
/// None that can happen.
#[wasm_bindgen(js_name = framework)]
pub fn framework() -> Result<JsValue, JsError> {
    #[derive(Serialize)]
    struct Framework {
        scenarios: [Scenario; 5],
        targets: Targets,
        schema: &'static str,
        version: u32,
        history_limit: usize,
        max_repeats: usize,
        product_version: &'static str,
    }
    write(&Framework {
        scenarios: Scenario::built_in(),
        targets: Targets::default(),
        schema: SCHEMA,
        version: VERSION,
        history_limit: MAX_RUNS,
        max_repeats: MAX_ALL_REPEATS,
        product_version: env!("CARGO_PKG_VERSION"),
    })
}

/// A complete scenario.
///
/// # Errors
/// Why it is invalid.
#[wasm_bindgen(js_name = checkScenario)]
pub fn check_scenario(scenario: JsValue) -> Result<JsValue, JsError> {
    let scenario = read::<Scenario>(scenario)?;
    scenario.check()?;
    write(&scenario)
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

/// Compares a run with a baseline.
///
/// # Errors
/// Why one of them is not a valid export.
#[wasm_bindgen]
pub fn compare(baseline: JsValue, run: JsValue, seed: u32) -> Result<JsValue, JsError> {
    let [baseline, run] = [read::<Run>(baseline)?.summarized()?, read::<Run>(run)?.summarized()?];
    write(&compare::compare(&baseline, &run, u64::from(seed)))
}

/// The search for the highest rate that keeps the objectives.
#[wasm_bindgen]
#[derive(Debug)]
pub struct RateSearch {
    search: benchmark::rate_search::RateSearch,
}

#[wasm_bindgen]
impl RateSearch {
    /// A search between two rates, in requests a second.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(min: f64, max: f64) -> RateSearch {
        RateSearch { search: benchmark::rate_search::RateSearch::new(min, max) }
    }

    /// The rate to measure next; none at the end.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        self.search.next()
    }

    /// Reports whether the rate kept the objectives.
    pub fn report(&mut self, is_met: bool) {
        self.search.report(is_met);
    }

    /// The highest rate that kept them.
    #[must_use]
    pub fn result(&self) -> Option<f64> {
        self.search.result()
    }

    /// Whether no rate missed them.
    #[wasm_bindgen(js_name = isLimitedByMax)]
    #[must_use]
    pub fn is_limited_by_max(&self) -> bool {
        self.search.is_limited_by_max()
    }
}

fn read<T: DeserializeOwned>(value: JsValue) -> Result<T, BenchmarkError> {
    import::read(serde_wasm_bindgen::Deserializer::from(value))
}

fn write<T: Serialize>(value: &T) -> Result<JsValue, JsError> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    Ok(value.serialize(&serializer).map_err(|error| BenchmarkError(error.to_string()))?)
}

fn micros(now: f64) -> Micros {
    Micros((now * 1_000.0) as u64)
}
