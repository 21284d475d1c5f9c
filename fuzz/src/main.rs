//! The search: inputs with new coverage are kept, and mutated in turn.
//!
//! `featheredge-fuzz TARGET --seconds N [--seed N] [--keep] [--failures FOLDER]` prints one line of JSON. It exits with 1 at the first input that
//! violates an invariant, and leaves that input in the folder for failures. `featheredge-fuzz TARGET --input FILE` runs one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the command line, which stops at the first surprise"
)]

#[cfg(feature = "guided")]
mod coverage;

#[cfg(feature = "guided")]
mod search {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    use featheredge_fuzz::mutate::{Random, mutated};
    use featheredge_fuzz::{MAX_INPUT, TARGETS, Target};
    use xxhash_rust::xxh3::xxh3_64_with_seed;

    use crate::coverage::Coverage;

    /// An input that takes longer than this hangs its caller: all are of a few kilobytes.
    const TOO_LONG: Duration = Duration::from_secs(10);

    struct Search {
        target: Target,
        failures: PathBuf,
        seen: Coverage,
        kept: Vec<Vec<u8>>,
        executions: u64,
        slowest: Duration,
    }

    impl Search {
        /// Runs an input, and keeps it if it did something new.
        fn run(&mut self, input: &[u8]) -> bool {
            let began = Instant::now();
            let held = catch_unwind(AssertUnwindSafe(|| (self.target.run)(input))).is_ok();
            let took = began.elapsed();
            self.executions += 1;
            self.slowest = self.slowest.max(took);
            if !held || took > TOO_LONG {
                let path = self.failures.join(format!("{}-{}", self.target.name, name(input)));
                std::fs::create_dir_all(&self.failures).unwrap();
                std::fs::write(&path, input).unwrap();
                eprintln!(
                    "{}: an input does not hold after {} runs: {}",
                    self.target.name,
                    self.executions,
                    path.display()
                );
                std::process::exit(1);
            }
            let is_new = self.seen.add() > 0;
            if is_new {
                self.kept.push(input.to_vec());
            }
            is_new
        }

        fn run_until(&mut self, random: &mut Random, until: Instant) {
            while Instant::now() < until {
                // Recent inputs are mutated more often.
                let count = self.kept.len();
                let at =
                    if random.below(2) == 0 { count - 1 - random.below(count.min(16)) } else { random.below(count) };
                let parent = self.kept[at].clone();
                for _ in 0..32 {
                    self.run(&mutated(&parent, &self.kept, self.target.is_json, MAX_INPUT, random));
                }
            }
        }

        /// Few and small inputs that cover all reached regions.
        fn minimize(&mut self) -> Vec<Vec<u8>> {
            let mut inputs = core::mem::take(&mut self.kept);
            inputs.sort_by_key(Vec::len);
            let (mut reached, mut chosen) = (std::collections::BTreeSet::new(), Vec::new());
            for input in inputs {
                let mut alone = Coverage::default();
                (self.target.run)(&input);
                alone.add();
                let before = reached.len();
                reached.extend(alone.regions());
                if reached.len() > before {
                    chosen.push(input);
                }
            }
            chosen
        }
    }

    fn name(input: &[u8]) -> String {
        format!("{:016x}", xxh3_64_with_seed(input, 0))
    }

    fn corpus(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
    }

    pub(crate) fn main() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let after = |option: &str| {
            arguments.iter().position(|argument| argument == option).map(|at| arguments[at + 1].as_str())
        };
        let number = |option: &str| after(option).map(|text| text.parse::<u64>().expect("a number"));
        let asked = arguments.first().expect("a target");
        let target = *TARGETS.iter().find(|target| target.name == *asked).expect("a target that there is");
        if let Some(file) = after("--input") {
            return (target.run)(&std::fs::read(file).expect("the input"));
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let failures = PathBuf::from(after("--failures").unwrap_or("."));
        let (seen, slowest) = (Coverage::default(), Duration::ZERO);
        let mut search = Search { target, failures, seen, kept: Vec::new(), executions: 0, slowest };
        crate::coverage::counters().fill(0);
        let stored = corpus(&folder);
        let first: Vec<Vec<u8>> = stored.iter().map(|(_, input)| input.clone()).chain((target.seeds)()).collect();
        for input in &first {
            search.run(input);
        }
        let (began, known) = (Instant::now(), search.seen.of(target.modules).0);
        let seconds = number("--seconds").unwrap_or(30);
        search.run_until(&mut Random(number("--seed").unwrap_or(1)), began + Duration::from_secs(seconds));
        let took = began.elapsed().as_secs_f64();
        let (ran, all) = search.seen.of(target.modules);
        println!(
            "{}",
            serde_json::json!({
                "target": target.name, "seconds": took.round(), "executions": search.executions,
                "executions_per_second": (search.executions as f64 / took).round(), "inputs": search.kept.len(),
                "regions": all, "regions_ran": ran, "regions_ran_by_corpus": known,
                "coverage_percent": (1_000.0 * ran as f64 / all as f64).round() / 10.0,
                "slowest_ms": search.slowest.as_micros() as f64 / 1_000.0,
            })
        );
        if arguments.iter().any(|argument| argument == "--keep") {
            let chosen = search.minimize();
            std::fs::create_dir_all(&folder).unwrap();
            stored.iter().for_each(|(path, _)| std::fs::remove_file(path).unwrap());
            chosen.iter().for_each(|input| std::fs::write(folder.join(name(input)), input).unwrap());
        }
    }
}

#[cfg(feature = "guided")]
fn main() {
    search::main();
}

#[cfg(not(feature = "guided"))]
fn main() {
    eprintln!("built without counters: `npm run fuzz` builds with them");
}
