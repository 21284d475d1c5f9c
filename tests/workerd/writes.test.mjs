// Writes and invalidation on the real runtime.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

const FEAST = "/get-online-features";
const TOKEN = "of-the-operator";
const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
let version = 0;
/** Features whose values tell how often something was written. */
const answer = (request) => {
	if (!request.path.startsWith(FEAST)) {
		version += 1;
		return { status: 200, body: "null", headers: { "x-own": "yes" } };
	}
	const reply = answerFeatures(request);
	for (const result of reply.json.results.slice(1))
		result.values = result.values.map((value) => `${value}, ${version}`);
	return reply;
};
before(async () => {
	origin = await startOrigin(answer);
	worker = await startWorker({
		origin,
		operatorToken: TOKEN,
		vars: { views: VIEWS, auth: { anonymous_scopes: ["read", "write"] } },
	});
});
afterEach(() => {
	origin.reset();
	origin.answer(answer);
});
after(async () => {
	await worker?.stop();
	await origin?.stop();
});

const read = async (driver) => column(await (await worker.post(FEAST, ask(["a"], [driver]))).json(), "a")[0];
const write = (driver) =>
	worker.post("/write-to-online-store", { feature_view_name: "stats", df: { driver_id: [driver], a: [1] } });

test("writes in the midst of reads: no read that begins after a write is older than it", async () => {
	for (const round of range(20)) {
		const early = range(5).map(() => read(round % 3));
		await write(round % 3);
		const least = version;
		for (const value of await Promise.all(range(5).map(() => read(round % 3)))) {
			assert.ok(Number(value.split(", ")[1]) >= least, `${value} after ${least}`);
		}
		await Promise.all(early);
	}
});

describe("invalidation", () => {
	const invalidate = (body, authorization) =>
		worker.post("/v1/invalidate", body, authorization === undefined ? {} : { authorization });

	test("it needs the operator's token", async () => {
		for (const authorization of [undefined, "Bearer of-somebody", TOKEN, `Basic ${TOKEN}`, "Bearer "]) {
			const reply = await invalidate({ everything: true }, authorization);
			assert.equal(reply.status, 403, authorization);
			const text = await reply.text();
			assert.equal(JSON.parse(text).type, "urn:featheredge:problem:forbidden");
			assert.ok(!text.includes(TOKEN));
		}
		const without = await startWorker({ origin, vars: { views: VIEWS } });
		try {
			const reply = await without.post("/v1/invalidate", { everything: true }, { authorization: "Bearer undefined" });
			assert.equal(reply.status, 403, "without the secret nobody may");
		} finally {
			await without.stop();
		}
	});

	test("it makes entities, a view or everything invisible", async () => {
		for (const [body, expected] of [
			[{ view: "stats", entities: { driver_id: [5] } }, { stats: 1 }],
			[{ view: "stats" }, { stats: "all" }],
			[{ everything: true }, "everything"],
		]) {
			await read(5);
			const calls = origin.requests.length;
			await read(5);
			assert.equal(origin.requests.length, calls, "it is cached");
			const reply = await invalidate(body, `Bearer ${TOKEN}`);
			assert.deepEqual([reply.status, await reply.json()], [200, { invalidated: expected }]);
			await read(5);
			assert.equal(origin.requests.length, calls + 1);
		}
	});
});
