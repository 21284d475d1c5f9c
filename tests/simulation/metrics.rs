//! `docs/reference/metrics.md` lists what `/metrics` has: each metric's name, labels, type and help.
//!
//! `cargo test --test simulation -- --ignored write_the_metrics` makes the list anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{World, request};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/metrics.md");
const MARKERS: [&str; 2] = ["<!-- metrics -->\n", "<!-- /metrics -->\n"];

/// Headings by how the names below them begin. Other metrics are those of one isolate, or of requests.
const FAMILIES: [(&str, &str); 12] = [
    ("feast_", "Names of Feast"),
    ("featheredge_cost_", "Cost"),
    ("featheredge_latency_", "Latency"),
    ("featheredge_memory_", "Memory"),
    ("featheredge_prefetch_", "Prefetch"),
    ("featheredge_priority_", "Requests by priority"),
    ("featheredge_request_", "Requests"),
    ("featheredge_route_", "Requests by route"),
    ("featheredge_sla_", "Service-level objective"),
    ("featheredge_store_", "Stores"),
    ("featheredge_tier_", "Tiers"),
    ("featheredge_view_", "Requests by view"),
];

/// Labels whose values are not listed: the bounds of buckets, and names that a deployment chooses.
const OPEN_LABELS: [&str; 2] = ["le", "view"];

#[derive(Default)]
struct Metric {
    kind: String,
    help: String,
    /// By label, in the order of the samples' first.
    labels: Vec<String>,
}

