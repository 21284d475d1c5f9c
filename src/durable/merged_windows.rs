//! The Durable Object that merges the telemetry windows of all isolates.

use aggregator::Aggregator;
use js_sys::Promise;
use model::time::Timestamp;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{State, Storage, worker_sys::DurableObjectState};

use super::{Failure, now, set_alarm};
use crate::core::config_from_js;

/// After how long merged windows are stored, in milliseconds. An object that is moved before loses them.
const STORE_AFTER_MILLIS: u64 = 5_000;

/// The windows.
#[wasm_bindgen]
#[derive(Debug)]
pub struct MergedWindows {
    storage: Storage,
    aggregator: Aggregator,
    alarm: Option<Promise>,
}

#[wasm_bindgen]
impl MergedWindows {
    /// The windows of a deployment with `config`.
    ///
    /// # Errors
    /// Where the configuration is invalid, which the Worker reports in detail.
    #[wasm_bindgen(constructor)]
    pub fn new(ctx: DurableObjectState, config: JsValue) -> Result<MergedWindows, Failure> {
        let storage = State::from(ctx).storage();
        let config = config_from_js(config).map_err(|_| "invalid configuration".to_owned())?;
        Ok(MergedWindows { storage, aggregator: Aggregator::new(config), alarm: None })
    }

    /// Merges what an isolate sends into the windows, which are empty at first. Where the windows before were stored, there is an alarm to
    /// [take](MergedWindows::take_alarm), at which the new ones must be.
    ///
    /// # Errors
    /// Where they cannot be read, as during a deployment: the sender counts them as dropped.
    pub fn merge(&mut self, merged: &[u8], news: &[u8], is_stored: bool) -> Result<Vec<u8>, Failure> {
        let now = now();
        let merged = self.aggregator.merge(merged, news, Timestamp(now));
        let merged = merged.ok_or_else(|| "the windows are of another deployment".to_owned())?;
        if is_stored {
            self.alarm = Some(set_alarm(&self.storage, now.saturating_add(STORE_AFTER_MILLIS))?);
        }
        Ok(merged)
    }

    /// The promise of setting an alarm, to be awaited.
    pub fn take_alarm(&mut self) -> Option<Promise> {
        self.alarm.take()
    }
}
