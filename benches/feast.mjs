// A real Feast, `feast serve` over SQLite and over Redis, and the Worker before it with all rows in memory: one client on one connection.

import assert from "node:assert/strict";
import { startFeast } from "../tests/support/feast.mjs";
import { startRedis } from "../tests/support/redis.mjs";
import { compare } from "./measure.mjs";
import { PATH, serveOurs, startLoad } from "./servers.mjs";

const ROUNDS = 7;
const ROUND_MILLIS = 1_500;
/** Answers of Feast's in a round are some hundred, of which a hundredth is one or two. */
const P99_GOAL = 10;

const range = (count) => Array.from({ length: count }, (_, number) => number);
const names = ["conv_rate", "acc_rate", "avg_daily_trips"];
const SHAPES = [
	{
		size: "1 × 3",
		goal: 15,
		body: { features: names.map((name) => `driver_hourly_stats:${name}`), entities: { driver_id: [1001] } },
	},
	{
		size: "100 × 50",
		goal: 30,
		body: { features: range(50).map((number) => `wide:feature_${number}`), entities: { item_id: range(100) } },
	},
];

/** The online stores: what their rows are called, and where to start one. */
const STORES = [
	{ prefix: "feast", peerName: "feast serve, SQLite" },
	{ prefix: "feast redis", peerName: "feast serve, Redis", start: startRedis },
];

const columnsOf = async ({ port }, body) => {
	const headers = { "content-type": "application/json" };
	const response = await fetch(`http://127.0.0.1:${port}${PATH}`, { method: "POST", headers, body });
	assert.equal(response.status, 200);
	const { metadata, results } = await response.json();
	// Feast's order of columns changes from one call to the next.
	return Object.fromEntries(metadata.feature_names.map((name, at) => [name, results[at].values]));
};

async function measureStore({ peerName, start }, shapes, load) {
	const redis = await start?.();
	let feast;
	let ours;
	try {
		feast = await startFeast();
		await feast.halt();
		await feast.python("../../benches/feast/wide.py", [feast.repo, ...(redis ? [`127.0.0.1:${redis.port}`] : [])]);
		await feast.restart();
		const before = await redis?.counts();
		ours = await serveOurs(feast, { l2: { enabled: false }, freshness: { early_refresh_percent: 0 } });
		const direct = { port: Number(new URL(feast.url).port) };
		const rows = [];
		for (const { name, goal, body } of shapes) {
			const bodies = [JSON.stringify(body)];
			const columns = await columnsOf(direct, bodies[0]);
			assert.deepEqual(await columnsOf(ours, bodies[0]), columns);
			assert.ok(Object.values(columns).every((values) => !values.includes(null)));
			const rounds = [];
			for (let round = -1; round < ROUNDS; round++) {
				const results = [];
				for (const server of [ours, direct]) {
					results.push(await load.run(server, { bodies, connections: 1, millis: ROUND_MILLIS }));
				}
				if (round >= 0) rounds.push(results);
			}
			const all = (at, figure) => rounds.map((results) => results[at][figure]);
			rows.push(
				compare({ name, unit: "µs", peerName, goal }, all(0, "micros"), all(1, "micros")),
				compare({ name: `${name}, p99`, unit: "ms", peerName, goal: P99_GOAL }, all(0, "p99"), all(1, "p99")),
			);
		}
		// That it is Redis which Feast answers from.
		assert.ok(redis === undefined || (await redis.counts()).reads > before.reads + rows.length);
		return rows;
	} finally {
		await ours?.stop();
		await feast?.stop();
		await redis?.stop();
		redis?.remove();
	}
}

/** @returns rows that `isWanted` */
export async function measureFeast(isWanted) {
	const load = startLoad();
	const rows = [];
	try {
		for (const store of STORES) {
			const named = SHAPES.map((shape) => ({ ...shape, name: `${store.prefix} ${shape.size}` }));
			const shapes = named.filter(({ name }) => isWanted(name));
			if (shapes.length > 0) rows.push(...(await measureStore(store, shapes, load)));
		}
		return rows;
	} finally {
		load.stop();
	}
}
