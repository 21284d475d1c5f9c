// `featheredge bench`: the benchmark's scenarios, on an engine in this process or on a server.

import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import Table from "cli-table3";
import * as framework from "./bench/bench.js";
import { EXIT, Failure } from "./failure.js";

const digits = (number) =>
	number < 10 ? number.toFixed(2) : number < 1_000 ? number.toFixed(1) : Math.round(number).toString();

const COLUMNS = [
	["scenario", ({ scenario }) => scenario.name],
	["requests", ({ summary }) => summary.succeeded],
	["failed", ({ summary }) => summary.failed],
	["median ms", ({ summary }) => digits(summary.median_ms)],
	["p95 ms", ({ summary }) => digits(summary.p95_ms)],
	["p99 ms", ({ summary }) => digits(summary.p99_ms)],
	["per second", ({ summary }) => digits(summary.throughput)],
	["targets", ({ summary }) => (summary.verdicts.every(({ is_met: isMet }) => isMet) ? "met" : "missed")],
];

function scenariosOf(file) {
	if (file === undefined) return framework.framework().scenarios;
	if (!existsSync(file)) throw new Failure(`cannot read \`${file}\``);
	const scenarios = JSON.parse(readFileSync(file, "utf8"));
	return Array.isArray(scenarios) ? scenarios : [scenarios];
}

export async function bench({ url, repeats, scale, scenarios: file, l2, json }) {
	await framework.load(() => readFileSync(new URL("./bench/core.wasm", import.meta.url)));
	const scenarios = scenariosOf(file).map((scenario) => framework.scaledScenario(scenario, scale));
	if (scenarios.length === 0) throw new Failure("there are no scenarios", EXIT.usage);
	const hasLine = !json && process.stderr.isTTY;
	const run = await framework.runSuite({
		scenarios,
		repeats,
		target:
			url === undefined
				? framework.engineTarget({ openStore: l2 === "memory" ? framework.memoryStore : undefined })
				: framework.urlTarget(url),
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
	if (json) return console.log(JSON.stringify(run));
	const table = new Table({ head: COLUMNS.map(([name]) => name), style: { head: [], border: [] } });
	for (const measured of run.scenarios) table.push(COLUMNS.map(([, cell]) => cell(measured)));
	console.log(table.toString());
	console.log(`${run.environment.host}, ${cpus().length} cores, ${run.environment.target}, ${repeats} repetitions`);
}
