// Two versions of the Worker over one KV at the same time, as while a deployment is under way, and back to the older one.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const DRIVERS = range(40);
const PROJECT = { views: { stats: { join_keys: ["driver_id"], sources: [] } }, l3: { enabled: false } };

let folder;
/** @type {import("../support/origin.mjs").Origin} */
let origin;
before(async () => {
	folder = mkdtempSync(join(tmpdir(), "upgrade-"));
	origin = await startOrigin(answerFeatures);
});
after(async () => {
	await origin?.stop();
	rmSync(folder, { recursive: true, force: true });
});

/** Has the Workers of both versions, or of the older alone, over the same KV; each time with an empty memory. */
async function withWorkers(twins, use) {
	const worker = await startWorker({ origin, vars: PROJECT, persist: folder, twins, areTwinsNewer: true });
	try {
		return await use(worker, ...worker.twins);
	} finally {
		await worker.stop();
	}
}

/** Reads drivers one by one, and gives how many had to be asked of the origin. */
async function read(worker, drivers = DRIVERS) {
	const before = origin.requests.length;
	for (const driver of drivers) {
		const reply = await worker.post(FEAST, ask(["a"], [driver]));
		assert.equal(reply.status, 200);
		assert.deepEqual(column(await reply.json(), "a"), [valueFor("a", driver)]);
	}
	return origin.requests.length - before;
}

/** The versions of all rows in KV. */
async function versions(worker) {
	const kv = await worker.kv();
	const { keys } = await kv.list();
	const texts = await Promise.all(keys.map(({ name }) => kv.get(name)));
	return texts.map((text) => Buffer.from(text, "base64")[2]);
}

/** Waits until all rows in KV are of a version. */
const allStored = (worker, version) =>
	until(
		async () => {
			const found = await versions(worker);
			return found.length === DRIVERS.length && found.every((each) => each === version);
		},
		{ what: `all rows of version ${version}` },
	);

test("each version passes over the other's rows and stores its own; a roll back is served what it stores", async () => {
	await withWorkers(0, async (older) => {
		assert.equal(await read(older), DRIVERS.length);
		await allStored(older, 2);
	});
	await withWorkers(1, async (older, newer) => {
		assert.equal(await read(newer), DRIVERS.length, "of the newer one none is known");
		await allStored(older, 3);
		assert.equal(await read(newer), 0);
	});
	await withWorkers(1, async (older, newer) => {
		assert.equal(await read(newer), 0, "a new isolate of the newer one finds them");
		assert.equal(await read(older), DRIVERS.length, "the older one passes over them");
		await allStored(older, 2);
	});
	await withWorkers(0, async (older) => assert.equal(await read(older), 0, "rolled back, it finds its own"));
});

test("two versions over one KV under load fail no request, serve no wrong value, and count the other's rows as unusable", async () => {
	await withWorkers(1, async (older, newer) => {
		const some = (first) => DRIVERS.map((driver) => (driver * 7 + first) % 60);
		await Promise.all(range(6).map((number) => read(number % 2 ? older : newer, some(number * 11))));
		const told = await Promise.all(
			[older, newer].map((worker) => fetch(`${worker.url}/metrics`).then((reply) => reply.text())),
		);
		assert.ok(
			told.some((text) => /unusable[^\n]* [1-9]/.test(text)),
			told[0].match(/.*unusable.*/g)?.join("\n"),
		);
	});
});
