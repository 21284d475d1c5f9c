// Draws the plots of the documentation from what was measured.
//
//   npm run plots -- FILE ... [--into FOLDER]
//
// FILE is what `npm run bench -- --only growth --json FILE` or `npm run scale -- --json FILE` wrote.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkNode, installPackages } from "../tests/support/prepare.mjs";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main } from "../tests/support/run.mjs";

await main(async () => {
	const { values, positionals } = parseArgs({
		allowPositionals: true,
		options: { into: { type: "string", default: fromRoot("docs/images") } },
	});
	if (positionals.length === 0)
		throw new Failure("which FILE is to be drawn? `npm run bench` and `npm run scale` write one");
	checkNode();
	await installPackages();
	const { plotsOf } = await import("./plots.mjs");
	for (const file of positionals) {
		const plots = Object.entries(plotsOf(JSON.parse(readFileSync(file, "utf8"))));
		if (plots.length === 0) throw new Failure(`there is nothing in ${file} that is drawn`);
		for (const [name, svg] of plots) {
			const path = join(values.into, `${name}.svg`);
			writeFileSync(path, svg);
			console.log(path);
		}
	}
});
