// The Durable Objects where the instance that their Rust is in traps, be it in a call of theirs or in another's: the call is lost, and
// nothing else.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { answerFeatures, ask, FEAST } from "../support/features.mjs";
import { appendedOf, appendRequest, failedOf, readRequest, valuesOf, writeRequest } from "../support/messages.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

/** Windows are sent whenever a part of them is over. */
const VARS = { views: { stats: { join_keys: ["driver_id"] } }, sla: { window_seconds: 5, burn_rate_hour_seconds: 30 } };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
before(async () => {
	origin = await startOrigin(answerFeatures);
	worker = await startWorker({ origin, canTrap: true, vars: { ...VARS, telemetry: { aggregate: true } } });
});
after(async () => {
	await worker?.stop();
	await origin?.stop();
});

const trap = (when, { url } = worker) => fetch(`${url}/__test/trap`, { method: "PUT", body: when });
const serve = async (driver, { post } = worker) => assert.equal((await post(FEAST, ask(["a"], [driver]))).status, 200);
const value = Uint8Array.of(1, 2, 3);

/** Has a request of the Worker trap, so that another instance takes the present one's place. */
async function replaceInstance(of = worker) {
	await trap("begin", of);
	assert.equal((await of.post(FEAST, ask(["a"], [1]))).status, 500);
	await serve(1, of);
}

describe("a shard", () => {
	const write = async (shard, key) => failedOf(await shard.write(writeRequest([key], [value], 60_000, 2 ** 30)));
	const read = async (shard, key) => valuesOf(await shard.read(readRequest([key])))[0];

	test("loses a call that traps, and keeps what it has stored", async () => {
		const shard = (await worker.objects("STORAGE")).getByName("traps");
		await write(shard, "a");
		for (const call of [() => read(shard, "a"), () => write(shard, "b")]) {
			await trap("shard");
			await assert.rejects(call);
			assert.deepEqual(await read(shard, "a"), value);
		}
		assert.equal(await read(shard, "b"), undefined, "it was not written");
		assert.equal(await write(shard, "b"), 0);
		assert.deepEqual(await read(shard, "b"), value);
		await serve(2);
	});

	test("outlives the instance that another's trap replaces", async () => {
		const shard = (await worker.objects("STORAGE")).getByName("outlives");
		await write(shard, "a");
		await replaceInstance();
		assert.deepEqual(await read(shard, "a"), value);
		assert.equal(await write(shard, "b"), 0);
	});
});

describe("a shard's alarm", () => {
	const keys = async (shard) => (await shard.query("SELECT key FROM entries ORDER BY key")).map(({ key }) => key);
	const isSwept = async (shard, left) => {
		await until(async () => (await keys(shard)).length <= left, { withinMs: 30_000, everyMs: 50 });
	};

	test("lets go of what has expired, though a trap takes its first attempt, and looks again where something is left", async () => {
		const shard = (await worker.objects("STORAGE")).getByName("alarm");
		await shard.write(writeRequest(["a", "b"], [value, value], 1, 2 ** 30));
		const first = await shard.nextAlarm();
		assert.ok(first > Date.now() + 500_000, "not at once: each look costs");
		await shard.write(writeRequest(["c"], [value], 7_200_000, 2 ** 30));
		assert.equal(await shard.nextAlarm(), first);
		await trap("shard");
		await shard.ring();
		await isSwept(shard, 1);
		assert.deepEqual(await keys(shard), ["c"]);
		const next = (await shard.nextAlarm()) - Date.now();
		assert.ok(next > 7_000_000 && next <= 7_200_000, `${next}`);
	});

	test("is not set again once nothing is left, before something is written", async () => {
		const shard = (await worker.objects("STORAGE")).getByName("empty");
		await shard.write(writeRequest(["a"], [value], 1, 2 ** 30));
		await shard.ring();
		await isSwept(shard, 0);
		assert.equal(await shard.nextAlarm(), null);
		await shard.write(writeRequest(["a"], [value], 1, 2 ** 30));
		assert.ok((await shard.nextAlarm()) > Date.now());
	});
});

