// L2 hits: rows that memory does not hold and a store does, beside the same job by hand over the same store. Redis in Node, Workers KV in
// workerd; what each asks of its store is counted.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createEngine, feastOrigin } from "../build/package/dist/node.js";
import { redisStore } from "../build/package/dist/redis.js";
import { startRedis } from "../tests/support/redis.mjs";
import { compare, counted, median } from "./measure.mjs";
import { RedisJson } from "./peers/redis-json.mjs";
import { PATH, serveOrigin, serveOurs, servePeer, startLoad } from "./servers.mjs";
import { originOf, workload } from "./workload.mjs";

const SHAPE = { entities: 100, features: 20 };
/** How many requests for other entities take turns: rows that others wait for at the same time would be read once for all. */
const BODIES = 20;
const GOAL = 1.2;
/** How many requests are under way at a time, as in a server. */
const CONCURRENCY = 8;
const CALLS = 200;
const ROUNDS = 11;
/** How long a store may take to keep all rows, and those of one request, in milliseconds. */
const WRITTEN_MILLIS = 500;
const BREATH_MILLIS = 10;
/** The same for the local KV, which does one thing after the other: a request that comes too early waits for the last one's writes. */
const KV_BREATH_MILLIS = 400;
/** How many cold requests a round has, and how many where each is followed by so long a breath. */
const COLD_CALLS = 20;
const KV_COLD_CALLS = 5;
const WORKER_ROUNDS = 9;
const WORKER_MILLIS = 500;

/** Memory keeps one row, so that all others come from the store; and nothing is fetched in the background. */
const SETTINGS = {
	l1: { max_entries: 1 },
	freshness: { early_refresh_percent: 0 },
	// As who writes it by hand: no store is given up, however slow.
	l2: { timeout_ms: 10_000, write_interval_ms: 0 },
	deadlines: { default_ms: 20_000, adaptive_timeouts: false, hedging: false },
	breaker: { enabled: false },
	views: { driver_hourly_stats: { join_keys: ["driver_id"] } },
};

/** Requests for the rows of one view, a hundred each, and the origin that has them all. */
function world() {
	const { request, answer } = workload({ ...SHAPE, entities: SHAPE.entities * BODIES });
	const ids = request.entities.driver_id;
	const requests = Array.from({ length: BODIES }, (_, number) => {
		const driver_id = ids.slice(number * SHAPE.entities, (number + 1) * SHAPE.entities);
		return { ...request, entities: { driver_id } };
	});
	const bodies = requests.map((request) => Buffer.from(JSON.stringify(request)));
	return { request, answer, requests, bodies, answerOf: originOf({ answer }) };
}

/** What a function does with each of the items by turns. */
function byTurns(items, act) {
	let turn = 0;
	return () => act(items[turn++ % items.length]);
}

/** Microseconds of one call, with so many under way. */
async function timeOf(serve, concurrency) {
	let left = CALLS;
	const began = performance.now();
	const go = async () => {
		while (left-- > 0) await serve();
	};
	await Promise.all(Array.from({ length: concurrency }, go));
	return ((performance.now() - began) * 1_000) / CALLS;
}

/** As `race`, of what is asked of another process. */
async function raceStores(contenders, concurrency) {
	const times = contenders.map(() => []);
	for (let round = -2; round < ROUNDS; round++) {
		for (const [at, serve] of contenders.entries()) {
			const time = await timeOf(serve, concurrency);
			if (round >= 0) times[at].push(time);
		}
	}
	return times;
}

/** An engine of the package over Redis, with an origin of ours. */
async function startRedisWorld(answerOf) {
	const server = await startRedis();
	const origin = await serveOrigin(answerOf);
	const client = new Redis({ port: server.port });
	const engine = await createEngine({
		l2: redisStore(client),
		origin: feastOrigin(origin.url),
		config: SETTINGS,
	});
	return {
		server,
		origin,
		client,
		engine,
		async stop() {
			await engine.close();
			client.disconnect();
			origin.stop();
			await server.stop();
			server.remove();
		},
	};
}

