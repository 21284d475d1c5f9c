// The short form of the measurement, as a test.

import assert from "node:assert/strict";
import { availabilityOf } from "./measure.mjs";

const SECONDS = 5;

/** @param {import("node:test").TestContext} t */
export async function assertAvailable(t, host, origin) {
	const { mistakes, good, failed, examples, breaker_opened: opened } = await availabilityOf(host, origin, SECONDS);
	t.diagnostic(JSON.stringify({ mistakes, good }));
	assert.equal(failed, 0, examples.join("\n"));
	assert.equal(opened, 0, "one client's mistakes are no illness of the origin");
	assert.ok(mistakes[500] > 5, "mistakes were made");
	for (const [kind, { sent }] of Object.entries(good)) assert.ok(sent > 0, kind);
}
