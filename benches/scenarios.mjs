// The seed's four scenarios, or those of a file, in this process: the run that the page makes too.

import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import * as bench from "../build/benchmark/benchmark.js";
import { createEngine } from "../build/package/dist/node.js";

/**
 * @param {object} [options]
 * @param {any[]} [options.scenarios] by default the seed's four
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

/** A run as a table in Markdown, with where and when it was made. */
export function scenarioTable(run) {
	const columns = [
		["scenario", ({ scenario }) => `\`${scenario.name}\``],
		["requests", ({ summary }) => summary.succeeded],
		["failed", ({ summary }) => summary.failed],
		["mean ms", ({ summary }) => digits(summary.mean_ms)],
		["median", ({ summary }) => digits(summary.median_ms)],
		["p95", ({ summary }) => digits(summary.p95_ms)],
		["p99", ({ summary }) => digits(summary.p99_ms)],
		["p99.9", ({ summary }) => digits(summary.p999_ms)],
		["per second", ({ summary }) => digits(summary.throughput)],
		["targets", ({ summary }) => (summary.verdicts.every(({ is_met }) => is_met) ? "met" : unmet(summary))],
	];
	const row = (cells) => `| ${cells.join(" | ")} |`;
	const lines = [
		row(columns.map(([name]) => name)),
		row(columns.map(() => "---")),
		...run.scenarios.map((measured) => row(columns.map(([, cell]) => cell(measured)))),
	];
	const { host, machine, cores, target, settings } = run.environment;
	const chosen = settings.map(({ name, value }) => `, ${name} ${value}`).join("");
	return `${lines.join("\n")}\n\n${run.started_at.slice(0, 10)}, ${host}, ${cores} cores (${machine}), ${target}${chosen}, ${run.scenarios[0]?.repeats.length ?? 0} repetitions`;
}

const unmet = ({ verdicts }) =>
	`not ${verdicts
		.filter(({ is_met }) => !is_met)
		.map(({ name }) => name.replace("_ms", ""))
		.join(", ")}`;
