// The real Feast SDK, with `online_store: {type: remote, path: URL}`, cannot tell Featheredge from Feast.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getOnlineFeatures, startWorld } from "./world.mjs";

const DRIVERS = { driver_id: [1001, 9999, 1003, 1001] };
const TWO = { driver_id: [1001, 1002] };
const ADDENDS = { val_to_add: [1000, 1001], val_to_add_2: [2000, 2002] };
const PAIRS = { driver_id: [1001, 1002, 1001], customer_id: ["c1", "zoë", "nobody"] };
const STATS = ["driver_hourly_stats:conv_rate", "driver_hourly_stats:acc_rate", "driver_hourly_stats:avg_daily_trips"];

/** Reads whose values are the same in Feast's own store: the remote client gets no other types for them. */
const plain = {
	"numbers of entities, some unknown and one twice": { features: STATS, entity_rows: DRIVERS },
	"entity rows as a list": { features: STATS, entity_rows: [{ driver_id: 1002 }, { driver_id: 1001 }] },
	"full names": { features: STATS, entity_rows: TWO, full_feature_names: true },
	"composite keys of several views": {
		features: ["driver_customer_affinity:rides", "driver_customer_affinity:affinity", "customer_profile:full_name"],
		entity_rows: PAIRS,
	},
	"on-demand features": {
		features: [...STATS, "transformed_conv_rate:conv_rate_plus_val1"],
		entity_rows: { ...TWO, ...ADDENDS },
	},
	"a feature service": { feature_service: "driver_activity_v1", entity_rows: { ...TWO, ...ADDENDS } },
};
/** Reads whose values the remote client types anew, from Feast itself as from Featheredge. It has no type for an empty list. */
const retyped = {
	"a feature service, full names": {
		feature_service: "trip_v1",
		entity_rows: { driver_id: [1001], customer_id: ["c2"] },
		full_feature_names: true,
	},
	"maps, JSON and structs": {
		features: ["driver_metadata", "driver_config", "driver_profile"].map((name) => `driver_hourly_stats:${name}`),
		entity_rows: TWO,
	},
	"every type": {
		features: [
			"an_int64",
			"a_float32",
			"a_float64",
			"a_bool",
			"a_string",
			"some_bytes",
			"a_time",
			"int64s",
			"float32s",
		].map((name) => `every_type:${name}`),
		entity_rows: { driver_id: [1001, 1003, -5, 7] },
	},
};
const refused = {
	"a view that does not exist": { features: ["nope:conv_rate"], entity_rows: TWO },
	"a feature that does not exist": { features: ["driver_hourly_stats:nope"], entity_rows: TWO },
	"a request that is malformed": { features: [1], entity_rows: TWO },
};
/** As releases before 0.64 read: the event time of all rows is that of the first. */
const byView = {
	"a view at a time": {
		view: "driver_hourly_stats",
		join_key: "driver_id",
		values: [1001, 1002],
		features: ["conv_rate"],
	},
	"a view at a time, several features": {
		view: "every_type",
		join_key: "driver_id",
		values: [1002, 1001],
		features: ["an_int64", "a_string", "int64s"],
	},
};
const reads = { ...plain, ...retyped, ...refused, ...byView };

/** @type {import("./world.mjs").World} */
let world;
let edge;
/** @type {Record<string, { store: any, direct: any, cold: any, warm: any }>} */
let got;

async function call(sources, calls) {
	const file = join(world.feast.dir, "calls.json");
	writeFileSync(file, JSON.stringify({ repo: world.feast.repo, sources, calls }));
	const output = await world.feast.python("read_with_sdk.py", [file]);
	return JSON.parse(output.trim().split("\n").at(-1));
}

before(async () => {
	world = await startWorld();
	edge = await world.startEdge();
	got = await call({ store: null, direct: world.feast.url, cold: edge.url, warm: edge.url }, reads);
});
after(() => world?.stop());

const messageOf = ({ error, message }) => `${error} ${message}`.replaceAll(/port=\d+|127\.0\.0\.1:\d+/g, "");

for (const name of [...Object.keys(plain), ...Object.keys(retyped)]) {
	test(`${name}: values, types, statuses and event times are those that Feast gives`, () => {
		const { direct, cold, warm } = got[name];
		assert.ok(direct.values, JSON.stringify(direct));
		assert.deepEqual(cold, direct, "cold");
		assert.deepEqual(warm, direct, "warm");
	});
}

for (const name of Object.keys(plain)) {
	test(`${name}: values and statuses are those in Feast's own store`, () => {
		const { store, warm } = got[name];
		assert.deepEqual([warm.values, warm.statuses], [store.values, store.statuses]);
	});
}

for (const name of Object.keys(byView)) {
	test(`${name}: values and event times are those that Feast gives, the time that of its own store`, () => {
		const { store, direct, cold, warm } = got[name];
		assert.ok(Array.isArray(direct), JSON.stringify(direct));
		assert.deepEqual(cold, direct, "cold");
		assert.deepEqual(warm, direct, "warm");
		assert.equal(warm[0].event_time, store[0].event_time);
		assert.notEqual(warm[0].event_time, "None");
	});
}

for (const name of Object.keys(refused)) {
	test(`${name}: the SDK raises what it raises with Feast`, () => {
		const { direct, cold, warm } = got[name];
		assert.ok(direct.error, JSON.stringify(direct));
		// Featheredge words a malformed body's error on its own.
		const said = name.includes("malformed") ? ({ error, message }) => `${error} ${message.slice(0, 36)}` : messageOf;
		for (const actual of [cold, warm]) assert.equal(said(actual), said(direct));
	});
}

test("what the SDK writes through Featheredge is in Feast's store", async () => {
	const time = "2026-11-23T09:22:41";
	const rows = {
		driver_id: [1004],
		event_timestamp: [time],
		created: [time],
		conv_rate: [0.5],
		acc_rate: [1.0],
		avg_daily_trips: [7],
	};
	const rest = { driver_metadata: [{ a: "b" }], driver_config: ["{}"], driver_profile: [{ name: "n", age: "1" }] };
	const written = await call(
		{ edge: edge.url },
		{ write: { into: "driver_hourly_stats", rows: { ...rows, ...rest } } },
	);
	assert.deepEqual(written, { write: { edge: "written" } });
	const { body } = await getOnlineFeatures(world.feast.url, { features: STATS, entities: { driver_id: [1004] } });
	for (const value of ['"values":[0.5]', '"values":[1.0]', '"values":[7]']) assert.ok(body.includes(value), body);
});
