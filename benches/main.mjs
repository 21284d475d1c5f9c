// Measures Featheredge beside its peers, in one run, and prints ratios.
//
//   npm run bench [-- --json FILE] [--markdown FILE] [--only NAME ...]
//   npm run bench -- --only memory [--long]
//   npm run bench -- --only package [--json FILE]
//   npm run bench -- --only access [--json FILE]
//   npm run bench -- --only scenarios [--json FILE] [--repeats N] [--scale SHARE] [--url URL]
//   npm run bench -- --only native [--json FILE] [--repeats N] [--scale SHARE]
//
// NAME is a part of a row's name, such as `l1` or `1 × 5`. `scenarios` are the seed's four, which have no peer, `native` the same without
// WebAssembly, and `page` is what the page adds to their latencies: docs/guide/benchmark.md. `package` are the figures of docs/guide/npm.md, `access` those of docs/guide/access.md.
// `--long` measures the memory of 10^6 rows too, and over 10^7 operations.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "../tests/support/build.mjs";
import { checkNode, installDebian, installPackages, installRust } from "../tests/support/prepare.mjs";
import { installPython } from "../tests/support/python.mjs";
import { main, mustRun } from "../tests/support/run.mjs";

const digits = (number) => number.toFixed(number < 10 ? 2 : 1);

/** The rows as docs/internals/performance.md has them. */
function markdown(rows) {
	const line = (cells) => `| ${cells.join(" | ")} |`;
	const head = ["what", "ours", "peer", "beside", "times as good", "goal"];
	const cells = (row) => [
		row.name,
		`${digits(row.ours)} ${row.unit}`,
		`${digits(row.peer)} ${row.unit}`,
		row.peer_name,
		`${digits(row.ratio)} (${row.spread.map(digits).join(" to ")})`,
		row.goal === null ? "" : `${digits(row.goal)}: ${row.met ? "met" : "**not met**"}`,
	];
	return [line(head), line(head.map(() => "---")), ...rows.map((row) => line(cells(row)))].join("\n");
}

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
	await build("package");
	const { measureScenarios, scenarioTable } = await import("./scenarios.mjs");
	const run = await measureScenarios({ repeats: Number(repeats), scale: Number(scale), url });
	console.log(scenarioTable(run));
	return run;
}

/** The same natively; `cargo bench --bench scenarios -- --help` has more options. */
async function runNative({ repeats, scale, json }) {
	await installRust();
	const kept = json === undefined ? [] : ["--json", resolve(json)];
	const options = ["--repeats", repeats, "--scale", scale, ...kept];
	await mustRun("cargo", ["bench", "--quiet", "--locked", "--bench", "scenarios", "--", ...options]);
}

/** Prints rows of a kind of their own. */
async function tabled(measured) {
	const rows = await measured;
	console.table(rows);
	return rows;
}

async function runPage() {
	await build("worker", "page");
	const { measurePage } = await import("./page.mjs");
	return tabled(measurePage());
}

/** What the package's page quotes: docs/guide/npm.md. */
async function runPackage() {
	await build("package");
	const { measurePackage } = await import("./package.mjs");
	return tabled(measurePackage());
}

/** What callers' credentials cost: docs/guide/access.md. */
async function runAccess() {
	await build("worker");
	const { measureAccess } = await import("./access.mjs");
	return tabled(measureAccess());
}

await main(async () => {
	const { values } = parseArgs({
		options: {
			json: { type: "string" },
			markdown: { type: "string" },
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
	if (values.only?.includes("scenarios")) return write(await runScenarios(values));
	if (values.only?.includes("native")) return runNative(values);
	if (values.only?.includes("page")) return write(await runPage());
	if (values.only?.includes("package")) return write(await runPackage());
	if (values.only?.includes("access")) return write(await runAccess());
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
	if (values.markdown !== undefined) writeFileSync(values.markdown, `${markdown(rows)}\n`);
	write(rows);
});
