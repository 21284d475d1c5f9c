// The Worker on bare workerd, over HTTP on several connections from another process: all in memory, beside a Worker written by hand
// and beside one that returns constant bytes.

import { compare } from "./measure.mjs";
import { serveOrigin, serveOurs, servePeer, startLoad } from "./servers.mjs";
import { originOf, workload } from "./workload.mjs";

/** What is asked; how ours is to compare with the Worker written by hand, and with the limit. */
const SHAPES = [
	{ entities: 1, features: 5, json: 1, constant: 0.95 },
	{ entities: 100, features: 50, json: 1.7, constant: 0.9 },
];

const CONNECTIONS = 8;
const ROUNDS = 9;
const ROUND_MILLIS = 400;

/** @returns rows for each shape that `isWanted` */
export async function measureHttp(isWanted) {
	const rows = [];
	const load = startLoad();
	try {
		for (const shape of SHAPES) {
			const name = `http ${shape.entities} × ${shape.features}`;
			if (isWanted(name)) rows.push(...(await measureShape(load, name, shape)));
		}
	} finally {
		load.stop();
	}
	return rows;
}

async function measureShape(load, name, shape) {
	const { answer, body } = workload(shape);
	const origin = await serveOrigin(originOf({ answer }));
	const servers = [
		await serveOurs(origin, { l2: { enabled: false } }),
		await servePeer("worker-json", origin),
		await servePeer("worker-constant", origin),
	];
	const run = (server, millis) => load.run(server, { bodies: [body], connections: CONNECTIONS, millis });
	try {
		for (const server of servers) await run(server, ROUND_MILLIS * 2);
		const rounds = [];
		for (let number = 0; number < ROUNDS; number++) {
			const results = [];
			for (const server of servers) results.push(await run(server, ROUND_MILLIS));
			rounds.push(results);
		}
		const all = (at, figure) => rounds.map((results) => results[at][figure]);
		const byHand = "a Worker by hand, lru-cache";
		const row = (unit, peerName, goal) => ({ name: unit === "µs" ? name : `${name}, p99`, unit, peerName, goal });
		return [
			compare(row("µs", byHand, shape.json), all(0, "micros"), all(1, "micros")),
			compare(row("µs", "a Worker with constant bytes", shape.constant), all(0, "micros"), all(2, "micros")),
			compare(row("ms", byHand, 1), all(0, "p99"), all(1, "p99")),
		];
	} finally {
		for (const server of servers) await server.stop();
		origin.stop();
	}
}
