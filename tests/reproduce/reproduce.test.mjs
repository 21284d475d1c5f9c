// What is shipped can be made again of its sources, byte by byte, by anybody, wherever they lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromRoot } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

test("the Worker is the same bytes when it is built again from nothing, elsewhere", async () => {
	const output = await mustRun(process.execPath, [fromRoot("scripts/reproduce.mjs"), "worker"], { capture: true });
	for (const file of ["index.js", "index.wasm"]) {
		assert.match(output, new RegExp(`^[0-9a-f]{64} {2}build/worker/${file}$`, "m"));
	}
});
