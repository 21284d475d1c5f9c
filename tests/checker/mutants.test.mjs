// The mutants still say what the sources do: `npm run checker -- --mutants` takes minutes, and this nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fromRoot } from "../support/root.mjs";
import { MUTANTS } from "./mutant-table.mjs";
import { AVOIDABLE, KIND_NAMES } from "./plan.mjs";

test("each mutant changes a text that stands once, and is looked for in worlds and scripts that there are", () => {
	for (const { name, changes, kinds = [], scripts = [] } of MUTANTS) {
		for (const { file, from, to } of changes) {
			const count = readFileSync(fromRoot(file), "utf8").split(from).length - 1;
			assert.equal(count, 1, `${name}: \`${from}\` in ${file}`);
			assert.notEqual(from, to, name);
		}
		for (const kind of kinds) assert.ok(KIND_NAMES.includes(kind), `${name}: ${kind}`);
		for (const script of scripts) assert.ok(AVOIDABLE.includes(script), `${name}: ${script}`);
	}
});
