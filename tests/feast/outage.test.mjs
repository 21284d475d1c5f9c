// Feast goes away and comes back: what is cached is served all the same, what is not is an error that says so.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../support/wait.mjs";
import { assertSameReply } from "./exact.mjs";
import { edgeOnly, getOnlineFeatures, isFeastAlone, send, startWorld } from "./world.mjs";

const RECOVERY_MS = 15_000;
const ORIGIN_TIMEOUT_MS = 2_000;

const ask = (...drivers) => ({
	features: ["driver_hourly_stats:conv_rate", "driver_hourly_stats:acc_rate"],
	entities: { driver_id: drivers },
});
const WARM = {
	"a batch": ask(1001, 1002, 9999),
	"a feature service": {
		feature_service: "driver_activity_v1",
		entities: { driver_id: [1001], val_to_add: [1], val_to_add_2: [2] },
	},
};
const COLD = ask(1004);

/** @type {import("./world.mjs").World} */
let world;
let edge;
const expected = {};

before(async () => {
	world = await startWorld();
	edge = await world.startEdge({ origin: { timeout_ms: ORIGIN_TIMEOUT_MS } });
	for (const [name, body] of Object.entries(WARM)) expected[name] = await getOnlineFeatures(edge.url, body);
	await world.feast.halt();
});
after(() => world?.stop());

for (const [name, body] of Object.entries(WARM)) {
	test(`${name} that was asked for before is answered while Feast is down`, edgeOnly, async () => {
		assert.equal(expected[name].status, 200, expected[name].body);
		assertSameReply(await getOnlineFeatures(edge.url, body), expected[name], name);
	});
}

test(
	"what was never asked for is a clear error while Feast is down, in Feast's form and in time",
	edgeOnly,
	async () => {
		const started = Date.now();
		const reply = await getOnlineFeatures(edge.url, COLD);
		assert.ok(Date.now() - started < ORIGIN_TIMEOUT_MS + 2_000, "the origin's deadline holds");
		assert.ok([502, 504].includes(reply.status), `status ${reply.status}`);
		assert.match(reply.headers["content-type"], /^application\/json/);
		const message = JSON.parse(reply.body);
		assert.equal(typeof message, "string");
		assert.match(message, /origin/);
	},
);

test("a path that is passed to Feast is a clear error while Feast is down", edgeOnly, async () => {
	const reply = await send(edge.url, "/v1/vector_stores");
	assert.ok([502, 504].includes(reply.status), `status ${reply.status}`);
	assert.notEqual(reply.body, "");
});

test("/health succeeds and /ready fails while Feast is down", edgeOnly, async () => {
	assert.equal((await send(edge.url, "/health")).status, 200);
	assert.equal((await send(edge.url, "/ready")).status, 503);
});

test("a cold key is served once Feast is back", async () => {
	await world.feast.restart();
	const reply = await until(
		async () => {
			const reply = await getOnlineFeatures(edge.url, COLD);
			return reply.status === 200 && reply;
		},
		{ what: "the cold key, from Feast that is back", withinMs: RECOVERY_MS, everyMs: 250 },
	);
	assertSameReply(reply, await getOnlineFeatures(world.feast.url, COLD), "the cold key");
	if (!isFeastAlone) assert.equal((await send(edge.url, "/ready")).status, 200);
});
