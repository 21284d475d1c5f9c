// Which columns key a view decides what requests can share. Featheredge learns it from Feast's registry, or from its configuration.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { freePort } from "../support/workerd.mjs";
import { assertSameReply } from "./exact.mjs";
import { edgeOnly, getOnlineFeatures, startWorld } from "./world.mjs";

const bothViews = (driver, customer) => ({
	features: ["driver_hourly_stats:conv_rate", "customer_profile:tier"],
	entities: { driver_id: [driver], customer_id: [customer] },
});
const affinity = (driver, customer) => ({
	features: ["driver_customer_affinity:rides"],
	entities: { driver_id: [driver], customer_id: [customer] },
});
const onDemand = (driver, first, second) => ({
	features: ["transformed_conv_rate:conv_rate_plus_val1"],
	entities: { driver_id: [driver], val_to_add: [first], val_to_add_2: [second] },
});

/** @type {import("./world.mjs").World} */
let world;
before(async () => {
	world = await startWorld({ registry: true });
});
after(() => world?.stop());

/** How many calls Feast gets for the last of these requests; each answer is checked. */
async function callsForLast(edge, ...bodies) {
	let before = 0;
	for (const body of bodies) {
		before = edge.originCalls.length;
		assertSameReply(
			await getOnlineFeatures(edge.url, body),
			await getOnlineFeatures(world.feast.url, body),
			JSON.stringify(body),
		);
	}
	return edge.originCalls.length - before;
}

const KNOWN = {
	"the registry": () => ({ registry: { url: world.feast.registryUrl, project: "demo" } }),
	"the registry, of the project that all keys are of": () => ({
		project: "demo",
		registry: { url: world.feast.registryUrl },
	}),
	"the configuration": () => ({
		views: {
			driver_hourly_stats: { join_keys: ["driver_id"] },
			customer_profile: { join_keys: ["customer_id"] },
			driver_customer_affinity: { join_keys: ["driver_id", "customer_id"] },
			transformed_conv_rate: { join_keys: ["driver_id", "val_to_add", "val_to_add_2"] },
		},
	}),
};

for (const [source, vars] of Object.entries(KNOWN)) {
	describe(`join keys from ${source}`, edgeOnly, () => {
		let edge;
		before(async () => {
			edge = await world.startEdge(vars());
		});
		after(() => edge?.stop());

		test("entities of two views that were read in other pairs are read from the cache", async () => {
			assert.equal(await callsForLast(edge, bothViews(1001, "c1"), bothViews(1002, "c2"), bothViews(1001, "c2")), 0);
		});

		test("a composite key is not shared by half", async () => {
			assert.equal(await callsForLast(edge, affinity(1001, "c1"), affinity(1002, "zoë"), affinity(1001, "zoë")), 1);
		});

		test("request data are part of an on-demand view's key", async () => {
			assert.equal(await callsForLast(edge, onDemand(1001, 1, 2), onDemand(1001, 3, 2)), 1);
			assert.equal(await callsForLast(edge, onDemand(1001, 1, 2)), 0);
		});
	});
}

const UNKNOWN = {
	"nothing tells the join keys": async () => ({}),
	"the registry cannot be reached": async () => ({
		registry: { url: `http://127.0.0.1:${await freePort()}`, project: "demo" },
	}),
	"the registry does not know the project": async () => ({
		registry: { url: world.feast.registryUrl, project: "nope" },
	}),
};

for (const [situation, vars] of Object.entries(UNKNOWN)) {
	test(`${situation}: the whole entity row is the key, and answers are right`, edgeOnly, async () => {
		const edge = await world.startEdge(await vars());
		try {
			assert.equal(await callsForLast(edge, bothViews(1001, "c1"), bothViews(1002, "c2"), bothViews(1001, "c2")), 1);
			assert.equal(await callsForLast(edge, bothViews(1001, "c2")), 0);
		} finally {
			await edge.stop();
		}
	});
}
