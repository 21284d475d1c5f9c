// Writes that become visible everywhere, on the real runtime: two Workers over one invalidation log and one storage tier.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { ask, column, countingWrites, FEAST, range } from "../support/features.mjs";
import { appendedOf, appendRequest } from "../support/messages.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const TOKEN = "of-the-operator";
const VARS = {
	views: { stats: { join_keys: ["driver_id"], sources: [] } },
	l3: { enabled: true, shards: 2, timeout_ms: 5_000 },
	writes: { visible_within_ms: 0 },
	auth: { anonymous_scopes: ["read", "write"] },
};

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let one;
/** @type {import("../support/worker.mjs").TestWorker} */
let other;
const written = countingWrites();
const { answer } = written;
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
/** The entry of all rows of a view. */
const entry = (view) => Uint8Array.of(view.length, 0, ...new TextEncoder().encode(view), 255, 255, 255, 255);
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
		[200, "null", "yes", "featheredge; fwd=bypass"],
	);
	assert.notEqual(await read(other, 1), before);
	assert.equal(await read(other, 2), unwritten);
});

test("a read of either isolate that begins after a write of either is no older than the write", async () => {
	for (const round of range(15)) {
		const driver = 10 + (round % 3);
		const early = range(4).map((number) => read(number % 2 ? one : other, driver));
		await write(round % 2 ? one : other, driver);
		const least = written.writes();
		for (const value of await Promise.all(range(6).map((number) => read(number % 2 ? one : other, driver)))) {
			assert.ok(Number(value.split(", ")[1]) >= least, `${value} after ${least}`);
		}
		await Promise.all(early);
	}
});

test("an operator's invalidation reaches the other isolate", async () => {
	const before = await read(other, 20);
	await write(one, 21);
	const headers = { authorization: `Bearer ${TOKEN}` };
	const reply = await one.post("/v1/invalidate", { view: "stats", entities: { driver_id: [20] } }, headers);
	assert.deepEqual([reply.status, reply.headers.get("cache-status")], [200, null]);
	assert.notEqual(await read(other, 20), before);
});

test("40 reads at once share two calls of the invalidation log", async () => {
	await read(one, 30);
	await one.resetKv();
	await one.faultKv({ invalidationLog: { delayMs: 300 } });
	await Promise.all(range(40).map(() => read(one, 30)));
	// The first read makes a call, and those that come while it is under way share the one after it.
	assert.equal((await one.shardCounts()).appends, 2);
});

test("replies of the invalidation log in any order cost no row that was not written", async () => {
	const rows = range(20).map((index) => 1_000 + index);
	for (const worker of [one, other]) for (const driver of rows) await read(worker, driver);
	origin.reset();
	await one.faultKv({ invalidationLog: { jitterMs: 40 } });
	for (const round of range(10)) {
		const writes = range(4).map((index) => write(one, 2_000 + 10 * round + index));
		const reads = rows.map((driver) => read(one, driver));
		await Promise.all([...writes, ...reads]);
	}
	await Promise.all(rows.map((driver) => read(one, driver)));
	assert.deepEqual(
		origin.requests.filter(({ path }) => path.startsWith(FEAST)).map(({ json }) => json.entities.driver_id),
		[],
	);
});

test("another invalidation log in its place is found out, though its numbers are higher, and costs each row once", async () => {
	const drivers = [50, 51];
	const before = await Promise.all(drivers.map((driver) => read(one, driver)));
	// What the former was told, and the isolate has not heard.
	await write(other, 50);
	const namespace = await one.objects("INVALIDATION_LOG");
	const another = namespace.getByName("another");
	for (const _ of range(30)) await another.append(appendRequest({ entries: entry("elsewhere") }));
	await one.faultKv({ invalidationLog: { instead: "another" } });
	const after = await Promise.all(drivers.map((driver) => read(one, driver)));
	for (const [index, value] of after.entries()) assert.notEqual(value, before[index]);
	const isCached = async () => {
		origin.reset();
		await Promise.all(drivers.map((driver) => read(one, driver)));
		return origin.requests.length === 0;
	};
	await until(isCached, { what: "both rows from memory" });
});

describe("with the invalidation log failing", () => {
	test("a write is acknowledged and says so, the same isolate sees it, and the other does once the invalidation log has it", async () => {
		const before = await read(one, 40);
		assert.equal(await read(other, 40), before);
		await one.faultKv({ invalidationLog: { error: "gone" } });
		const reply = await write(one, 40);
		assert.deepEqual(
			[reply.status, await reply.text(), reply.headers.get("cache-status")],
			[200, "null", "featheredge; fwd=bypass, featheredge-invalidation-log; detail=unreachable"],
		);
		assert.notEqual(await read(one, 40), before);
		await one.resetKv();
		// It is told again in the background.
		await until(async () => (await read(other, 40)) !== before, { withinMs: 30_000, everyMs: 100 });
	});
});

