// What Workers KV allows a request, a key, a read and a day: nothing is begun that it would refuse, and what it refuses costs no more than it must.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

/** What the Worker writes for one request where the configuration does not say. */
const MAX_WRITES = 500;
/** The connections that a Worker has open for a request. */
const CONNECTIONS = 6;

const VARS = {
	views: { stats: { join_keys: ["driver_id"] } },
	// What is asked for again comes from KV.
	l1: { max_entries: 1 },
	l2: { timeout_ms: 60_000, read_policy: "first" },
	deadlines: { default_ms: 60_000, soft_percent: 100, adaptive_timeouts: false, hedging: false },
	freshness: { stale_while_revalidate_seconds: 0 },
};

describe("Workers KV", () => {
	let origin;
	let worker;
	before(async () => {
		origin = await startOrigin(answerFeatures);
		worker = await startWorker({ origin, countKv: true, vars: VARS });
	});
	afterEach(async () => {
		await worker.resetKv();
		worker.logs.length = 0;
		origin.reset();
	});
	after(async () => {
		await worker?.stop();
		await origin?.stop();
	});

	const read = async (ids) => {
		const reply = await worker.post("/get-online-features", ask(["score"], ids));
		assert.equal(reply.status, 200, await reply.text());
	};
	const stats = async () => (await (await fetch(`${worker.url}/v1/stats`)).json()).stores.l2;
	/** What KV was asked, once that is so. */
	const counts = (isSo) =>
		until(
			async () => {
				const now = await worker.kvCounts();
				return isSo(now) && now;
			},
			{ what: String(isSo), withinMs: 60_000 },
		);

	test("of 3,000 new entities 500 are written, six at a time, and the rest is shed and counted", async () => {
		const before = await stats();
		await read(range(3_000));
		const { put, mostPuts } = await counts(({ put }) => put >= MAX_WRITES);
		assert.deepEqual([put, mostPuts], [MAX_WRITES, CONNECTIONS]);
		assert.equal((await stats()).shed - before.shed, 3_000 - MAX_WRITES);
	});

	test("a key that is written too often says nothing of the store", async () => {
		await worker.faultKv({ put: { error: "KV PUT failed: 429 Too Many Requests" } });
		const before = await stats();
		for (const id of range(25)) await read([10_000 + id]);
		await counts(({ put }) => put === 25);
		const { rate_limited: limited, write_breaker_open: stopped } = await stats();
		assert.deepEqual([limited - before.rate_limited, stopped], [25, 0]);
		assert.equal(
			worker.logs.filter((line) => line.includes("429 Too Many Requests")).length,
			1,
			worker.logs.join("\n"),
		);
	});

	test("a request that may make no further call begins none", async () => {
		await worker.faultKv({ put: { error: "Too many API requests by single Worker invocation." } });
		await read(range(300).map((id) => 20_000 + id));
		await counts(({ put }) => put >= CONNECTIONS);
		await worker.faultKv({});
		// The next one goes on with what waits.
		await read([29_999]);
		const { put, putKeys } = await counts(({ put }) => put >= CONNECTIONS + 201);
		assert.equal(put, CONNECTIONS + 201);
		assert.equal(new Set(putKeys).size, put);
		assert.equal((await stats()).write_breaker_open, 0);
	});

	test("a read that is too large is made again by halves, and not asked for again", async () => {
		// What stands in KV is longer by a third: 100 of these are more than the 25 MB that one read gives, and 50 are less.
		const value = "x".repeat(250_000);
		origin.answer((request) => {
			const ids = request.json.entities.driver_id;
			const column = (values) => ({
				values,
				statuses: values.map(() => "PRESENT"),
				event_timestamps: values.map(() => "2026-11-23T08:00:00Z"),
			});
			const results = [column(ids), column(ids.map((id) => `${id} ${value}`))];
			return { json: { metadata: { feature_names: ["driver_id", "score"] }, results } };
		});
		const ids = range(100).map((id) => 30_000 + id);
		for (let first = 0; first < 100; first += 10) await read(ids.slice(first, first + 10));
		await counts(({ put }) => put === 100);
		// Memory has this one row.
		await read([39_999]);
		origin.reset();
		await worker.resetKv();
		await read(ids);
		assert.deepEqual((await worker.kvCounts()).bulkKeys, [100, 50, 50]);
		await read([39_999]);
		await read(ids);
		assert.deepEqual((await worker.kvCounts()).bulkKeys.slice(4), [50, 50]);
		assert.equal(origin.requests.length, 0);
		assert.equal((await stats()).split_reads, 1);
		assert.equal(worker.logs.filter((line) => line.includes("KV GET_BULK failed: 413")).length, 1);
		origin.answer(answerFeatures);
	});

	test("after the day's last write none is tried, reads go on, and the operator is notified", async () => {
		await read([40_000]);
		await counts(({ put }) => put === 1);
		await worker.faultKv({ put: { error: "KV put() limit exceeded for the day." } });
		const before = await stats();
		await read(range(50).map((id) => 41_000 + id));
		await counts(({ put }) => put > 1);
		for (const id of range(20)) await read([42_000 + id]);
		const after = await stats();
		// Those that were under way together found out together.
		assert.ok((await worker.kvCounts()).put <= 1 + CONNECTIONS, `${(await worker.kvCounts()).put}`);
		assert.equal(after.over_budget - before.over_budget, 20);
		assert.equal(after.write_breaker_open, 0, "its breaker has nothing to do with it");
		origin.reset();
		await read([40_000]);
		assert.equal(origin.requests.length, 0, "what it has is read");
		const told = worker.logs.filter((line) => line.includes("limit exceeded for the day"));
		assert.equal(told.length, 1, worker.logs.join("\n"));
		assert.match(told[0], /writing to l2_distributed failed/);
	});
});
