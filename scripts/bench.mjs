// Measures Featheredge beside its peers, in one run, and prints ratios.
//
//   npm run bench [-- --json FILE] [--only NAME ...]
//
// NAME is a part of a row's name, such as `l1` or `1 × 5`.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { buildNpm } from "./build.mjs";
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

await main(async () => {
	const { values } = parseArgs({ options: { json: { type: "string" }, only: { type: "string", multiple: true } } });
	checkNode();
	await installPackages();
	await buildNpm();
	const isWanted = (name) => values.only === undefined || values.only.some((part) => name.includes(part));
	const { measureL1 } = await import("../benches/l1.mjs");
	const rows = await measureL1(isWanted);
	print(rows);
	if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, "\t")}\n`);
});