describe("what earlier versions have stored", () => {
	test("is read of a shard", async () => {
		const shard = (await worker.objects("STORAGE")).getByName("earlier");
		await shard.query(
			"CREATE TABLE entries (key TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
		);
		const insert = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)";
		await shard.query(insert, "a", Date.now() + 60_000, value);
		await shard.query(insert, "b", Date.now() - 1, value);
		assert.deepEqual(valuesOf(await shard.read(readRequest(["b", "a"]))), [undefined, value]);
		await shard.write(writeRequest(["c"], [value], 60_000, 2 ** 30));
		const { length } = await shard.query("SELECT * FROM entries WHERE typeof(expires_at) = 'integer'");
		assert.equal(length, 3, "numbers are stored as they were");
	});

	test("is the same log, with its entries and what it has dropped", async () => {
		const log = (await worker.objects("INVALIDATION_LOG")).getByName("earlier");
		await log.query(
			`CREATE TABLE invalidations (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, entry BLOB NOT NULL);
			CREATE TABLE dropped (number INTEGER NOT NULL, at INTEGER NOT NULL);
			CREATE TABLE epoch (epoch INTEGER NOT NULL)`,
		);
		const at = Date.now() - 5_000;
		await log.query("INSERT INTO epoch VALUES (?)", 2 ** 53 - 1);
		await log.query("INSERT INTO dropped VALUES (?, ?)", 7, at - 1);
		for (const number of [8, 9]) await log.query("INSERT INTO invalidations VALUES (?, ?, ?)", number, at, value);
		const known = { after: 8, epoch: 2 ** 53 - 1 };
		const { now, ...told } = appendedOf(await log.append(appendRequest(known)));
		const expected = { last: 9, dropped: 7, droppedAt: at - 1, epoch: 2 ** 53 - 1, entries: [[at, value]] };
		assert.deepEqual(told, expected);
		assert.ok(now > at);
		assert.equal(appendedOf(await log.append(appendRequest({ ...known, entries: value }))).last, 10);
		assert.deepEqual(await log.query("SELECT number FROM invalidations ORDER BY number"), [
			{ number: 8 },
			{ number: 9 },
			{ number: 10 },
		]);
	});
});

describe("the invalidation log", () => {
	const append = async (log, entries, call = {}) =>
		appendedOf(await log.append(appendRequest({ entries: Uint8Array.from(entries), ...call })));
	const contents = ({ entries }) => entries.map(([, entry]) => [...entry]);

	test("loses a call that traps, and is the same log with the same entries after it", async () => {
		const log = (await worker.objects("INVALIDATION_LOG")).getByName("traps");
		const { epoch } = await append(log, [1]);
		await trap("log");
		await assert.rejects(() => append(log, [2]));
		const after = await append(log, [3]);
		assert.deepEqual([after.epoch, after.last, contents(after)], [epoch, 3, [[1], [3]]]);
		await serve(3);
	});

	test("outlives the instance that another's trap replaces", async () => {
		const log = (await worker.objects("INVALIDATION_LOG")).getByName("outlives");
		const { epoch } = await append(log, [1]);
		await replaceInstance();
		const after = await append(log, [2], { epoch, after: 2 });
		assert.deepEqual([after.epoch, after.last, contents(after)], [epoch, 3, [[2]]]);
	});

	test("refuses what it cannot read, and goes on", async () => {
		const log = (await worker.objects("INVALIDATION_LOG")).getByName("garbled");
		const { epoch } = await append(log, [1]);
		const whole = appendRequest({ entries: Uint8Array.of(7) });
		for (const garbled of [
			new Uint8Array(),
			whole.slice(0, -1),
			Uint8Array.of(...whole, 0),
			Uint8Array.of(2, ...whole.slice(1)),
		]) {
			await assert.rejects(async () => log.append(garbled));
		}
		const after = await append(log, []);
		assert.deepEqual([after.epoch, contents(after)], [epoch, [[1]]]);
	});
});

describe("the merged windows", () => {
	/** A Worker that sends no windows of its own, whose call would be the one that traps. */
	let silent;
	before(async () => {
		silent = await startWorker({ origin, canTrap: true, vars: { ...VARS, telemetry: { aggregate: false } } });
	});
	after(() => silent?.stop());

	test("lose a call that traps, and keep what was merged before", async () => {
		const nothing = new Uint8Array();
		const all = (await worker.objects("WINDOWS")).getByName("all");
		const sent = await until(async () => {
			await serve(4);
			const windows = await all.merge(nothing);
			return windows.length > 0 && windows;
		});
		const own = (await silent.objects("WINDOWS")).getByName("own");
		assert.equal((await own.merge(sent)).length, 0);
		const kept = await own.merge(nothing);
		assert.ok(kept.length > 0);
		await trap("windows", silent);
		await assert.rejects(async () => own.merge(sent));
		assert.deepEqual(await own.merge(nothing), kept);
		assert.equal((await own.merge(sent)).length, 0, "the next call is served by a new instance");
		assert.notDeepEqual(await own.merge(nothing), kept);
		await replaceInstance(silent);
		assert.equal((await own.merge(sent)).length, 0);
		await assert.rejects(async () => own.merge(Uint8Array.of(255, 1)));
	});
});
