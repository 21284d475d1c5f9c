//! Why an objective was missed, in a sentence, from what was measured.

use crate::report::{Failures, Repeat};
use crate::scenario::Scenario;
use crate::summary::{LatencyModel, share};

/// The reason of a missed objective.
pub(crate) fn reason(name: &str, all: &Repeat, model: &LatencyModel, scenario: Option<&Scenario>) -> String {
    if all.latencies.count() == 0 {
        return format!("No request succeeded: {}.", kinds(&all.failures));
    }
    match name {
        "availability" | "error_rate" => {
            let requests = all.failed() + all.latencies.count();
            format!("{} of {requests} requests failed: {}.", all.failed(), kinds(&all.failures))
        }
        _ => of_latency(all, model, scenario),
    }
}

/// The part that took most of the mean latency.
fn of_latency(all: &Repeat, model: &LatencyModel, scenario: Option<&Scenario>) -> String {
    let parts = model.parts;
    let at_once = scenario.map_or(String::new(), |scenario| match scenario.rate_per_second {
        None if scenario.stages.is_empty() => format!(": {} were in flight at once", scenario.concurrency),
        _ => String::new(),
    });
    let most = parts.network_ms.max(parts.cache_ms).max(parts.computation_ms).max(parts.serialization_ms);
    if most == parts.computation_ms {
        let [.., origin] = all.answers;
        let origin_share = share(origin, all.latencies.count());
        let took = model.miss_ms.map_or(most, |miss| miss.min(most / origin_share.max(f64::MIN_POSITIVE)));
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
    if most == parts.cache_ms {
        format!("Stores took {took} on average.")
    } else if most == parts.serialization_ms {
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
    use crate::report::tests::{repeat, run};
    use crate::report::{LatencyParts, Repeat};

    fn reasons(all: Repeat) -> Vec<String> {
        let summary = run(vec![all]).summarized().unwrap().scenarios.remove(0).summary.unwrap();
        summary.verdicts.into_iter().filter_map(|check| check.reason).collect()
    }

    fn with(parts: LatencyParts, answers: [u64; 4]) -> Repeat {
        Repeat { parts, answers, answer_us: [0, 0, 0, answers[3] * 40_000], ..repeat(&[40_000; 100]) }
    }

    #[test]
    fn the_largest_part_of_latency_is_the_reason() {
        let none = LatencyParts::default();
        let computation = LatencyParts { computation_ms: 4_000.0, ..none };
        let [p50] = reasons(with(computation, [0, 0, 0, 100])).try_into().unwrap();
        assert_eq!(p50, "Every response came from the origin, which took 40.0 ms on average, waiting included.");
        let [p50] = reasons(with(LatencyParts { computation_ms: 3_000.0, ..none }, [25, 0, 0, 75])).try_into().unwrap();
        assert_eq!(p50, "75 % of the responses needed the origin, which took 40.0 ms on average, waiting included.");
        let [p50] =
            reasons(with(LatencyParts { serialization_ms: 1_800.0, ..none }, [100, 0, 0, 0])).try_into().unwrap();
        assert_eq!(p50, "Requests waited 18.0 ms in the engine on average: 50 were in flight at once.");
        let [p50] = reasons(with(LatencyParts { cache_ms: 500.0, ..none }, [0, 100, 0, 0])).try_into().unwrap();
        assert_eq!(p50, "Stores took 5.00 ms on average.");
        let [p50] = reasons(with(LatencyParts { network_ms: 900.0, ..none }, [100, 0, 0, 0])).try_into().unwrap();
        assert!(p50.starts_with("Requests waited 9.00 ms in the client and the network on average"), "{p50}");
    }

    #[test]
    fn failures_are_named_by_kind() {
        let mut failing = repeat(&[1_000; 8]);
        failing.fail("timeout", None, 2);
        let [availability, error_rate] = reasons(failing).try_into().unwrap();
        assert_eq!(availability, "2 of 10 requests failed: 2 × timeout.");
        assert_eq!(error_rate, availability);
        let mut failed = Repeat::default();
        failed.fail("unreachable", None, 5);
        assert!(reasons(failed).iter().all(|reason| reason == "No request succeeded: 5 × unreachable."));
    }
}
