// Writes the tables of docs/figures.json into the documents that name them.
//
//   npm run figures [-- --check]
//
// `--check` writes nothing, and fails where a document differs, or names a table that is not there, or a table stands in no document.

import { parseArgs } from "node:util";
import { readTables, rendered, renew } from "../tests/support/figures.mjs";
import { Failure, main } from "../tests/support/run.mjs";

await main(async () => {
	const { values } = parseArgs({ options: { check: { type: "boolean" } } });
	if (values.check) {
		const { changed, problems } = rendered(readTables());
		const differing = [...changed.keys()].map((path) => `${path} differs from docs/figures.json: \`npm run figures\``);
		if (changed.size + problems.length > 0) throw new Failure([...differing, ...problems].join("\n"));
		return;
	}
	const { written, problems } = renew(readTables());
	for (const path of written) console.log(`renewed ${path}`);
	if (problems.length > 0) throw new Failure(problems.join("\n"));
});
