//! The benchmark's scenarios natively: the framework and the core that the page and `npx featheredge bench` run as WebAssembly, as machine code.
//!
//! `cargo bench --bench scenarios -- --help` tells the options. An export of a run is one that the page and the command line import.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]

mod host;

use std::error::Error;
use std::process::ExitCode;
use std::{env, fs, thread};

use benchmark::compare::{Compared, compare};
use benchmark::import;
use benchmark::report::{Caches, Environment, Run, RunSetting, SCHEMA, ScenarioResult, ServedBy, VERSION};
use benchmark::scenario::{BenchmarkError, Scenario};
use benchmark::summary::{Summary, Targets};
use model::time::EventTime;

const HELP: &str = "\
usage: cargo bench --bench scenarios -- [options]

  --only NAMES      only these scenarios, separated by commas
  --scenarios FILE  scenarios (JSON) in place of the original specification's four
  --repeats N       how often each is run: 5
  --scale SHARE     a share of the requests, for a quick look
  --l2 none         without a store
  --json FILE       keep the run, for --compare, `npx featheredge bench --compare` and the page
  --compare FILE    tell how the run differs from an earlier one
";

/// What the draws of a comparison follow from: any number does, and the same one tells the same of the same runs.
const COMPARISON_SEED: u64 = 1;

struct Options {
    scenarios: Vec<Scenario>,
    repeats: u64,
    has_store: bool,
    json: Option<String>,
    earlier: Option<Run>,
}

fn main() -> ExitCode {
    let result = match options(env::args().skip(1)) {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            print!("{HELP}");
            Ok(())
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the arguments say; nothing where they ask for help.
fn options(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, Box<dyn Error>> {
    let mut all = Scenario::defaults().to_vec();
    let (mut only, mut scale, mut repeats, mut has_store) = (None, 1.0, 5, true);
    let (mut json, mut earlier) = (None, None);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| BenchmarkError(format!("`{name}` needs a value")));
        match name.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--help" => return Ok(None),
            "--only" => only = Some(value()?),
            "--scenarios" => all = parsed(&value()?)?,
            "--repeats" => repeats = value()?.parse::<u64>()?.max(1),
            "--scale" => scale = value()?.parse::<f64>()?,
            "--l2" => {
                has_store = match value()?.as_str() {
                    "none" => false,
                    "memory" => true,
                    other => {
                        return Err(BenchmarkError(format!("`--l2` is `memory` or `none`, and not `{other}`")).into());
                    }
                };
            }
            "--json" => json = Some(value()?),
            "--compare" => earlier = Some(parsed::<Run>(&value()?)?.summarized()?),
            other => return Err(BenchmarkError(format!("no option `{other}`")).into()),
        }
    }
    if !(scale > 0.0 && scale <= 1.0) {
        return Err(BenchmarkError("`--scale` is above 0, up to 1".to_owned()).into());
    }
    if let Some(names) = only {
        let names: Vec<&str> = names.split(',').collect();
        if let Some(unknown) = names.iter().find(|name| !all.iter().any(|scenario| scenario.name == **name)) {
            return Err(BenchmarkError(format!("no scenario `{unknown}`")).into());
        }
        all.retain(|scenario| names.contains(&scenario.name.as_str()));
    }
    let scenarios: Vec<Scenario> = all.into_iter().map(|scenario| scenario.scaled(scale)).collect();
    scenarios.iter().try_for_each(Scenario::check)?;
    Ok(Some(Options { scenarios, repeats, has_store, json, earlier }))
}

/// What a file of JSON holds.
fn parsed<T: serde::de::DeserializeOwned>(file: &str) -> Result<T, BenchmarkError> {
    let failed = |error: &dyn std::fmt::Display| BenchmarkError(format!("cannot read `{file}`: {error}"));
    let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
    import::read(&mut serde_json::Deserializer::from_str(&text)).map_err(|error| failed(&error))
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let started = host::now();
    let measured = |scenario: &Scenario| ScenarioResult {
        scenario: scenario.clone(),
        caches: Caches::Cold,
        served_by: ServedBy::Featheredge,
        repeats: Vec::new(),
        summary: None,
    };
    let mut scenarios: Vec<ScenarioResult> = options.scenarios.iter().map(measured).collect();
    // Repetitions take turns, so that a machine that slows down slows all scenarios alike.
    for repeat in 0..options.repeats {
        for ScenarioResult { scenario, repeats, .. } in &mut scenarios {
            repeats.push(host::measure(scenario, repeat, options.has_store)?);
        }
    }
    let run = Run {
        schema: SCHEMA.to_owned(),
        version: VERSION,
        id: format!("native-{started:x}"),
        started_at: EventTime(started as i64 * 1_000).to_string(),
        product_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: String::new(),
        notes: String::new(),
        environment: environment(options),
        targets: Targets::default(),
        scenarios,
        overall: None,
    }
    .summarized()?;
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string(&run)? + "\n")?;
    }
    print(&run, options.repeats);
    if let Some(earlier) = &options.earlier {
        print_comparison(&compare(earlier, &run, COMPARISON_SEED).scenarios, earlier);
    }
    Ok(())
}

fn environment(options: &Options) -> Environment {
    // The processor's name, where the system tells it so.
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kind = name.map_or(env::consts::ARCH, |(_, name)| name);
    Environment {
        host: "native".to_owned(),
        machine: format!("{}, {kind}", env::consts::OS),
        cores: thread::available_parallelism().map_or(0, |cores| cores.get() as u32),
        target: "engine".to_owned(),
        settings: vec![RunSetting {
            name: "l2".to_owned(),
            value: if options.has_store { "memory" } else { "none" }.to_owned(),
        }],
    }
}

fn digits(number: Option<f64>) -> String {
    let Some(number) = number else { return "–".to_owned() };
    match number.abs() {
        size if size < 10.0 => format!("{number:.2}"),
        size if size < 1_000.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// A table in Markdown, as `npm run bench -- --only scenarios` prints it.
fn print(run: &Run, repeats: u64) {
    println!("| scenario | requests | failed | mean ms | median | p95 | p99 | p99.9 | per second |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for ScenarioResult { scenario, summary, .. } in &run.scenarios {
        let Some(Summary { succeeded, failed, mean_ms, median_ms, p95_ms, p99_ms, p999_ms, throughput, .. }) = summary
        else {
            continue;
        };
        let figures = [mean_ms, median_ms, p95_ms, p99_ms, p999_ms, throughput].map(|figure| digits(*figure));
        println!("| `{}` | {succeeded} | {failed} | {} |", scenario.name, figures.join(" | "));
    }
    let Environment { machine, cores, .. } = &run.environment;
    println!("\n{}, native, {cores} cores ({machine}), {repeats} repetitions", run.started_at.get(..10).unwrap_or(""));
}

fn print_comparison(compared: &[Compared], earlier: &Run) {
    println!("\n| scenario | figure | before | now | difference | with 95 % confidence | |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for Compared { name, metrics, .. } in compared {
        for metric in metrics {
            let values = [metric.baseline, metric.current, metric.difference].map(digits).join(" | ");
            let interval =
                metric.interval.map(|(low, high)| format!("{} to {}", digits(Some(low)), digits(Some(high))));
            let verdict = format!("{:?}", metric.verdict).to_lowercase();
            println!("| `{name}` | {} | {values} | {} | {verdict} |", metric.name, interval.unwrap_or_default());
        }
    }
    println!("\nbeside the run of {}", earlier.started_at);
}
