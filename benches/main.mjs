// Measures Featheredge beside its peers, in one run, and prints ratios.
//
//   npm run bench [-- --json FILE] [--record] [--only NAME ...]
//   npm run bench -- --only memory [--long]
//   npm run bench -- --only package|access|page [--json FILE]
//   npm run bench -- --only scenarios [--json FILE] [--repeats N] [--scale SHARE] [--url URL]
//   npm run bench -- --only native [--json FILE] [--repeats N] [--scale SHARE]
//
// NAME is a part of a row's name, such as `l1` or `1 × 5`. `scenarios` are the original specification's four, which have no peer, `native` the same without
// WebAssembly, and `page` is what the page adds to their latencies: docs/guide/benchmark.md. `package` are the figures of the npm package, `access`
// what checking credentials adds: docs/internals/performance.md.
// `--record` puts the tables of which all was measured into docs/figures.json (`--figures FILE` into that file), and renews the documents.
// `--long` measures the memory of 10^6 rows too, and over 10^7 operations.

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { build } from "../tests/support/build.mjs";
import { environment, RECORDING, record } from "../tests/support/figures.mjs";
import { checkNode, installDebian, installPackages, installRust } from "../tests/support/prepare.mjs";
import { installPython } from "../tests/support/python.mjs";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main, mustRun } from "../tests/support/run.mjs";
import { LIMIT } from "./measure.mjs";

const digits = (number) => number.toFixed(number < 10 ? 2 : number < 100 ? 1 : 0);

/** A row as docs/internals/performance.md has it. */
const cellsOf = (row) => ({
	what: row.name,
	ours: `${digits(row.ours)} ${row.unit}`,
	peer: `${row.peer_name}: ${digits(row.peer)}`,
	ratio: `${digits(row.ratio)} (${row.spread.map(digits).join(" to ")})`,
	goal: row.goal === null ? "" : `${digits(row.goal)}: ${row.met ? "met" : "not met"}`,
});

/** The tables of rows beside peers, and what the names of each one's rows begin with. */
const TABLES = {
	l1: ["l1 "],
	http: ["http "],
	"node-http": ["node http "],
	stores: ["l2 redis ", "l2 kv "],
	cold: ["cold "],
	feast: ["feast "],
	size: ["size "],
	start: ["start"],
	memory: ["memory"],
	growth: ["growth"],
	overhead: ["recording ", "learning "],
};

/** The tables of which a run measures each row. */
const wholeTables = (only) =>
	Object.keys(TABLES).filter((table) =>
		TABLES[table].every((beginning) => only === undefined || only.some((part) => beginning.includes(part))),
	);

const rowsIn = (table, rows) =>
	rows
		.filter(({ name }) => TABLES[table].some((beginning) => name.startsWith(beginning)))
		.map((row) => ({ ...cellsOf(row), added: `${digits(row.ours - row.peer)} ${row.unit}` }));

/** The rows of the README: what it claims, and the sizes. */
function claims(rows) {
	const claim = (measured, name, peerName) => {
		const row = rows.find((row) => row.name === name && row.peer_name === peerName);
		const { ours, peer, ratio } = cellsOf(row);
		return {
			measured,
			Featheredge: ours,
			"compared with": `${peer} ${row.unit}`,
			"times as fast (range)": peerName === LIMIT ? "" : ratio,
		};
	};
	return [
		claim("100 entities × 50 features, from memory", "l1 100 × 50", "Map + JSON"),
		claim("1 entity × 5 features, from memory", "l1 1 × 5", "Map + JSON"),
		claim("WebAssembly module, gzipped", "size wasm, gzipped", LIMIT),
		claim("The same with the Worker's Durable Objects", "size worker, gzipped", LIMIT),
	];
}

function print(rows) {
	console.table(rows.map(cellsOf));
	console.log(environment());
}

async function runScenarios({ repeats, scale, url }) {
	await build("package");
	const { measureScenarios, scenarioRows } = await import("./scenarios.mjs");
	const run = await measureScenarios({ repeats: Number(repeats), scale: Number(scale), url });
	console.table(scenarioRows(run));
	return { rows: scenarioRows(run), result: run };
}

