// The Worker on bare workerd, and `featheredge serve` on Node, over HTTP on several connections from another process: all in memory, beside a
// server of the same kind written by hand and beside one that returns constant bytes.

import { compare } from "./measure.mjs";
import { serveCli, serveNodePeer, serveOrigin, serveOurs, servePeer, startLoad } from "./servers.mjs";
import { originOf, workload } from "./workload.mjs";

const SHAPES = [
	{ entities: 1, features: 5 },
	{ entities: 100, features: 50 },
];

/**
 * What serves: ours, one by hand, and the limit; how ours is to compare with these, for each shape. On Node ours does what a server by hand
 * leaves out, such as deadlines.
 */
const HOSTS = [
	{
		name: "http",
		byHand: "a Worker by hand, lru-cache",
		limit: "a Worker with constant bytes",
		goals: [
			{ json: 1, constant: 0.95 },
			{ json: 1.7, constant: 0.9 },
		],
		start: (origin) => [
			serveOurs(origin, { l2: { enabled: false } }),
			servePeer("worker-json", origin),
			servePeer("worker-constant", origin),
		],
	},
	{
		name: "node http",
		byHand: "a Node server by hand, lru-cache",
		limit: "a Node server with constant bytes",
		goals: [{ json: 1 }, { json: 1.7 }],
		start: (origin) => [serveCli(origin), serveNodePeer(origin), serveNodePeer(origin, "constant")],
	},
];

const CONNECTIONS = 8;
const ROUNDS = 9;
const ROUND_MILLIS = 400;

/** @returns rows for each shape that `isWanted` */
export async function measureHttp(isWanted) {
	const rows = [];
	const load = startLoad();
	try {
		for (const host of HOSTS) {
			for (const [at, shape] of SHAPES.entries()) {
				const name = `${host.name} ${shape.entities} × ${shape.features}`;
				if (isWanted(name)) rows.push(...(await measureShape(load, name, shape, host, host.goals[at])));
			}
		}
	} finally {
		load.stop();
	}
	return rows;
}

async function measureShape(load, name, shape, { byHand, limit, start }, goals) {
	const { answer, body } = workload(shape);
	const origin = await serveOrigin(originOf({ answer }));
	const servers = await Promise.all(start(origin));
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
		const row = (unit, peerName, goal) => ({ name: unit === "µs" ? name : `${name}, p99`, unit, peerName, goal });
		return [
			compare(row("µs", byHand, goals.json), all(0, "micros"), all(1, "micros")),
			compare(row("µs", limit, goals.constant), all(0, "micros"), all(2, "micros")),
			compare(row("ms", byHand, 1), all(0, "p99"), all(1, "p99")),
		];
	} finally {
		for (const server of servers) await server.stop();
		origin.stop();
	}
}
