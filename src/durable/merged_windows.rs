//! The windows of all isolates, merged.

use aggregator::Aggregator;
use js_sys::Promise;
use model::time::Timestamp;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{State, Storage, worker_sys::DurableObjectState};

use super::{Failure, now, set_alarm};
use crate::core::config_from_js;

/// How long merged windows may be in memory alone, in milliseconds: an object that is moved meanwhile loses them.
const KEEP_AFTER_MILLIS: u64 = 5_000;

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
    /// Where the configuration cannot be used, of which the Worker tells everybody more.
    #[wasm_bindgen(constructor)]
    pub fn new(ctx: DurableObjectState, config: JsValue) -> Result<MergedWindows, Failure> {
        let storage = State::from(ctx).storage();
        let config = config_from_js(config).map_err(|_| "the configuration cannot be used".to_owned())?;
        Ok(MergedWindows { storage, aggregator: Aggregator::new(config), alarm: None })
    }

    /// The windows that there are, empty at first, with what an isolate sends added. They are no longer those that are stored: where those
    /// were, there is an alarm to [take](MergedWindows::take_alarm), at which they are to be.
    ///
    /// # Errors
    /// Where they cannot be read, as in the middle of a deployment: the sender counts them as given up.
    pub fn merge(&mut self, merged: &[u8], news: &[u8], is_stored: bool) -> Result<Vec<u8>, Failure> {
        let now = now();
        let merged = self.aggregator.merge(merged, news, Timestamp(now));
        let merged = merged.ok_or_else(|| "the windows are of another deployment".to_owned())?;
        if is_stored {
            self.alarm = Some(set_alarm(&self.storage, now.saturating_add(KEEP_AFTER_MILLIS))?);
        }
        Ok(merged)
    }

    /// The setting of an alarm, to be awaited.
    pub fn take_alarm(&mut self) -> Option<Promise> {
        self.alarm.take()
    }
}
