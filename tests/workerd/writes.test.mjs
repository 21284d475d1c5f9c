// Writes and invalidation on the real runtime.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { ask, column, countingWrites, FEAST, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

const TOKEN = "of-the-operator";
const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
const written = countingWrites();
const { answer } = written;
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

test("a read that begins after a write is no older than the write, among reads and writes at one time", async () => {
	for (const round of range(20)) {
		const early = range(5).map(() => read(round % 3));
		await write(round % 3);
		const least = written.writes();
		for (const value of await Promise.all(range(5).map(() => read(round % 3)))) {
			assert.ok(Number(value.split(", ")[1]) >= least, `${value} after ${least}`);
		}
		await Promise.all(early);
	}
});

describe("invalidation", () => {
	const invalidate = (body, authorization) =>
		worker.post("/v1/invalidate", body, authorization === undefined ? {} : { authorization });

	test("needs the operator's token", async () => {
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

	test("makes entities, a view or everything invisible", async () => {
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
