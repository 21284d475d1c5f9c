// Writes that become visible everywhere, on the real runtime: two Workers over one ledger and one storage tier.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, range } from "../harness/features.mjs";
import { startOrigin } from "../harness/origin.mjs";
import { startWorker } from "../harness/worker.mjs";

const FEAST = "/get-online-features";
const TOKEN = "of-the-operator";
const VARS = {
	views: { stats: { join_keys: ["driver_id"], sources: [] } },
	l3: { enabled: true, shards: 2, timeout_ms: 5_000 },
	writes: { visible_within_ms: 0 },
	auth: { open: ["read", "write"] },
};

/** @type {import("../harness/origin.mjs").Origin} */
let origin;
/** @type {import("../harness/worker.mjs").TestWorker} */
let one;
/** @type {import("../harness/worker.mjs").TestWorker} */
let other;
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
	one = await startWorker({ origin, operatorToken: TOKEN, vars: VARS, countKv: true, twins: 1 });
	[other] = one.twins;
});
afterEach(async () => {
	await one.resetKv();
	origin.reset();
});
after(async () => {
	await one?.stop();
	await origin?.stop();
});

const read = async (worker, driver) => {
	const reply = await worker.post(FEAST, ask(["a"], [driver]));
	assert.equal(reply.status, 200);
	return column(await reply.json(), "a")[0];
};
const write = (worker, driver) =>
	worker.post("/write-to-online-store", { feature_view_name: "stats", df: { driver_id: [driver], a: [1] } });

test("what one isolate has fetched, another has too; and what is written through one, the other sees at once", async () => {
	const before = await read(one, 1);
	assert.equal(await read(other, 1), before);
	const unwritten = await read(other, 2);
	assert.equal(origin.requests.length, 2, "the second isolate had it of the storage tier");
	const reply = await write(one, 1);
	assert.deepEqual(
		[reply.status, await reply.text(), reply.headers.get("x-own"), reply.headers.get("cache-status")],
		[200, "null", "yes", null],
	);
	assert.notEqual(await read(other, 1), before);
	assert.equal(await read(other, 2), unwritten);
});

test("reads and writes through both at one time: no read that begins after a write is older than it", async () => {
	for (const round of range(15)) {
		const driver = 10 + (round % 3);
		const early = range(4).map((number) => read(number % 2 ? one : other, driver));
		await write(round % 2 ? one : other, driver);
		const least = version;
		for (const value of await Promise.all(range(6).map((number) => read(number % 2 ? one : other, driver)))) {
			assert.ok(Number(value.split(", ")[1]) >= least, `${value} after ${least}`);
		}
		await Promise.all(early);
	}
});

test("an operator's word reaches the other isolate", async () => {
	const before = await read(other, 20);
	await write(one, 21);
	const headers = { authorization: `Bearer ${TOKEN}` };
	const reply = await one.post("/v1/invalidate", { view: "stats", entities: { driver_id: [20] } }, headers);
	assert.deepEqual([reply.status, reply.headers.get("cache-status")], [200, null]);
	assert.notEqual(await read(other, 20), before);
});

test("concurrent readers share the ledger's word", async () => {
	await read(one, 30);
	await one.resetKv();
	await Promise.all(range(40).map(() => read(one, 30)));
	const { tell } = await one.shardCounts();
	assert.ok(tell.length < 40, `${tell.length} calls for 40 requests`);
});

describe("with the ledger failing", () => {
	test("a write is acknowledged and says so, the same isolate sees it, and the other does once the ledger has it", async () => {
		const before = await read(one, 40);
		assert.equal(await read(other, 40), before);
		await one.faultKv({ ledger: { error: "gone" } });
		const reply = await write(one, 40);
		assert.deepEqual(
			[reply.status, await reply.text(), reply.headers.get("cache-status")],
			[200, "null", "featheredge-ledger; detail=unreached"],
		);
		assert.notEqual(await read(one, 40), before);
		await one.resetKv();
		// It is told again behind the answer.
		const deadline = Date.now() + 30_000;
		while ((await read(other, 40)) === before) {
			assert.ok(Date.now() < deadline, "the ledger was not told again");
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	});
});

describe("the ledger itself", () => {
	const bytes = (text) => new TextEncoder().encode(text);
	const KEEP = 3_600_000;
	let namespace;
	before(async () => {
		namespace = await one.objects("LEDGER");
	});

	/** What it answers, in parts. */
	function parts(answer) {
		const view = new DataView(answer.buffer, answer.byteOffset);
		const number = (at) => Number(view.getBigUint64(at, true));
		const [now, last, dropped, droppedAt] = range(4).map((index) => number(8 * index));
		const marks = [];
		for (let at = 32; at < answer.byteLength; ) {
			const length = number(at + 8);
			marks.push([number(at), new TextDecoder().decode(answer.subarray(at + 16, at + 16 + length))]);
			at += 16 + length;
		}
		return { now, last, dropped, droppedAt, marks };
	}

	test("numbers marks, and gives those that the caller does not know", async () => {
		const ledger = namespace.getByName("numbers");
		const first = parts(await ledger.tell(0, bytes("a"), 1, KEEP));
		assert.deepEqual([first.last, first.dropped, first.marks.length], [1, 0, 1]);
		assert.ok(Math.abs(first.now - Date.now()) < 60_000 && first.marks[0][0] === first.now);
		const later = first.now + 50_000;
		const second = parts(await ledger.tell(1, bytes("b"), later, KEEP));
		assert.deepEqual(second.marks, [[later, "b"]], "a writer whose clock is ahead is believed");
		assert.deepEqual(
			parts(await ledger.tell(0, bytes(""), 0, KEEP)).marks.map(([, mark]) => mark),
			["a", "b"],
		);
		assert.deepEqual(parts(await ledger.tell(2, bytes(""), 0, KEEP)).marks, []);
	});

	test("stays within its bound, and tells up to when it has dropped marks", async () => {
		const ledger = namespace.getByName("bound");
		const long = new Uint8Array(20_000).fill(1);
		for (const number of range(60)) await ledger.tell(number, long, 0, KEEP);
		const { last, dropped, droppedAt, marks, now } = parts(await ledger.tell(0, bytes(""), 0, KEEP));
		assert.equal(last, 60);
		assert.ok(dropped > 20 && marks.length === last - dropped && marks.length * 20_000 < 600_000, `${dropped}`);
		assert.ok(droppedAt > now - 60_000 && droppedAt <= now);
	});

	test("lets go of marks that matter to no value any more", async () => {
		const ledger = namespace.getByName("age");
		for (const number of range(99)) await ledger.tell(number, bytes("old"), 0, KEEP);
		await new Promise((resolve) => setTimeout(resolve, 20));
		const { last, dropped, marks } = parts(await ledger.tell(0, bytes("new"), 0, 1));
		assert.deepEqual([last, dropped, marks.map(([, mark]) => mark)], [100, 0, ["new"]]);
	});
});
