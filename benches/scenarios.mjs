// The original specification's four scenarios, or those of a file, in this process: the run that the page makes too.

import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import * as bench from "../build/benchmark/benchmark.js";
import { createEngine } from "../build/package/dist/node.js";

/**
 * @param {object} [options]
 * @param {any[]} [options.scenarios] by default the original specification's four
 * @param {number} [options.repeats]
 * @param {number} [options.scale] a share of the requests, for a quick look
 * @param {string} [options.url] a deployment in place of an engine in this process
 * @param {"memory" | "none"} [options.l2]
 * @param {(step: { scenario: number, repeat: number, live: any }) => void} [options.onLive]
 */
export async function measureScenarios({ scenarios, repeats = 5, scale = 1, url, l2 = "memory", onLive } = {}) {
	await bench.load(() => readFileSync(new URL("../build/benchmark/benchmark.wasm", import.meta.url)));
	const openStore = l2 === "memory" ? bench.memoryStore : undefined;
	return bench.runSuite({
		scenarios: (scenarios ?? bench.framework().scenarios).map((scenario) => bench.scaledScenario(scenario, scale)),
		repeats,
		target:
			url === undefined
				? bench.engineTarget({ createEngine, openStore })
				: bench.urlTarget(url, { token: process.env.FEATHEREDGE_OPERATOR_TOKEN }),
		environment: {
			host: `Node ${process.version}`,
			machine: `${process.platform}, ${cpus()[0]?.model ?? "unknown"}`,
			cores: cpus().length,
			settings: url === undefined ? [{ name: "l2", value: l2 }] : [],
		},
		onLive,
	});
}

const digits = (number) =>
	number < 10 ? number.toFixed(2) : number < 1_000 ? number.toFixed(1) : Math.round(number).toString();

const number = (value) => Math.round(value).toLocaleString("en");

/** A run as docs/guide/benchmark.md has it. */
export function scenarioRows(run) {
	return run.scenarios.map(({ scenario, summary }) => ({
		scenario: scenario.name,
		requests: number(summary.succeeded),
		failed: number(summary.failed),
		"mean ms": digits(summary.mean_ms),
		median: digits(summary.median_ms),
		p95: digits(summary.p95_ms),
		p99: digits(summary.p99_ms),
		"p99.9": digits(summary.p999_ms),
		"per second": digits(summary.throughput),
		targets: summary.verdicts.every(({ is_met }) => is_met) ? "met" : unmet(summary),
	}));
}

const unmet = ({ verdicts }) =>
	`not ${verdicts
		.filter(({ is_met }) => !is_met)
		.map(({ name }) => name.replace("_ms", ""))
		.join(", ")}`;
