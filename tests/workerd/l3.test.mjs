// The storage tier on the real runtime: Durable Objects with SQLite.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, FEAST, range } from "../support/features.mjs";
import { failedOf, readRequest, valuesOf, writeRequest } from "../support/messages.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const SHARDS = 4;
const VARS = { views: { stats: { join_keys: ["driver_id"] } }, l3: { enabled: true, shards: SHARDS } };
const WITHOUT_L2 = { ...VARS, l2: { enabled: false } };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
before(async () => {
	origin = await startOrigin(answerFeatures);
});
afterEach(() => origin.reset());
after(() => origin?.stop());

const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

describe("with a folder that outlives the Worker", () => {
	const persist = mkdtempSync(join(tmpdir(), "featheredge-l3-"));
	after(() => rmSync(persist, { recursive: true, force: true }));
	const start = (vars) => startWorker({ origin, persist, countKv: true, vars });

	test("100 rows cost one call of each shard, written and read, and the next isolate has them", async () => {
		const body = ask(["a", "b"], range(100));
		const first = await start(WITHOUT_L2);
		let cold;
		try {
			cold = await (await first.post(FEAST, body)).text();
			const { readShard, writeShard } = await first.shardCounts();
			for (const calls of [readShard, writeShard]) {
				assert.equal(calls.length, SHARDS);
				assert.equal(total(calls), 100);
			}
		} finally {
			await first.stop();
		}
		const second = await start(WITHOUT_L2);
		try {
			const warm = await second.post(FEAST, body);
			assert.equal(await warm.text(), cold);
			assert.equal(warm.headers.get("cache-status"), "featheredge-l3; hit, featheredge-l1; fwd=miss");
			assert.equal(origin.requests.length, 1);
			const { readShard, writeShard } = await second.shardCounts();
			assert.deepEqual([readShard.length, total(readShard), writeShard.length], [SHARDS, 100, 0]);
		} finally {
			await second.stop();
		}
	});
});

describe("beside L2", () => {
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;
	before(async () => {
		worker = await startWorker({ origin, countKv: true, vars: VARS });
	});
	afterEach(() => worker.resetKv());
	after(() => worker?.stop());

	test("100 rows cost one bulk read of KV and one call of each shard", async () => {
		const reply = await worker.post(FEAST, ask(["a"], range(100)));
		assert.equal(
			reply.headers.get("cache-status"),
			"featheredge-l3; fwd=miss; fwd-status=200, featheredge-l2; fwd=miss, featheredge-l1; fwd=miss",
		);
		await reply.text();
		const { bulkGet, keysRead, put } = await worker.kvCounts();
		assert.deepEqual([bulkGet, keysRead, put], [1, 100, 100]);
		assert.equal((await worker.shardCounts()).readShard.length, SHARDS);
	});

	test("a tier that fails is passed over", async () => {
		for (const [number, error] of [
			[200, { error: "gone" }],
			[201, { hang: true }],
		]) {
			await worker.faultKv({ shard: error });
			const reply = await worker.post(FEAST, ask(["a"], [number]));
			assert.equal(reply.status, 200);
			assert.match(await reply.text(), new RegExp(`a of ${number}`));
		}
	});
});

describe("a shard", () => {
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;
	let shard;
	const bytes = (length, fill) => new Uint8Array(length).fill(fill);
	const MANY = 2 ** 30;
	const read = async (keys) => valuesOf(await shard.read(readRequest(keys)));
	const write = async (keys, values, ttlMs = 60_000, maxBytes = MANY) =>
		failedOf(await shard.write(writeRequest(keys, values, ttlMs, maxBytes)));
	before(async () => {
		worker = await startWorker({ origin, vars: VARS });
		shard = (await worker.objects("STORAGE")).getByName("of-a-test");
	});
	after(() => worker?.stop());

	test("gives bytes as they were written, and nothing for keys that it has not", async () => {
		const value = Uint8Array.from(range(256));
		assert.equal(await write(["a", "b"], [value, bytes(3, 1)]), 0);
		assert.deepEqual(await read(["none", "a", "b", "a"]), [undefined, value, bytes(3, 1), value]);
		await write(["a"], [bytes(2, 7)]);
		assert.deepEqual(await read(["a"]), [bytes(2, 7)]);
		assert.deepEqual(await read([]), []);
	});

	test("takes what it can of a batch", async () => {
		const tooLong = bytes(3 * 2 ** 20, 1);
		assert.equal(await write(["x", "long", "y"], [bytes(1, 1), tooLong, bytes(1, 2)]), 1);
		const found = await read(["x", "long", "y"]);
		assert.deepEqual(
			found.map((value) => value?.byteLength),
			[1, undefined, 1],
		);
	});

	test("gives nothing past its time to live", async () => {
		const has = async (key) => (await read([key]))[0] !== undefined;
		await write(["brief"], [bytes(1, 1)], 500);
		assert.ok(await has("brief"));
		await until(async () => !(await has("brief")));
	});

	test("refuses what it cannot read, and serves on", async () => {
		await write(["kept"], [bytes(1, 1)]);
		const whole = readRequest(["kept"]);
		for (const garbled of [
			new Uint8Array(),
			whole.slice(0, -1),
			Uint8Array.of(1, 255, 255, 255, 255, 15),
			bytes(40, 255),
		]) {
			await assert.rejects(async () => shard.read(garbled));
			await assert.rejects(async () => shard.write(garbled));
		}
		assert.deepEqual(await read(["kept"]), [bytes(1, 1)]);
	});

	test("stays within its bound: what expires first makes room", async () => {
		const bound = 4 * 2 ** 20;
		const names = (from) => range(100, from).map((number) => `n${number}`);
		for (const from of range(20).map((step) => step * 100)) {
			const values = names(from).map(() => bytes(10_000, 1));
			assert.equal(await write(names(from), values, (60 + from) * 1_000, bound), 0);
		}
		const has = async (from) => (await read(names(from))).filter((value) => value !== undefined).length;
		assert.deepEqual([await has(0), await has(1_900)], [0, 100]);
		const kept = total(await Promise.all(range(20).map((step) => has(step * 100))));
		assert.ok(kept > 200 && kept < 450, `${kept} of 10 KB in 4 MiB`);
	});
});
