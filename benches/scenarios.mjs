// The original specification's four scenarios, or those of a file, in this process: the run that the page makes too.

import { createBenchmark, engineTarget, memoryStore, urlTarget } from "../build/package/dist/benchmark-node.js";
import { createEngine } from "../build/package/dist/node.js";

/** The original specification's scenarios: all built-in ones but the popular load, which is first. */
export const standardScenarios = (benchmark) => benchmark.scenarios().slice(1);

/**
 * @param {object} [options]
 * @param {any[]} [options.scenarios] by default the original specification's four
 * @param {number} [options.repeats]
 * @param {number} [options.scale] a share of the requests, for a quick look
 * @param {string} [options.url] a deployment in place of an engine in this process
 * @param {"memory" | "none"} [options.l2]
 * @param {any} [options.origin] in place of the built-in one
 */
export async function measureScenarios({ scenarios, repeats = 5, scale = 1, url, l2 = "memory", origin } = {}) {
	const benchmark = await createBenchmark();
	const engine = { createEngine, l2: l2 === "memory" ? memoryStore : undefined };
	return benchmark.run({
		...{ suite: scenarios ?? standardScenarios(benchmark), repeats, scale },
		target:
			url === undefined
				? engineTarget({
						...engine,
						...(origin === undefined ? { config: { origin: { kind: "synthetic" } } } : { origin }),
					})
				: urlTarget(url, { token: process.env.FEATHEREDGE_OPERATOR_TOKEN }),
		environment: { settings: url === undefined ? [{ name: "l2", value: l2 }] : [] },
	});
}

const digits = (number) =>
	number === null
		? "–"
		: number < 10
			? number.toFixed(2)
			: number < 1_000
				? number.toFixed(1)
				: Math.round(number).toString();

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
