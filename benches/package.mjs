// The npm package beside plain JavaScript, in one run: columns and objects beside JSON.parse, Redis beside ioredis and JSON by hand, and
// how soon a fresh process answers.
//
//   node scripts/build.mjs package && node benches/package.mjs

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { Redis } from "ioredis";
import { createEngine } from "../build/package/dist/node.js";
import { redisStore } from "../build/package/dist/redis.js";
import { startRedis } from "../tests/npm/redis.mjs";

const ROUNDS = 15;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)];

/** Milliseconds of each, in rounds that take turns, so that a machine that slows down slows all. */
async function beside(tasks, calls = 1) {
	const times = Object.fromEntries(Object.keys(tasks).map((name) => [name, []]));
	for (let round = -3; round < ROUNDS; round++) {
		for (const [name, task] of Object.entries(tasks)) {
			const began = performance.now();
			for (let call = 0; call < calls; call++) await task(round * calls + call);
			if (round >= 0) times[name].push((performance.now() - began) / calls);
		}
	}
	return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}

const ids = (count, from = 0) => Array.from({ length: count }, (_, number) => from + number);

/** 1,000 entities with one vector of 128 floats each. */
async function vectors() {
	const request = { entity_ids: ids(1_000), feature_names: ["embedding"], request_id: "r" };
	const body = encoder.encode(JSON.stringify(request));
	const engine = await createEngine({ config: { origin: { delay_ms: 0 } } });
	const bytes = (await engine.serveBytes(body)).slice();
	const options = { vectors: "float32" };
	const { columns } = await engine.columns(request, options);
	assert.deepEqual(
		columns.embedding.values.subarray(0, 128),
		Float32Array.from(JSON.parse(decoder.decode(bytes)).features[0].embedding),
	);
	const times = await beside({
		columns: () => engine.columns(request, options),
		parse: () => JSON.parse(decoder.decode(bytes)),
		serve: () => engine.serve(request),
	});
	await engine.close();
	const first = [];
	for (let round = 0; round < ROUNDS; round++) {
		const fresh = await createEngine({ config: { origin: { delay_ms: 0 } } });
		await fresh.serveBytes(body);
		const began = performance.now();
		await fresh.columns(request, options);
		first.push(performance.now() - began);
		await fresh.close();
	}
	return {
		columns_ms: times.columns,
		columns_first_ms: median(first),
		parse_ms: times.parse,
		columns_times_as_fast: times.parse / times.columns,
		serve_ms: times.serve,
		serve_over_parse: times.serve / times.parse,
		answer_bytes: bytes.length,
	};
}
/** 100 rows of 20 features from Redis, with an empty memory: an engine, and the same by hand. */
async function redis() {
	const server = await startRedis();
	const client = new Redis({ port: server.port });
	const names = Array.from({ length: 20 }, (_, number) => (number % 2 === 0 ? `score_${number}` : `count_${number}`));
	const keys = ids(10_000);
	// One row in memory: all others come from Redis.
	const config = { origin: { delay_ms: 0 }, l1: { max_entries: 1 }, freshness: { early_refresh_percent: 0 } };
	const engine = await createEngine({ l2: redisStore(client), config });
	const rows = new Map();
	for (let at = 0; at < keys.length; at += 1_000) {
		const part = await engine.serve({ entity_ids: keys.slice(at, at + 1_000), feature_names: names, priority: "low" });
		for (const [id, row] of Object.entries(part.features)) rows.set(id, row);
	}
	const pipeline = client.pipeline();
	for (const [id, row] of rows) pipeline.set(`hand:${id}`, JSON.stringify(row), "EX", 3_600);
	await pipeline.exec();
	await new Promise((resolve) => setTimeout(resolve, 2_000));
	const some = (round) => keys.slice(((round + 60) * 400) % 9_000).slice(0, 100);
	const byEngine = async (round) => {
		const answer = await engine.serve({ entity_ids: some(round), feature_names: names });
		assert.ok(answer.cache_stats.l2_hits >= 99, JSON.stringify(answer.cache_stats));
		return answer.features;
	};
	const byHand = async (round) => {
		const asked = some(round);
		const texts = await client.mget(asked.map((id) => `hand:${id}`));
		return Object.fromEntries(
			asked.map((id, at) => {
				const row = JSON.parse(texts[at]);
				return [id, Object.fromEntries(names.map((name) => [name, row[name]]))];
			}),
		);
	};
	assert.deepEqual(await byEngine(0), await byHand(0));
	const before = await server.counts();
	await byEngine(1);
	const after = await server.counts();
	const times = await beside({ engine: byEngine, hand: byHand }, 20);
	await engine.close();
	client.disconnect();
	await server.stop();
	server.remove();
	return {
		commands_for_100_rows: after.mget - before.mget + (after.get - before.get),
		engine_ms: times.engine,
		hand_ms: times.hand,
		engine_over_hand: times.engine / times.hand,
	};
}

/** Milliseconds from the start of the import to the first answer, in fresh processes. */
function starts() {
	const program = `const began = performance.now();
		const { createEngine } = await import(${JSON.stringify(new URL("../build/package/dist/", import.meta.url).href)} + (globalThis.Deno ? "deno.js" : "node.js"));
		const engine = await createEngine({ config: { origin: { delay_ms: 0 } } });
		await engine.serve({ entity_ids: ["a"], feature_names: ["score"] });
		console.log(performance.now() - began);`;
	const hosts = {
		node: [process.execPath, ["--input-type=module", "-e", program]],
		deno: ["node_modules/@deno/linux-x64-glibc/deno", ["eval", program]],
		bun: ["node_modules/@oven/bun-linux-x64/bin/bun", ["-e", program]],
	};
	return Object.fromEntries(
		Object.entries(hosts).map(([host, [command, args]]) => {
			const once = () => Number(spawnSync(command, args, { encoding: "utf8" }).stdout);
			return [host, median(Array.from({ length: 5 }, once))];
		}),
	);
}

function sizes() {
	const gzipped = (name) =>
		gzipSync(readFileSync(new URL(`../build/package/dist/${name}`, import.meta.url)), { level: 9 }).length;
	return {
		js_gzipped: gzipped("engine.js") + gzipped("node.js"),
		wasm_gzipped: gzipped("featheredge.wasm"),
		wasm: statSync(new URL("../build/package/dist/featheredge.wasm", import.meta.url)).size,
	};
}

const results = { vectors: await vectors(), redis: await redis(), first_answer_ms: starts(), sizes: sizes() };
console.log(JSON.stringify(results, null, "\t"));
