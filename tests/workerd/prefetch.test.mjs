// Prefetch on the real runtime: after the response, from the same isolate, into memory and KV.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { answerFeatures, ask, FEAST, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const TOKEN = "of-the-operator";
const OPERATOR = { authorization: `Bearer ${TOKEN}` };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
before(async () => {
	origin = await startOrigin(answerFeatures);
	worker = await startWorker({ origin, operatorToken: TOKEN, vars: { prefetch: { holdout_percent: 0 } } });
	await train();
});
after(async () => {
	await worker?.stop();
	await origin?.stop();
});

const read = (feature, driver, session, from = worker) =>
	from.post(FEAST, ask([feature], [driver]), session && { "featheredge-session": session });

/** Sessions that read a driver's score, and then its count. */
async function train(from = worker) {
	for (const session of range(8)) {
		for (const feature of ["score", "count"]) await (await read(feature, session, `s${session}`, from)).text();
	}
}

/** How often the origin was asked for the count of a driver. */
const callsFor = (driver) =>
	origin.requests.filter(
		({ json }) => json.features.includes("stats:count") && json.entities.driver_id.includes(driver),
	).length;

const predictions = async (driver, headers = OPERATOR, from = worker) => {
	const query = new URLSearchParams({ request: JSON.stringify(ask(["score"], [driver])) });
	return fetch(`${from.url}/v1/predictions?${query}`, { headers });
};

test("the next request of a session is prefetched after the response, and explained to operators", async () => {
	await (await read("score", 1_000, "new")).text();
	await until(() => callsFor(1_000) === 1);
	await until(async () => {
		const reply = await read("count", 1_000, "new");
		await reply.text();
		return reply.headers.get("cache-status") === "featheredge-l1; hit";
	});
	assert.equal(callsFor(1_000), 1, "it is asked for once");

	assert.equal((await predictions(1_000, {})).status, 403);
	const [{ features, entities, source, decision }] = (await (await predictions(1_000)).json()).predictions;
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

test("a request without a session prefetches nothing, though one with a session does", async () => {
	await (await read("score", 2_100)).text();
	await (await read("score", 2_200, "another")).text();
	await until(() => callsFor(2_200) === 1);
	assert.equal(callsFor(2_100), 0);
});

test("prefetch that is switched off trains on nothing and issues nothing, though sessions repeat themselves", async (t) => {
	const off = await startWorker({ origin, operatorToken: TOKEN, vars: { prefetch: { enabled: false } } });
	t.after(() => off.stop());
	await train(off);
	await (await read("score", 4_000, "new", off)).text();
	assert.deepEqual((await (await predictions(4_000, OPERATOR, off)).json()).predictions, []);
	assert.equal((await (await fetch(`${off.url}/v1/stats`)).json()).prefetch.issued, 0);
	assert.equal(callsFor(4_000), 0);
});
