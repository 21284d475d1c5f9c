// Writes to a real Feast through the Worker: who reads after a write was answered reads what was written.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "../support/wait.mjs";
import { assertSameReply, readAnswer } from "./exact.mjs";
import { edgeOnly, getOnlineFeatures, isFeastAlone, post, startWorld } from "./world.mjs";

const TIME = "2026-11-23T09:22:41";
const frame = (driver, trips) => ({
	driver_id: [driver],
	event_timestamp: [TIME],
	created: [TIME],
	conv_rate: [trips / 1_000],
	acc_rate: [0.25],
	avg_daily_trips: [trips],
	driver_metadata: [{ vehicle_type: "truck" }],
	driver_config: ['{"max_distance_km": 500}'],
	driver_profile: [{ name: "Zoë", age: "30" }],
});
/** The view that the push source feeds. */
const FRESH = "driver_hourly_stats_fresh";
const ask = (view, ...drivers) => ({ features: [`${view}:avg_daily_trips`], entities: { driver_id: drivers } });
const computed = (view, driver) => ({
	features: [`${view}:conv_rate_plus_val1`],
	entities: { driver_id: [driver], val_to_add: [1], val_to_add_2: [2] },
});
const trips = (reply) => readAnswer(reply.body).columns.avg_daily_trips.values.map(({ number }) => Number(number));

/** @type {import("./world.mjs").World} */
let world;
before(async () => {
	world = await startWorld({ registry: true });
});
after(() => world?.stop());

const WAYS = {
	"with no join keys configured": { isExact: false, vars: () => ({}) },
	"with join keys and a push source from the configuration": {
		isExact: true,
		vars: () => ({
			views: {
				driver_hourly_stats: { join_keys: ["driver_id"], sources: [] },
				transformed_conv_rate: {
					join_keys: ["driver_id", "val_to_add", "val_to_add_2"],
					sources: ["driver_hourly_stats"],
				},
				[FRESH]: { join_keys: ["driver_id"], sources: [] },
				transformed_conv_rate_fresh: { join_keys: ["driver_id", "val_to_add", "val_to_add_2"], sources: [FRESH] },
			},
			push_sources: { driver_stats_push_source: [FRESH] },
		}),
	},
	"with join keys and push sources from Feast's registry": {
		isExact: true,
		vars: ({ registryUrl }) => ({ registry: { url: registryUrl, project: "demo" } }),
	},
};

for (const [way, { isExact, vars }] of Object.entries(WAYS)) {
	describe(way, () => {
		let edge;
		before(async () => {
			edge = await world.startEdge(vars(world.feast));
		});
		after(() => edge?.stop());

		for (const [name, view, made, path, body] of [
			[
				"a push",
				FRESH,
				"transformed_conv_rate_fresh",
				"/push",
				(df) => ({ push_source_name: "driver_stats_push_source", df, to: "online" }),
			],
			[
				"a write to the online store",
				"driver_hourly_stats",
				"transformed_conv_rate",
				"/write-to-online-store",
				(df) => ({ feature_view_name: "driver_hourly_stats", df }),
			],
		]) {
			test(`${name} is read by whoever reads after it, and by views made of it`, async () => {
				const read = (body) => getOnlineFeatures(edge.url, body);
				const value = 100 + Math.floor(Math.random() * 800);
				for (const body of [ask(view, 1001), ask(view, 1002), computed(made, 1001)]) await read(body);
				const written = await post(edge.url, path, body(frame(1001, value)));
				assert.equal(written.status, 200, written.body);
				const calls = edge.originCalls.length;
				assert.deepEqual(trips(await read(ask(view, 1001))), [value]);
				const expected = await getOnlineFeatures(world.feast.url, computed(made, 1001));
				assertSameReply(await read(computed(made, 1001)), expected, "the view that is made of it");
				await read(ask(view, 1002));
				await read(ask(view, 1001));
				if (isFeastAlone) return;
				assert.equal(edge.originCalls.length - calls, isExact ? 2 : 3, "what was not written stays cached");
			});
		}

		test("a write that Feast refuses comes back in Feast's own words", async () => {
			const wrong = { feature_view_name: "no_such_view", df: frame(1001, 5) };
			assertSameReply(
				await post(edge.url, "/write-to-online-store", wrong),
				await post(world.feast.url, "/write-to-online-store", wrong),
				"refusal",
			);
		});
	});
}

