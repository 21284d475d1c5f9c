// Fetching ahead on the real runtime: behind the answer, from the same isolate, into memory and KV.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answerFeatures, ask, FEAST, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

const TOKEN = "of-the-operator";

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
before(async () => {
	origin = await startOrigin(answerFeatures);
	worker = await startWorker({ origin, operatorToken: TOKEN, vars: { prefetch: { holdout_percent: 0 } } });
});
after(async () => {
	await worker?.stop();
	await origin?.stop();
});

const read = (feature, driver, session, from = worker) =>
	from.post(FEAST, ask([feature], [driver]), session && { "featheredge-session": session });

/** How often the origin was asked for a feature. */
const callsFor = (feature) => origin.requests.filter(({ json }) => json?.features?.includes(`stats:${feature}`)).length;

/** Waits until `is` holds, as long as a loaded machine may need. */
async function until(is) {
	for (let tries = 0; !is() && tries < 500; tries++) await sleep(20);
	assert.ok(is(), "it did not come about");
}

test("what sessions ask next is fetched behind the answer, and explained to operators", async () => {
	for (const session of range(8)) {
		await (await read("score", session, `s${session}`)).text();
		await (await read("count", session, `s${session}`)).text();
	}
	const before = callsFor("count");
	await (await read("score", 1_000, "new")).text();
	await until(() => callsFor("count") === before + 1);
	let status;
	for (let tries = 0; tries < 100 && status !== "featheredge-l1; hit"; tries++) {
		await sleep(20);
		const reply = await read("count", 1_000, "new");
		await reply.text();
		status = reply.headers.get("cache-status");
	}
	assert.equal(status, "featheredge-l1; hit");
	assert.equal(callsFor("count"), before + 1, "it is asked for once");

	const query = new URLSearchParams({ request: JSON.stringify(ask(["score"], [1_000])) });
	const explain = (headers) => fetch(`${worker.url}/v1/predictions?${query}`, { headers });
	assert.equal((await explain({})).status, 403);
	const told = await (await explain({ authorization: `Bearer ${TOKEN}` })).json();
	const [{ features, entities, source, decision }] = told.predictions;
	assert.deepEqual(
		{ features, entities, source, decision },
		{
			features: ["stats:count"],
			entities: { driver_id: [1_000] },
			source: "same_entity",
			decision: "in_memory",
		},
	);
});

test("without a session nothing is fetched ahead", async () => {
	const before = callsFor("count");
	await (await read("score", 2_000)).text();
	await sleep(200);
	assert.equal(callsFor("count"), before);
});

test("switched off, nothing is learned and nothing is fetched ahead, though sessions repeat themselves", async (t) => {
	const off = await startWorker({ origin, operatorToken: TOKEN, vars: { prefetch: { enabled: false } } });
	t.after(() => off.stop());
	for (const session of range(8, 3_000)) {
		await (await read("score", session, `s${session}`, off)).text();
		await (await read("count", session, `s${session}`, off)).text();
	}
	const before = callsFor("count");
	await (await read("score", 4_000, "new", off)).text();
	await sleep(200);
	assert.equal(callsFor("count"), before);
	const query = new URLSearchParams({ request: JSON.stringify(ask(["score"], [4_000])) });
	const told = await fetch(`${off.url}/v1/predictions?${query}`, { headers: { authorization: `Bearer ${TOKEN}` } });
	assert.deepEqual((await told.json()).predictions, []);
});
