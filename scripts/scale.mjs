// Measures how memory grows with rows, and that it does not grow with use.
//
//   npm run scale [-- --rows N,N,…] [--operations N] [--json FILE]

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildNpm } from "./build.mjs";
import { checkNode, installPackages } from "./lib/prepare.mjs";
import { main } from "./lib/run.mjs";

await main(async () => {
	const { values } = parseArgs({
		options: {
			rows: { type: "string", default: "10000,100000,1000000" },
			operations: { type: "string", default: "10000000" },
			json: { type: "string" },
		},
	});
	checkNode();
	await installPackages();
	await buildNpm();
	// Only now: it imports what was built.
	const { measureRows, measureUse } = await import("../benches/memory.mjs");
	// First: the module's memory never shrinks, and what the rows need would hide a leak.
	const use = measureUse(Number(values.operations));
	console.table(use);
	const rows = measureRows(values.rows.split(",").map(Number));
	console.table(rows);
	if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows, use }, null, "\t")}\n`);
});
