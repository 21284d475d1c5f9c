// `featheredge bench`: runs the benchmark's scenarios on an engine in this process or on a server, and
// compares an earlier run.

import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { createEngine } from "../dist/node.js";
import * as framework from "./benchmark/benchmark.js";
import { EXIT, Failure } from "./failure.js";
import { tableOf } from "./table.js";

const digits = (number) =>
	Math.abs(number) < 10
		? number.toFixed(2)
		: Math.abs(number) < 1_000
			? number.toFixed(1)
			: Math.round(number).toString();

const COLUMNS = [
	["scenario", ({ scenario }) => scenario.name],
	["requests", ({ summary }) => summary.succeeded],
	["failed", ({ summary }) => summary.failed],
	["mean ms", ({ summary }) => digits(summary.mean_ms)],
	["median ms", ({ summary }) => digits(summary.median_ms)],
	["p95 ms", ({ summary }) => digits(summary.p95_ms)],
	["p99 ms", ({ summary }) => digits(summary.p99_ms)],
	["p99.9 ms", ({ summary }) => digits(summary.p999_ms)],
	["per second", ({ summary }) => digits(summary.throughput)],
	["targets", ({ summary }) => (summary.verdicts.every(({ is_met: isMet }) => isMet) ? "met" : "missed")],
];

/** The seed of a comparison's resampling, fixed so that the same runs give the same result. */
const COMPARISON_SEED = 1;

function readJson(file) {
	try {
		return JSON.parse(readFileSync(file, "utf8"));
	} catch (error) {
		throw new Failure(`cannot read \`${file}\`: ${error.message}`);
	}
}

/** Turns the framework's errors into failures. */
function withUsageErrors(what, act) {
	try {
		return act();
	} catch (error) {
		throw new Failure(`${what}: ${error.message}`, EXIT.usage);
	}
}

/** @param {string} text `sequential`, `uniform:N`, `zipf:N:S`, or a file */
function popularityOf(text) {
	const [, kind, population, exponent] = /^(sequential|uniform|zipf)(?::(\d+))?(?::([\d.]+))?$/.exec(text) ?? [];
	if (kind === "sequential" && population === undefined) return kind;
	if (kind === "uniform" && population !== undefined && exponent === undefined) {
		return { uniform: { population: Number(population) } };
	}
	if (kind === "zipf" && exponent !== undefined) {
		return { zipf: { population: Number(population), exponent: Number(exponent) } };
	}
	if (kind !== undefined) {
		throw new Failure("expected `sequential`, `uniform:POPULATION` or `zipf:POPULATION:EXPONENT`", EXIT.usage);
	}
	const entities = readJson(text);
	if (!Array.isArray(entities)) throw new Failure(`\`${text}\` is not an array of ids`, EXIT.usage);
	return { recorded: { entities: entities.map(String) } };
}

/** The scenarios to run, with the options' changes. */
function scenariosOf(options) {
	const read = options.scenarios === undefined ? framework.framework().scenarios : readJson(options.scenarios);
	const all = Array.isArray(read) ? read : [read];
	const unknown = options.only?.find((name) => !all.some((scenario) => scenario.name === name));
	if (unknown !== undefined) {
		throw new Failure(
			`unknown scenario \`${unknown}\`: the known ones are ${all.map(({ name }) => name).join(", ")}`,
			EXIT.usage,
		);
	}
	const chosen = all.filter(({ name }) => options.only?.includes(name) ?? true);
	if (chosen.length === 0) throw new Failure("there are no scenarios", EXIT.usage);
	const { entities, features, concurrency, rate, requests, duration, warmUp, popularity, seed } = options;
	const changes = Object.fromEntries(
		Object.entries({
			entities_per_request: entities,
			features_per_request: features,
			concurrency,
			rate_per_second: rate,
			request_count: requests,
			duration_ms: duration && Math.ceil(duration * 1_000),
			warm_up_requests: warmUp,
			popularity: popularity && popularityOf(popularity),
			seed,
		}).filter(([, value]) => value !== undefined),
	);
	return chosen.map((scenario) => {
		const changed = { ...scenario, ...changes };
		if (duration !== undefined && requests === undefined) delete changed.request_count;
		return withUsageErrors(scenario.name, () => framework.scaledScenario(changed, options.scale));
	});
}

function print({ environment, scenarios, started_at: when }, repeats) {
	const rows = scenarios.map((measured) => COLUMNS.map(([, cell]) => cell(measured)));
	console.log(
		tableOf(
			COLUMNS.map(([name]) => name),
			rows,
		),
	);
	const { host, cores, machine, target } = environment;
	console.log(
		`${when.slice(0, 10)}, ${host}, ${cores} cores (${machine}), ${target}, ${repeats} ${repeats === 1 ? "repetition" : "repetitions"}`,
	);
}

function printComparison(compared, { started_at: when }) {
	if (compared.length === 0) return console.log("no scenario is in both runs");
	const head = ["scenario", "figure", "before", "now", "difference", "with 95 % confidence", ""];
	const rows = [];
	for (const { name, is_same_scenario: isSame, metrics } of compared) {
		for (const { name: figure, left, right, difference, interval, verdict } of metrics) {
			const label = verdict === "unknown" ? "too few repetitions" : verdict;
			const within = interval === null || interval === undefined ? "" : interval.map(digits).join(" to ");
			rows.push([isSame ? name : `${name} (changed)`, figure, ...[left, right, difference].map(digits), within, label]);
		}
	}
	console.log(tableOf(head, rows));
	console.log(`compared with the run of ${when}`);
}

export async function bench(options) {
	const { url, repeats, l2, json } = options;
	await framework.load(() => readFileSync(new URL("./benchmark/benchmark.wasm", import.meta.url)));
	const scenarios = scenariosOf(options);
	// Before the run, so that an invalid file fails at once.
	const read = options.compare && readJson(options.compare);
	const earlier =
		read && withUsageErrors(`\`${options.compare}\` is not a run`, () => framework.summarize(read.run ?? read));
	const hasLine = !json && process.stderr.isTTY;
	const run = await framework.runSuite({
		scenarios,
		repeats,
		target:
			url === undefined
				? framework.engineTarget({ createEngine, openStore: l2 === "memory" ? framework.memoryStore : undefined })
				: framework.urlTarget(url, { token: process.env.FEATHEREDGE_TOKEN }),
		environment: {
			host: `Node ${process.version}`,
			machine: `${process.platform}, ${cpus()[0]?.model ?? "unknown"}`,
			cores: cpus().length,
			settings: url === undefined ? [{ name: "l2", value: l2 }] : [],
		},
		onLive: hasLine
			? ({ scenario, repeat }) =>
					process.stderr.write(`\r\u001B[K${scenarios[scenario]?.name}, ${repeat + 1} of ${repeats}`)
			: undefined,
	});
	if (hasLine) process.stderr.write("\r\u001B[K");
	if (options.save !== undefined) writeFileSync(options.save, `${JSON.stringify(run)}\n`);
	const compared = earlier && framework.compare(earlier, run, COMPARISON_SEED);
	if (json) {
		console.log(JSON.stringify(compared === undefined ? run : { run, compared }));
	} else {
		print(run, repeats);
		if (compared !== undefined) printComparison(compared, earlier);
	}
	const { succeeded, failures } = run.overall;
	if (succeeded === 0) {
		throw new Failure(`no request succeeded: ${failures.map(({ kind, count }) => `${count} × ${kind}`).join(", ")}`);
	}
}
