// Requests that wait for another's call to the origin, on the real runtime, and so many of them that V8 has compiled all that they go through.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

/** How many ask for one row at the same time, and how often. */
const CALLERS = 64;
const ROUNDS = 400;
/** Long enough for all of them to come meanwhile, in milliseconds. */
const ORIGIN_MILLIS = 10;

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
before(async () => {
	origin = await startOrigin((request) => ({ ...answerFeatures(request), delayMs: ORIGIN_MILLIS }));
	const vars = { views: { stats: { join_keys: ["driver_id"] } }, l2: { enabled: false }, prefetch: { enabled: false } };
	worker = await startWorker({ origin, vars });
});
after(async () => {
	await worker?.stop();
	await origin?.stop();
});

test("a request that waits for another's call resumes in its own I/O context, after 25,000 such requests too", async () => {
	for (const driver of range(ROUNDS)) {
		const replies = await Promise.all(range(CALLERS).map(() => worker.post(FEAST, ask(["a"], [driver]))));
		for (const reply of replies) {
			assert.equal(reply.status, 200, `after ${driver} rounds: ${await reply.clone().text()}`);
			assert.deepEqual(column(await reply.json(), "a"), [valueFor("a", driver)]);
		}
	}
	assert.ok(origin.requests.length < ROUNDS * 2, "nearly all wait for another's call");
	assert.deepEqual(worker.logs, []);
});
