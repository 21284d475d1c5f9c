// The memory that rows take: what is promised of each, and that a budget is one of all memory.

import assert from "node:assert/strict";
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { fromRoot } from "../support/root.mjs";

/**
 * What a row of 50 features may take beside its values, in bytes: 150, and what the `lru` crate's index has more than L1's own had (docs/internals/adr/0034).
 * Of fewer than 10⁵ rows, the memory that comes in pages, and the holes between them, tell more than the rows.
 */
const BESIDE_VALUES = 156;
/** What L1 may take in `benches/memory.mjs`, in bytes. */
const BUDGET = 16 * 1_048_576;
/** Memory grows by pages. */
const PAGE = 65_536;

/** What `benches/memory.mjs` measures, in a process of its own. */
async function measured(name, argument) {
	const child = fork(fromRoot("benches/memory.mjs"), [name, JSON.stringify(argument)]);
	const [result] = await Promise.race([once(child, "message"), once(child, "exit")]);
	assert.notEqual(typeof result, "undefined");
	return result;
}

test("a row takes little memory beside its values", async () => {
	const rows = 100_000;
	const [held] = await measured("heldBy", [rows]);
	const beside = held - (await measured("valueBytes", null));
	assert.ok(beside <= BESIDE_VALUES + (2 * PAGE) / rows, `${beside} bytes`);
	assert.ok(beside > 0);
});

test("the module takes no more memory than L1 may, while rows of all sizes come and go", async () => {
	const [, grown] = await measured("grownBy", 100_000);
	assert.ok(grown <= BUDGET, `${grown} bytes of ${BUDGET}`);
	assert.ok(grown > BUDGET / 2, `${grown} bytes: the budget is used`);
});

/**
 * What the module's memory has beside what the core keeps: its code's data and its stack (2 MiB), what one request takes while it is read and
 * answered (a plan, a row and an answer of the origin of a thousand long names: 8 MiB), and holes between what comes and goes.
 */
const SLACK = 16 * 1_048_576;

test("whatever is asked, the module takes no more memory than it may", () => {
	// A million take half an hour.
	const requests = process.env.FEATHEREDGE_ADVERSARIAL_REQUESTS ?? "20000";
	const adversary = fileURLToPath(new URL("adversary.mjs", import.meta.url));
	const found = JSON.parse(execFileSync(process.execPath, [adversary, requests]).toString());
	console.log(`${requests} requests: ${JSON.stringify(found)}`);
	assert.ok(found.bytes <= found.max + SLACK, `${found.bytes} bytes of ${found.max}`);
	assert.ok(found.bytes > found.max / 3, "the memory is used");
	assert.ok(found.statuses[200] > Number(requests) / 10, "it serves all the same");
});