describe("the invalidation log itself", () => {
	const bytes = (text) => new TextEncoder().encode(text);
	let namespace;
	before(async () => {
		namespace = await one.objects("INVALIDATION_LOG");
	});

	const append = async (log, { entry = "", ...call }) => {
		const entries = typeof entry === "string" ? bytes(entry) : entry;
		const answer = appendedOf(await log.append(appendRequest({ entries, ...call })));
		return { ...answer, entries: answer.entries.map(([at, entry]) => [at, new TextDecoder().decode(entry)]) };
	};
	const contents = ({ entries }) => entries.map(([, entry]) => entry);

	test("numbers entries, and returns those that the caller does not know", async () => {
		const invalidationLog = namespace.getByName("numbers");
		const first = await append(invalidationLog, { entry: "a" });
		assert.deepEqual(
			[first.last, first.dropped, contents(first)],
			[2, 1, ["a"]],
			"the first number is of all before it",
		);
		assert.ok(Math.abs(first.now - Date.now()) < 60_000 && first.entries[0][0] === first.now);
		assert.ok(first.droppedAt < first.now && first.droppedAt > first.now - 10_000, "it knows of nothing from before");
		const { epoch } = first;
		assert.deepEqual(contents(await append(invalidationLog, { entry: "b", after: 2, epoch })), ["b"]);
		assert.deepEqual(contents(await append(invalidationLog, { epoch })), ["a", "b"]);
		assert.deepEqual(contents(await append(invalidationLog, { after: 3, epoch })), []);
	});

	test("has a number of its own, and returns all entries to a caller that knows another", async () => {
		const [invalidationLog, another] = ["epoch", "another epoch"].map((name) => namespace.getByName(name));
		const { epoch } = await append(invalidationLog, { entry: "a" });
		assert.ok(Number.isSafeInteger(epoch) && epoch > 0);
		assert.notEqual((await append(another, {})).epoch, epoch);
		for (const heard of [0, epoch + 1]) {
			const answer = await append(invalidationLog, { after: 2, epoch: heard });
			assert.deepEqual([answer.epoch, contents(answer)], [epoch, ["a"]], `${heard}`);
		}
	});

	test("believes the clock of a writer that has heard it, as far as that knows it, and no other", async () => {
		const invalidationLog = namespace.getByName("clock");
		const HOUR = 3_600_000;
		const { epoch } = await append(invalidationLog, {});
		/** How much later than the invalidation log's own time the entry is. */
		const ahead = async (clock) => {
			const { now, entries } = await append(invalidationLog, { entry: "a", ...clock });
			return entries.at(-1)[0] - now;
		};
		const at = Date.now() + HOUR;
		assert.equal(await ahead({ at, spread: HOUR }), 0, "it was never heard");
		assert.equal(await ahead({ at, spread: HOUR, epoch: epoch + 1 }), 0, "another was");
		assert.equal(await ahead({ at, spread: 20, epoch }), 20);
		assert.equal(await ahead({ at, spread: 0, epoch }), 0);
		assert.equal(await ahead({ at, spread: HOUR, epoch }), 1_000, "none knows so little of it");
		assert.equal(await ahead({ at: 5, spread: HOUR, epoch }), 0);
		assert.ok((await append(invalidationLog, {})).now < Date.now() + 1_000, "and no entry sets the clock");
	});

	test("stays within its bound, and reports up to when it has dropped entries", async () => {
		const invalidationLog = namespace.getByName("bound");
		const long = new Uint8Array(20_000).fill(1);
		for (const _ of range(60)) await append(invalidationLog, { entry: long });
		const { last, dropped, droppedAt, entries, now } = await append(invalidationLog, {});
		assert.equal(last, 61);
		assert.ok(dropped > 20 && entries.length === last - dropped && entries.length * 20_000 < 600_000, `${dropped}`);
		assert.ok(droppedAt > now - 60_000 && droppedAt <= now);
	});

	test("drops entries that concern no value any more", async () => {
		const invalidationLog = namespace.getByName("age");
		for (const _ of range(97)) await append(invalidationLog, { entry: "old" });
		const { now } = await append(invalidationLog, { entry: "old" });
		await until(async () => (await append(invalidationLog, {})).now > now + 1);
		const answer = await append(invalidationLog, { entry: "new", keep: 1 });
		assert.deepEqual([answer.last, answer.dropped, contents(answer)], [100, 1, ["new"]]);
	});
});

test("an invalidation log that begins anew under its name is another, and nothing from before it is served", async () => {
	const persist = mkdtempSync(join(tmpdir(), "featheredge-invalidation-log-"));
	const run = async (use) => {
		const worker = await startWorker({ origin, vars: VARS, persist, countKv: true });
		try {
			return await use(worker);
		} finally {
			await worker.stop();
		}
	};
	try {
		const before = await run(async (worker) => {
			const value = await read(worker, 60);
			await until(async () => (await worker.shardCounts()).writeShard.length > 0);
			return value;
		});
		assert.equal(await run((worker) => read(worker, 60)), before, "it was stored");
		await run((worker) => write(worker, 61));
		assert.equal(await run((worker) => read(worker, 60)), before, "another row was written");
		const folders = readdirSync(persist, { recursive: true }).map(String);
		const logs = folders.filter((name) => /InvalidationLog$/.test(name));
		assert.equal(logs.length, 1, folders.join("\n"));
		rmSync(join(persist, logs[0]), { recursive: true });
		assert.notEqual(await run((worker) => read(worker, 60)), before);
	} finally {
		rmSync(persist, { recursive: true, force: true });
	}
});

test("a binding that is missing is a configuration error, which names the binding and its key", async () => {
	const l3 = { ...VARS.l3, invalidation_log_binding: "LOG_OF_OLD" };
	const worker = await startWorker({ origin, vars: { ...VARS, l3 }, countKv: true });
	try {
		const reply = await worker.post(FEAST, ask(["a"], [1]));
		assert.equal(reply.status, 503);
		assert.match(await reply.text(), /no binding `LOG_OF_OLD`, which `l3\.invalidation_log_binding` names/);
	} finally {
		await worker.stop();
	}
});
