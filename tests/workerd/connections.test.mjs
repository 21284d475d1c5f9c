// A connection that the origin closes just as it is used again costs nobody an answer: servers close those that rest, and none says when.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, column, range, valueFor } from "../support/features.mjs";
import { startMortalOrigin } from "../support/mortal-origin.mjs";
import { startWorker } from "../support/worker.mjs";

const FEAST = "/get-online-features";

/** @type {import("../support/mortal-origin.mjs").MortalOrigin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
before(async () => {
	origin = await startMortalOrigin();
	const vars = { views: { stats: { join_keys: ["driver_id"] } }, breaker: { enabled: false }, l2: { enabled: false } };
	worker = await startWorker({ origin, vars });
});
after(async () => {
	await worker?.stop();
	origin?.stop();
});

test("each request is answered though every connection dies at its second", async () => {
	for (const driver of range(10)) {
		const reply = await worker.post(FEAST, ask(["a"], [driver]));
		assert.equal(reply.status, 200);
		assert.deepEqual(column(await reply.json(), "a"), [valueFor("a", driver)]);
	}
	assert.ok(origin.calls > 10, "connections were used again, and failed");
});

test("an origin that only hangs up is asked three times, and no more", async () => {
	Object.assign(origin, { patience: 0, calls: 0 });
	const reply = await worker.post(FEAST, ask(["a"], [1_000]));
	assert.equal(reply.status, 502);
	await reply.arrayBuffer();
	assert.equal(origin.calls, 3);
});
