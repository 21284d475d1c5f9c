// A real Feast, `feast serve` over SQLite, and the Worker before it with all rows in memory: one client on one connection.

import assert from "node:assert/strict";
import { startFeast } from "../tests/feast/feast.mjs";
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
		name: "feast 1 × 3",
		goal: 15,
		body: { features: names.map((name) => `driver_hourly_stats:${name}`), entities: { driver_id: [1001] } },
	},
	{
		name: "feast 100 × 50",
		goal: 30,
		body: { features: range(50).map((number) => `wide:feature_${number}`), entities: { item_id: range(100) } },
	},
];

const columnsOf = async ({ port }, body) => {
	const headers = { "content-type": "application/json" };
	const response = await fetch(`http://127.0.0.1:${port}${PATH}`, { method: "POST", headers, body });
	assert.equal(response.status, 200);
	const { metadata, results } = await response.json();
	// Feast's order of columns changes from one call to the next.
	return Object.fromEntries(metadata.feature_names.map((name, at) => [name, results[at].values]));
};

/** @returns rows that `isWanted` */
export async function measureFeast(isWanted) {
	const shapes = SHAPES.filter(({ name }) => isWanted(name));
	if (shapes.length === 0) return [];
	const load = startLoad();
	const feast = await startFeast();
	const rows = [];
	let ours;
	try {
		await feast.halt();
		await feast.python("../../benches/feast/wide.py", [feast.repo]);
		await feast.restart();
		ours = await serveOurs(feast, { l2: { enabled: false }, freshness: { early_refresh_percent: 0 } });
		const direct = { port: Number(new URL(feast.url).port) };
		for (const { name, goal, body } of shapes) {
			const bodies = [JSON.stringify(body)];
			assert.deepEqual(await columnsOf(ours, bodies[0]), await columnsOf(direct, bodies[0]));
			const rounds = [];
			for (let round = -1; round < ROUNDS; round++) {
				const results = [];
				for (const server of [ours, direct]) {
					results.push(await load.run(server, { bodies, connections: 1, millis: ROUND_MILLIS }));
				}
				if (round >= 0) rounds.push(results);
			}
			const all = (at, figure) => rounds.map((results) => results[at][figure]);
			const peerName = "feast serve, SQLite";
			rows.push(
				compare({ name, unit: "µs", peerName, goal }, all(0, "micros"), all(1, "micros")),
				compare({ name: `${name}, p99`, unit: "ms", peerName, goal: P99_GOAL }, all(0, "p99"), all(1, "p99")),
			);
		}
		return rows;
	} finally {
		await ours?.stop();
		load.stop();
		await feast.stop();
	}
}