/** The same natively; `cargo bench --bench scenarios -- --help` has more options. */
async function runNative({ repeats, scale }) {
	await Promise.all([installRust(), build("package")]);
	const { scenarioRows } = await import("./scenarios.mjs");
	const file = fromRoot("build/native.json");
	const options = ["--repeats", repeats, "--scale", scale, "--json", file];
	await mustRun("cargo", ["bench", "--quiet", "--locked", "--bench", "scenarios", "--", ...options]);
	const run = JSON.parse(readFileSync(file, "utf8"));
	return { rows: scenarioRows(run), result: run };
}

/** Prints rows of a kind of their own. */
async function tabled(measured) {
	const rows = await measured;
	console.table(rows);
	return { rows, result: rows };
}

async function runPage() {
	await build("worker", "page");
	const { measurePage } = await import("./page.mjs");
	return tabled(measurePage());
}

async function runPackage() {
	await build("package");
	const { measurePackage } = await import("./package.mjs");
	return tabled(measurePackage());
}

async function runAccess() {
	await build("worker");
	const { measureAccess } = await import("./access.mjs");
	return tabled(measureAccess());
}

/** What is measured apart from peers, each with its table. */
const APART = {
	scenarios: { table: "scenarios", run: runScenarios },
	native: { table: "scenarios-native", run: runNative },
	page: { table: "page", run: runPage },
	package: { table: "npm-package", run: runPackage },
	access: { table: "credentials", run: runAccess },
};

await main(async () => {
	const { values } = parseArgs({
		options: {
			json: { type: "string" },
			...RECORDING,
			only: { type: "string", multiple: true },
			repeats: { type: "string", default: "5" },
			scale: { type: "string", default: "1" },
			long: { type: "boolean" },
			url: { type: "string" },
		},
	});
	checkNode();
	await installPackages();
	const write = (result) => {
		if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, "\t")}\n`);
	};
	for (const [name, { table, run }] of Object.entries(APART)) {
		if (!values.only?.includes(name)) continue;
		const { rows, result } = await run(values);
		write(result);
		return record(values, { [table]: rows });
	}
	const whole = wholeTables(values.only);
	if (values.record && whole.length === 0)
		throw new Failure(
			`\`--record\` needs all of a table: give \`--only\` one of ${Object.values(TABLES)
				.flat()
				.map((name) => `"${name.trim()}"`)
				.join(", ")}`,
		);
	await build("worker", "package");
	// Only now: these import what was built.
	const [l1, recording, learning, http, stores, growth, memory, start, feast] = await Promise.all([
		import("./l1.mjs"),
		import("./recording.mjs"),
		import("./learning.mjs"),
		import("./http.mjs"),
		import("./stores.mjs"),
		import("./growth.mjs"),
		import("./memory.mjs"),
		import("./start.mjs"),
		import("./feast.mjs"),
	]);
	const isWanted = (name) =>
		values.only === undefined || values.only.some((part) => name.includes(part) || part.startsWith(name));
	const rows = [];
	if (isWanted("feast")) await installPython("feast");
	if (isWanted("feast redis") || isWanted("l2 redis")) await installDebian({ "redis-server": "redis-server" });
	for (const measure of [
		l1.measureL1,
		recording.measureRecording,
		learning.measureLearning,
		http.measureHttp,
		stores.measureStores,
		growth.measureGrowth,
		(isWanted) => memory.measureMemory(isWanted, { isLong: values.long }),
		start.measureSizeAndStart,
		feast.measureFeast,
	]) {
		rows.push(...(await measure(isWanted)));
	}
	print(rows);
	write(rows);
	const measured = Object.fromEntries(whole.map((table) => [table, rowsIn(table, rows)]));
	// One run gives all that the README says.
	if (measured.l1 !== undefined && measured.size !== undefined) measured.readme = claims(rows);
	record(values, measured);
});