async function measureRedis() {
	const { request, answer, requests, bodies, answerOf } = world();
	const { server, origin, client, engine, stop } = await startRedisWorld(answerOf);
	const peer = new RedisJson(client);
	try {
		await peer.fill(request, answer);
		for (const body of bodies) await engine.serveBytes(body, { protocol: "feast" });
		await sleep(WRITTEN_MILLIS);
		for (const body of bodies) {
			const expected = JSON.parse(answerOf(body).toString());
			const ours = Buffer.from(await engine.serveBytes(body, { protocol: "feast" }));
			for (const given of [ours, await peer.serve(body)]) assert.deepEqual(JSON.parse(given.toString()), expected);
		}
		assert.equal(origin.calls, BODIES, "all came from Redis");
		const natives = requests.map(({ entities, features }) => ({ entities, feature_names: features }));
		const oursBytes = byTurns(bodies, (body) => engine.serveBytes(body, { protocol: "feast" }));
		const theirBytes = byTurns(bodies, (body) => peer.serve(body));
		const theirObjects = byTurns(bodies, (body) => peer.serveObject(body));
		const commands = async (serve) => {
			const before = await server.counts();
			for (let call = 0; call < 10; call++) await serve();
			const after = await server.counts();
			return (after.mget - before.mget + (after.get - before.get)) / 10;
		};
		const name = `l2 redis ${SHAPE.entities} × ${SHAPE.features}`;
		const row = (what, goal) => ({ name: `${name}, ${what}`, unit: "µs", peerName: RedisJson.title, goal });
		const counts = [await commands(oursBytes), await commands(theirBytes)];
		const rows = [counted({ ...row("commands"), unit: "commands" }, ...counts)];
		for (const concurrency of [CONCURRENCY, 1]) {
			const times = await raceStores([oursBytes, theirBytes], concurrency);
			rows.push(compare(row(`${concurrency} at a time`, GOAL), ...times));
		}
		const columns = byTurns(natives, (native) => engine.columns(native));
		rows.push(compare(row("columns"), ...(await raceStores([columns, theirObjects], CONCURRENCY))));
		const objects = byTurns(natives, (native) => engine.serve(native));
		rows.push(compare(row("objects"), ...(await raceStores([objects, theirObjects], CONCURRENCY))));
		return rows;
	} finally {
		await stop();
	}
}

const COUNTING = {
	name: "counting-entry.mjs",
	contents: readFileSync(new URL("../tests/support/counting-entry.mjs", import.meta.url), "utf8"),
};

/** How many operations of KV one request takes, once its rows are there. */
async function countKv(origin, load, bodies) {
	const counting = await serveOurs(origin, SETTINGS, COUNTING);
	try {
		await fill(counting, load, bodies, origin);
		await fetch(`${counting.url}/__test/kv`, { method: "DELETE" });
		const { requests } = await load.run(counting, { bodies, connections: 1, millis: 200 });
		const { get, bulkGet } = await (await fetch(`${counting.url}/__test/kv`)).json();
		return (get + bulkGet) / requests;
	} finally {
		await counting.stop();
	}
}

/** How often a Worker may be asked for the rows until KV has them all, a second apart. */
const PASSES = 20;

/** Lets a Worker fetch and write the rows, until it asks the origin for none: KV takes its time, and remembers a missing key for a while. */
async function fill(server, load, bodies, origin) {
	for (let pass = 0; pass < PASSES; pass++) {
		const before = origin.calls;
		for (const body of bodies) await load.run(server, { bodies: [body], connections: 1, millis: 1 });
		if (origin.calls === before) return;
		await sleep(1_000);
	}
	throw new Error("the store did not keep the rows");
}

async function measureKv() {
	const { bodies, answerOf } = world();
	const origin = await serveOrigin(answerOf);
	const load = startLoad();
	const servers = [];
	try {
		const operations = await countKv(origin, load, bodies);
		servers.push(await serveOurs(origin, SETTINGS), await servePeer("worker-kv", origin));
		for (const server of servers) await fill(server, load, bodies, origin);
		const calls = origin.calls;
		const rounds = [];
		for (let number = 0; number < WORKER_ROUNDS; number++) {
			const results = [];
			for (const server of servers) {
				results.push(await load.run(server, { bodies, connections: CONCURRENCY, millis: WORKER_MILLIS }));
			}
			rounds.push(results);
		}
		// The local KV fails a bulk read now and then under load, and ours then asks the origin.
		const requests = rounds.flat().reduce((sum, result) => sum + result.requests, 0);
		assert.ok(origin.calls - calls < requests * 0.1, "nearly all came from KV");
		const all = (at, figure) => rounds.map((results) => results[at][figure]);
		const name = `l2 kv ${SHAPE.entities} × ${SHAPE.features}`;
		const peerName = "a Worker by hand, bulk reads and JSON";
		return [
			counted({ name: `${name}, operations`, unit: "reads", peerName }, operations, 1),
			compare({ name, unit: "µs", peerName, goal: GOAL }, all(0, "micros"), all(1, "micros")),
			compare({ name: `${name}, p99`, unit: "ms", peerName, goal: 1 }, all(0, "p99"), all(1, "p99")),
		];
	} finally {
		for (const server of servers) await server.stop();
		load.stop();
		origin.stop();
	}
}

