// Warming on the real runtime: into KV and Durable Objects, in bulk.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

const TOKEN = "of-the-operator";
const OPERATOR = { authorization: `Bearer ${TOKEN}` };
const VARS = { views: { stats: { join_keys: ["driver_id"] } }, l3: { enabled: true, shards: 2, timeout_ms: 5_000 } };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
before(async () => {
	origin = await startOrigin(answerFeatures);
	worker = await startWorker({ origin, operatorToken: TOKEN, vars: VARS, countKv: true, twins: 1 });
});
afterEach(async () => {
	origin.reset();
	await worker.resetKv();
});
after(async () => {
	await worker?.stop();
	await origin?.stop();
});

const warm = (body, headers = OPERATOR) => worker.post("/v1/warm", body, headers);
const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

test("POST /v1/warm needs the operator's token", async () => {
	for (const headers of [{}, { authorization: TOKEN }, { authorization: "Bearer of-somebody" }]) {
		const reply = await warm({ entity_ids: [1], feature_names: ["stats:a"] }, headers);
		assert.equal(reply.status, 403);
		assert.equal((await reply.json()).type, "urn:featheredge:problem:forbidden");
	}
});

test("POST /v1/warm fetches rows with one call, and has them in both stores when it responds", async () => {
	const reply = await warm({ entities: { driver_id: range(300) }, feature_names: ["stats:a", "stats:b"] });
	assert.equal(reply.status, 200);
	const { stores, ...report } = await reply.json();
	assert.deepEqual(report, {
		rows: 300,
		fetched: 300,
		fresh: 0,
		not_found: 0,
		loaded: 0,
		failed: 0,
		remaining: 0,
		origin_calls: 1,
	});
	for (const { rows, failed, bytes } of Object.values(stores)) {
		assert.deepEqual([rows, failed, bytes > 300 * 50], [300, 0, true]);
	}
	const { bulkGet, put } = await worker.kvCounts();
	const { readShard, writeShard } = await worker.shardCounts();
	assert.deepEqual([bulkGet, put, readShard.length, writeShard.length, total(writeShard)], [3, 300, 2, 2, 300]);
	origin.reset();
	const [twin] = worker.twins;
	const elsewhere = await twin.post(FEAST, ask(["a", "b"], range(300)));
	assert.equal(column(await elsewhere.json(), "b")[299], "b of 299");
	assert.deepEqual(origin.requests, []);
	const again = await (await warm({ entities: { driver_id: range(300) }, feature_names: ["stats:a"] })).json();
	assert.deepEqual([again.fresh, again.fetched, again.stores.l2_distributed.rows], [300, 0, 0]);
});

test("POST /v1/warm loads a file's rows without the origin, and they are read as they were written", async () => {
	const line = (id) =>
		`{"entities":{"driver_id":[${id}]},"values":{"stats:a":[${id}.0],"stats:b":[[0.1,1e3]]},"event_timestamps":["2026-01-02T03:04:05Z"]}`;
	const reply = await warm(range(500, 1_000).map(line).join("\n"), {
		...OPERATOR,
		"content-type": "application/x-ndjson",
	});
	const report = await reply.json();
	assert.deepEqual([report.rows, report.loaded, report.stores.l2_distributed.rows], [500, 500, 500]);
	for (const { post } of [worker, ...worker.twins]) {
		const text = await (await post(FEAST, ask(["a", "b"], [1_000, 1_499]))).text();
		assert.match(text, /"values":\[1000\.0,1499\.0\]/);
		assert.match(text, /"values":\[\[0\.1,1e3\],\[0\.1,1e3\]\]/);
		assert.match(text, /"event_timestamps":\["2026-01-02T03:04:05Z"/);
	}
	assert.deepEqual(origin.requests, []);
});

test("POST /v1/warm reports a store that fails, and writes to the other", async () => {
	await worker.faultKv({ put: { error: "gone" } });
	const report = await (await warm({ entities: { driver_id: [2_000] }, values: { "stats:a": [1] } })).json();
	assert.deepEqual(report.stores.l2_distributed.failed, 1);
	assert.deepEqual([report.stores.l3_storage.rows, report.stores.l3_storage.failed], [1, 0]);
});

test("POST /v1/warm does nothing for too many rows or a malformed line", async () => {
	const many = await warm({ entities: { driver_id: range(801) }, feature_names: ["stats:a"] });
	assert.deepEqual([many.status, (await many.json()).type], [422, "urn:featheredge:problem:over-limit"]);
	const good = '{"entities":{"driver_id":[1]},"feature_names":["stats:z"]}';
	const bad = await warm(`${good}\n{"entities":{"driver_id":[1]},"feature_nmaes":["stats:z"]}`);
	assert.equal(bad.status, 422);
	assert.match((await bad.json()).detail, /body\.2/);
	assert.deepEqual(origin.requests, []);
});
