// The memory that rows take: what is promised of each, and that a budget is one of all memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BUDGET, inProcess, valueBytes } from "../../benches/memory.mjs";

/** What a row of 50 features may take beside its values, in bytes. */
const BESIDE_VALUES = 150;
/** Memory grows by pages. */
const PAGE = 65_536;

test("a row takes little memory beside its values", async () => {
	const rows = 10_000;
	const [held] = await inProcess("heldBy", [rows]);
	const beside = held - valueBytes();
	assert.ok(beside <= BESIDE_VALUES + PAGE / rows, `${beside} bytes`);
	assert.ok(beside > 0);
});

test("the module takes no more memory than L1 may, while rows of all sizes come and go", async () => {
	const [, grown] = await inProcess("grownBy", 100_000);
	assert.ok(grown <= BUDGET, `${grown} bytes of ${BUDGET}`);
	assert.ok(grown > BUDGET / 2, `${grown} bytes: the budget is used`);
});