/** Answers for any entities, with the values of the workload's. */
function echoing({ answer }) {
	const [keys, ...results] = answer.results;
	return (body) => {
		const { entities } = JSON.parse(body.toString());
		return Buffer.from(JSON.stringify({ ...answer, results: [{ ...keys, values: entities.driver_id }, ...results] }));
	};
}

/**
 * What is in no tier: how often the origin is called, and by how much later an answer comes than the origin's own to the same process.
 *
 * @param {string} where
 * @param {{ calls: number }} origin
 * @param {(body: string) => Promise<unknown>} serve
 * @param {(body: string) => Promise<unknown>} direct
 */
async function raceCold(where, origin, request, serve, direct, [calls, breath] = [COLD_CALLS, BREATH_MILLIS]) {
	let next = 1;
	// Nobody has asked for these entities before.
	const body = () => {
		const driver_id = Array.from({ length: SHAPE.entities }, () => next++);
		return JSON.stringify({ features: request.features, entities: { driver_id } });
	};
	const rounds = [];
	let asked = 0;
	let called = 0;
	for (let round = -2; round < ROUNDS; round++) {
		const times = { ours: [], direct: [] };
		for (let call = 0; call < calls; call++) {
			let began = performance.now();
			await direct(body());
			times.direct.push(performance.now() - began);
			const before = origin.calls;
			began = performance.now();
			await serve(body());
			times.ours.push(performance.now() - began);
			// Rows are written in the background, which is not this figure's business.
			await sleep(breath);
			called += origin.calls - before;
			asked += 1;
		}
		if (round >= 0) rounds.push(median(times.ours) - median(times.direct));
	}
	const name = `cold ${SHAPE.entities} × ${SHAPE.features}, ${where}`;
	const limits = rounds.map(() => 3);
	return [
		counted({ name: `${name}, calls`, unit: "calls", peerName: "one call for each request" }, called / asked, 1),
		compare({ name: `${name}, added`, unit: "ms", peerName: "3 ms above the origin's own", goal: 1 }, rounds, limits),
	];
}

const post = async (url, body) => {
	const response = await fetch(`${url}${PATH}`, { method: "POST", body });
	assert.equal(response.status, 200, response.status === 200 ? "" : await response.clone().text());
	await response.arrayBuffer();
};

async function measureCold() {
	const { request, answer } = workload(SHAPE);
	const { origin, engine, stop } = await startRedisWorld(echoing({ answer }));
	const encoder = new TextEncoder();
	const rows = [];
	try {
		const serve = (body) => engine.serveBytes(encoder.encode(body), { protocol: "feast" });
		rows.push(...(await raceCold("Redis", origin, request, serve, (body) => post(origin.url, body))));
		for (const [where, vars, pace] of [
			["Worker", { l2: { enabled: false } }],
			["Worker and KV", {}, [KV_COLD_CALLS, KV_BREATH_MILLIS]],
		]) {
			const ours = await serveOurs(origin, { views: SETTINGS.views, ...vars });
			const viaWorker = (body) => post(ours.url, body);
			const direct = (body) => post(origin.url, body);
			rows.push(...(await raceCold(where, origin, request, viaWorker, direct, pace).finally(() => ours.stop())));
		}
	} finally {
		await stop();
	}
	return rows;
}

/** @returns rows of the stores that `isWanted` */
export async function measureStores(isWanted) {
	const rows = [];
	if (isWanted("l2 redis")) rows.push(...(await measureRedis()));
	if (isWanted("l2 kv")) rows.push(...(await measureKv()));
	if (isWanted("cold")) rows.push(...(await measureCold()));
	return rows;
}