/** Spellings of 1002 that Feast takes for it where the join key is an integer. */
const SPELLINGS = ["1002", '"1002"', "1002.0", "1002.7", "1.002e3", '"１００２"', String.raw`" 10_02\u00a0"`];

test("a push is read by whoever reads after it, in whatever spelling of the key it was read and written", async () => {
	const view = { driver_hourly_stats_fresh: { join_keys: ["driver_id"], sources: [] } };
	const edge = await world.startEdge({ views: view, push_sources: { driver_stats_push_source: [FRESH] } });
	const read = async (id) => {
		const reply = await getOnlineFeatures(
			edge.url,
			`{"features":["${FRESH}:avg_daily_trips"],"entities":{"driver_id":[${id}]}}`,
		);
		assert.equal(reply.status, 200, `${id}: ${reply.body}`);
		return trips(reply)[0];
	};
	try {
		let value = 5_000;
		for (const written of ["1002", '"1002"', "1002.7"]) {
			for (const id of SPELLINGS) await read(id);
			value += 1;
			const push = { push_source_name: "driver_stats_push_source", df: frame(0, value), to: "online" };
			const body = JSON.stringify(push).replace('"driver_id":[0]', `"driver_id":[${written}]`);
			const reply = await post(edge.url, "/push", body);
			assert.equal(reply.status, 200, `${written}: ${reply.body}`);
			for (const id of SPELLINGS) assert.equal(await read(id), value, `${id} read, ${written} written`);
		}
	} finally {
		await edge.stop();
	}
});

test("keys that Feast converts cost nobody else, and are answered as Feast answers them", async () => {
	const edge = await world.startEdge();
	try {
		for (const ids of ["1001,1001.7,0.5,9007199254740993.0,1.795420800000123456e18,true,1002", ...SPELLINGS]) {
			const body = `{"features":["driver_hourly_stats:avg_daily_trips"],"entities":{"driver_id":[${ids}]}}`;
			const expected = await getOnlineFeatures(world.feast.url, body);
			assert.equal(expected.status, 200, expected.body);
			assertSameReply(await getOnlineFeatures(edge.url, body), expected, ids);
			assertSameReply(await getOnlineFeatures(edge.url, body), expected, `${ids}, again`);
		}
	} finally {
		await edge.stop();
	}
});

test(
	"two requests at the moment of a write: neither that comes after it is older than the write",
	edgeOnly,
	async () => {
		const edge = await world.startEdge();
		try {
			for (let round = 0; round < 10; round += 1) {
				const value = 1_000 + round;
				const early = getOnlineFeatures(edge.url, ask(FRESH, 1003, 1004));
				const push = { push_source_name: "driver_stats_push_source", df: frame(1003, value), to: "online" };
				assert.equal((await post(edge.url, "/push", push)).status, 200);
				const late = await Promise.all([0, 1, 2].map(() => getOnlineFeatures(edge.url, ask(FRESH, 1003, 1004))));
				for (const reply of late) assert.equal(trips(reply)[0], value);
				await early;
			}
		} finally {
			await edge.stop();
		}
	},
);

test("a materialization that goes on in the background keeps its view's rows from being kept", edgeOnly, async () => {
	const views = Object.fromEntries(
		["driver_hourly_stats", FRESH].map((view) => [view, { join_keys: ["driver_id"], sources: [] }]),
	);
	const edge = await world.startEdge({ views, writes: { visible_within_ms: 0 } });
	try {
		const read = async (view) => {
			const { status, body, headers } = await getOnlineFeatures(edge.url, ask(view, 1001));
			// Feast serves nothing of a view while it is written.
			if (status !== 200) assert.match(body, /MATERIALIZING/);
			return headers["cache-status"] ?? "refused";
		};
		for (const view of Object.keys(views)) await read(view);
		const body = { end_ts: new Date().toISOString(), feature_views: ["driver_hourly_stats"] };
		const begun = await post(edge.url, "/materialize-incremental?async=true", body);
		assert.equal(begun.status, 202, begun.body);
		for (let time = 0; time < 2; time++) {
			assert.doesNotMatch(await read("driver_hourly_stats"), /^featheredge-l1; hit/);
			assert.match(await read(FRESH), /^featheredge-l1; hit/, "it names another view");
		}
		// Feast ends once its job has.
		const ofFeast = () => getOnlineFeatures(world.feast.url, ask("driver_hourly_stats", 1001));
		await until(async () => (await ofFeast()).status === 200);
	} finally {
		await edge.stop();
	}
});