/// What a scrape has: metrics by name, and the values of each label.
#[derive(Default)]
struct Scrape {
    metrics: BTreeMap<String, Metric>,
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Scrape {
    fn of(text: &str) -> Scrape {
        let mut scrape = Scrape::default();
        let mut current = String::new();
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => {
                    current = name.to_owned();
                    let metric = Metric { help: help.to_owned(), ..Metric::default() };
                    assert!(scrape.metrics.insert(current.clone(), metric).is_none(), "{name} stands twice");
                }
                ["#", "TYPE", name, kind] => scrape.metrics.get_mut(name).unwrap().kind = kind.to_owned(),
                _ => scrape.sample(&current, line),
            }
        }
        scrape
    }

    fn sample(&mut self, metric: &str, line: &str) {
        assert!(line.starts_with(metric), "{line} below {metric}");
        let Some((_, labels)) = line.split_once('{') else { return };
        let labels = labels.rsplit_once("\"}").unwrap().0.split("\",");
        for (label, value) in labels.map(|label| label.split_once("=\"").unwrap()) {
            let known = &mut self.metrics.get_mut(metric).unwrap().labels;
            if !known.iter().any(|known| known == label) {
                known.push(label.to_owned());
            }
            self.labels.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
}

/// A scrape in which every metric has samples, and one of a whole deployment.
fn scrapes() -> [Scrape; 2] {
    let mut world = World::with_http_origin(|config| config.l3.enabled = true);
    world.feast(&request(&["score"], [1]));
    world.run_for(2_000);
    [world.report("/metrics"), world.report_of_all("/metrics")].map(|text| Scrape::of(&text))
}

/// An item of a list, in lines of 100 columns at the most.
fn item(text: &str) -> String {
    let mut lines = vec!["-".to_owned()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.len() + 1 + word.len() > 100 {
            lines.push(format!("  {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

fn list() -> String {
    let [own, deployment] = scrapes();
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    for (name, Metric { kind, help, labels }) in &own.metrics {
        let is_of_isolate = !deployment.metrics.contains_key(name);
        let family = FAMILIES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, heading)| *heading);
        let heading = family.unwrap_or(if is_of_isolate { "Isolate" } else { "Requests" });
        let labels: Vec<&str> = labels.iter().map(String::as_str).filter(|label| *label != "le").collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let of_isolate = if is_of_isolate { ", isolate" } else { "" };
        let section = sections.entry(heading).or_default();
        section.push_str(&item(&format!("`{name}{labels}` ({kind}{of_isolate}): {help}")));
    }
    let mut list = String::from("\n## Labels\n\n");
    for (label, values) in own.labels.iter().filter(|(label, _)| !OPEN_LABELS.contains(&label.as_str())) {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        list.push_str(&item(&format!("`{label}`: {}", values.join(", "))));
    }
    for (heading, section) in sections {
        list.push_str(&format!("\n## {heading}\n\n{section}"));
    }
    list + "\n"
}

/// The document's text before the list, the list, and the text behind it.
fn parts(document: &str) -> [&str; 3] {
    let (before, rest) = document.split_once(MARKERS[0]).unwrap();
    let (list, behind) = rest.split_once(MARKERS[1]).unwrap();
    [before, list, behind]
}

#[test]
fn the_documentation_has_every_metric() {
    let document = std::fs::read_to_string(FILE).unwrap();
    let [_, documented, _] = parts(&document);
    assert_eq!(documented, list(), "`cargo test --test simulation -- --ignored write_the_metrics`");
}

#[test]
fn every_metric_has_a_type_a_help_and_samples() {
    let mut world = World::with_http_origin(|config| config.l3.enabled = true);
    world.feast(&request(&["score"], [1]));
    world.run_for(2_000);
    let text = world.report("/metrics");
    for (name, metric) in Scrape::of(&text).metrics {
        assert!(["counter", "gauge", "histogram"].contains(&metric.kind.as_str()), "{name} is a {}", metric.kind);
        assert!(metric.help.ends_with('.'), "{name}: {}", metric.help);
        assert_eq!(name.ends_with("_total"), metric.kind == "counter", "{name} is a {}", metric.kind);
        assert!(text.contains(&format!("\n{name}")), "{name} has no sample");
    }
}

#[test]
fn latencies_are_histograms_and_not_quantiles() {
    let mut world = World::with_http_origin(|config| config.l3.enabled = true);
    world.feast(&request(&["score"], [1]));
    world.run_for(2_000);
    let text = world.report("/metrics");
    let value = |sample: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(&sample)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{sample} in {text}")).parse::<f64>().unwrap()
    };
    for (metric, label) in [
        ("request_duration_seconds", ""),
        ("route_request_duration_seconds", "route=\"/get-online-features\""),
        ("priority_request_duration_seconds", "priority=\"normal\""),
        ("view_request_duration_seconds", "view=\"stats\""),
        ("tier_operation_duration_seconds", "tier=\"origin\""),
    ] {
        let (labels, comma) = if label.is_empty() { (String::new(), "") } else { (format!("{{{label}}}"), ",") };
        let bucket = |le: &str| value(format!("featheredge_{metric}_bucket{{{label}{comma}le=\"{le}\"}}"));
        assert_eq!(value(format!("featheredge_{metric}_count{labels}")), 1.0, "{metric}");
        assert_eq!((bucket("0.005"), bucket("10"), bucket("+Inf")), (0.0, 1.0, 1.0), "{metric}");
        assert!(value(format!("featheredge_{metric}_sum{labels}")) > 0.005, "{metric}");
    }
    assert!(!text.contains("_p50_") && !text.contains("_p99_"), "{text}");
}

#[test]
fn circuit_breakers_are_those_of_an_isolates_own_tiers() {
    let [own, deployment] = scrapes();
    for name in ["featheredge_tier_breaker_open", "featheredge_tier_breaker_opened_total"] {
        assert!(own.metrics.contains_key(name) && !deployment.metrics.contains_key(name), "{name}");
    }
    let mut world = World::with_http_origin(|config| config.l3.enabled = true);
    world.feast(&request(&["score"], [1]));
    let text = world.report("/metrics");
    let breakers: Vec<&str> = text.lines().filter(|line| line.starts_with("featheredge_tier_breaker_open{")).collect();
    assert!(!breakers.iter().any(|line| line.contains("\"l1\"")), "{breakers:?}");
    assert!(breakers.iter().any(|line| line.contains("\"origin\"")), "{breakers:?}");
}

#[test]
#[ignore = "writes docs/reference/metrics.md"]
fn write_the_metrics() {
    let document = std::fs::read_to_string(FILE).unwrap();
    let [before, _, behind] = parts(&document);
    std::fs::write(FILE, [before, MARKERS[0], &list(), MARKERS[1], behind].concat()).unwrap();
}
