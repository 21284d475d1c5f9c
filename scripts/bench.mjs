// Measures Featheredge beside its peers, in one run, and prints ratios.
//
//   npm run bench [-- --json FILE] [--only NAME ...]
//   npm run bench -- --only scenarios [--json FILE] [--repeats N] [--scale SHARE] [--url URL]
//
// NAME is a part of a row's name, such as `l1` or `1 × 5`. `scenarios` are the seed's four, which have no peer, and
// `page` is what the page adds to their latencies: docs/benchmark.md.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { buildBench, buildPackage, buildPage, buildWorker } from "./build.mjs";
import { checkNode, installPackages } from "./lib/prepare.mjs";
import { main } from "./lib/run.mjs";

const digits = (number) => number.toFixed(number < 10 ? 2 : 1);

function print(rows) {
	const table = rows.map((row) => ({
		what: row.name,
		ours: `${digits(row.ours)} ${row.unit}`,
		peer: `${digits(row.peer)} ${row.unit}`,
		beside: row.peer_name,
		"times as good": `${digits(row.ratio)} (${row.spread.map(digits).join(" to ")})`,
		goal: row.goal === null ? "" : `≥ ${digits(row.goal)}: ${row.met ? "met" : "not met"}`,
	}));
	console.table(table);
	console.log(
		`Node ${process.version}, ${cpus().length} cores of ${cpus()[0]?.model ?? "an unknown kind"}, ${process.platform}`,
	);
}

async function runScenarios({ repeats, scale, url }) {
	await buildBench();
	const { measureScenarios, scenarioTable } = await import("../benches/scenarios.mjs");
	const run = await measureScenarios({ repeats: Number(repeats), scale: Number(scale), url });
	console.log(scenarioTable(run));
	return run;
}

async function runPage() {
	await buildWorker();
	await buildPage();
	const { measurePage } = await import("../benches/page.mjs");
	const rows = await measurePage();
	console.table(rows);
	return rows;
}

await main(async () => {
	const { values } = parseArgs({
		options: {
			json: { type: "string" },
			only: { type: "string", multiple: true },
			repeats: { type: "string", default: "5" },
			scale: { type: "string", default: "1" },
			url: { type: "string" },
		},
	});
	checkNode();
	await installPackages();
	const write = (result) => {
		if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, "\t")}\n`);
	};
	if (values.only?.includes("scenarios")) return write(await runScenarios(values));
	if (values.only?.includes("page")) return write(await runPage());
	await buildPackage();
	await buildWorker();
	// Only now: these import what was built.
	const [{ measureL1 }, { measureRecording }, { measureHttp }] = await Promise.all([
		import("../benches/l1.mjs"),
		import("../benches/recording.mjs"),
		import("../benches/http.mjs"),
	]);
	const isWanted = (name) => values.only === undefined || values.only.some((part) => name.includes(part));
	const rows = [];
	for (const measure of [measureL1, measureRecording, measureHttp]) rows.push(...(await measure(isWanted)));
	print(rows);
	write(rows);
});
