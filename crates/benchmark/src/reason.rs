//! Why an objective was missed, in a sentence, from what was measured.

use crate::repeat::{Failures, Repeat, share};
use crate::scenario::Scenario;

/// The reason of a missed objective.
pub(crate) fn reason(name: &str, all: &Repeat, scenario: Option<&Scenario>) -> String {
    if all.latencies.count() == 0 {
        return format!("No request succeeded: {}.", kinds(&all.failures));
    }
    match name {
        "availability" | "error_rate" => {
            let requests = all.failed() + all.latencies.count();
            format!("{} of {requests} requests failed: {}.", all.failed(), kinds(&all.failures))
        }
        _ => of_latency(all, scenario),
    }
}

/// The part that took most of the mean latency.
fn of_latency(all: &Repeat, scenario: Option<&Scenario>) -> String {
    let count = all.latencies.count() as f64;
    let mean = |sum: f64| sum / count;
    let [network, cache, computation, serialization] =
        [all.parts.network_ms, all.parts.cache_ms, all.parts.computation_ms, all.parts.serialization_ms].map(mean);
    let at_once = scenario.map_or(String::new(), |scenario| match scenario.rate_per_second {
        None if scenario.stages.is_empty() => format!(": {} were in flight at once", scenario.concurrency),
        _ => String::new(),
    });
    let most = network.max(cache).max(computation).max(serialization);
    if most == computation {
        let [.., origin] = all.answers;
        let [.., origin_us] = all.answer_us;
        let origin_share = share(origin, all.latencies.count());
        // The whole of a miss bounds what its part of the origin may be.
        let miss = if origin == 0 { most } else { origin_us as f64 / 1_000.0 / origin as f64 };
        let took = miss.min(most / origin_share.max(f64::MIN_POSITIVE));
        let took = millis(took);
        return if origin_share >= 1.0 {
            format!("Every response came from the origin, which took {took} on average, waiting included.")
        } else {
            format!(
                "{} % of the responses needed the origin, which took {took} on average, waiting included.",
                percent(origin_share)
            )
        };
    }
    let took = millis(most);
    if most == cache {
        format!("Stores took {took} on average.")
    } else if most == serialization {
        format!("Requests waited {took} in the engine on average{at_once}.")
    } else {
        format!("Requests waited {took} in the client and the network on average{at_once}.")
    }
}

fn kinds(failures: &[Failures]) -> String {
    let kinds: Vec<String> = failures.iter().map(|failed| format!("{} × {}", failed.count, failed.kind)).collect();
    kinds.join(", ")
}

/// Three digits of a time.
fn millis(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} ms")
}

fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value < 1.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use crate::repeat::tests::repeat;
    use crate::repeat::{LatencyParts, Repeat};
    use crate::scenario::Scenario;

    /// The reasons of a slow median, and of failures.
    fn latency_reason(all: &Repeat) -> String {
        let [scenario, ..] = Scenario::defaults();
        super::reason("p50_ms", all, Some(&scenario))
    }

    fn with(parts: LatencyParts, answers: [u64; 4]) -> Repeat {
        Repeat { parts, answers, answer_us: [0, 0, 0, answers[3] * 40_000], ..repeat(&[40_000; 100]) }
    }

    #[test]
    fn the_largest_part_of_latency_is_the_reason() {
        let none = LatencyParts::default();
        let computation = LatencyParts { computation_ms: 4_000.0, ..none };
        let p50 = latency_reason(&with(computation, [0, 0, 0, 100]));
        assert_eq!(p50, "Every response came from the origin, which took 40.0 ms on average, waiting included.");
        let p50 = latency_reason(&with(LatencyParts { computation_ms: 3_000.0, ..none }, [25, 0, 0, 75]));
        assert_eq!(p50, "75 % of the responses needed the origin, which took 40.0 ms on average, waiting included.");
        let p50 = latency_reason(&with(LatencyParts { serialization_ms: 1_800.0, ..none }, [100, 0, 0, 0]));
        assert_eq!(p50, "Requests waited 18.0 ms in the engine on average: 50 were in flight at once.");
        let p50 = latency_reason(&with(LatencyParts { cache_ms: 500.0, ..none }, [0, 100, 0, 0]));
        assert_eq!(p50, "Stores took 5.00 ms on average.");
        let p50 = latency_reason(&with(LatencyParts { network_ms: 900.0, ..none }, [100, 0, 0, 0]));
        assert!(p50.starts_with("Requests waited 9.00 ms in the client and the network on average"), "{p50}");
    }

    #[test]
    fn failures_are_named_by_kind() {
        let mut failing = repeat(&[1_000; 8]);
        failing.fail("timeout", None, 2);
        assert_eq!(super::reason("availability", &failing, None), "2 of 10 requests failed: 2 × timeout.");
        let mut failed = Repeat::default();
        failed.fail("unreachable", None, 5);
        assert_eq!(latency_reason(&failed), "No request succeeded: 5 × unreachable.");
    }
}
