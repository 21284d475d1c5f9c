// A test's entry before the built Worker: counts what it asks of KV and of the storage tier, and breaks them on demand. Those behind it
// are miniflare's real ones.
//
//   GET    /__test/kv      what was asked of KV since the last reset
//   GET    /__test/shards  and of the storage tier
//   PUT    /__test/kv      the faults from now on, see `KvFaults` in worker.mjs
//   DELETE /__test/kv      counts back to zero, no faults

import worker from "./index.js";

export * from "./index.js";

const noCounts = () => ({
	get: 0,
	bulkGet: 0,
	bulkKeys: [],
	keysRead: 0,
	put: 0,
	mostPuts: 0,
	delete: 0,
	list: 0,
	putKeys: [],
	readKeys: [],
});

/** The number of entries of each call, and how many there were to the invalidation log; and which shards were called. */
const noShardCounts = () => ({ readShard: [], writeShard: [], appends: 0, shardsRead: [], shardsWritten: [] });

let counts = noCounts();
let shardCounts = noShardCounts();
let faults = {};
let putsUnderWay = 0;

async function suffer(operation) {
	const { delayMs = 0, error, hang = false } = faults[operation] ?? {};
	if (delayMs > 0) await scheduler.wait(delayMs);
	if (hang) await scheduler.wait(600_000);
	if (error !== undefined) throw new Error(error);
}

/** What a read returned, spoiled as the test asked for. */
function spoiled(value) {
	const { text } = faults.value ?? {};
	if (text === undefined || value === null) return value;
	if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, one === null ? null : text]));
	if (value instanceof ArrayBuffer) return new TextEncoder().encode(text).buffer;
	return text;
}

/** A KV namespace that counts, delays and fails; methods keep the signatures of the real one. */
function watched(kv) {
	const read =
		(method) =>
		async (keys, ...rest) => {
			const asked = Array.isArray(keys) ? keys : [keys];
			counts[Array.isArray(keys) ? "bulkGet" : "get"] += 1;
			if (Array.isArray(keys)) counts.bulkKeys.push(keys.length);
			counts.keysRead += asked.length;
			counts.readKeys.push(...asked);
			await suffer("get");
			return spoiled(await kv[method](keys, ...rest));
		};
	return {
		get: read("get"),
		getWithMetadata: read("getWithMetadata"),
		async put(key, ...rest) {
			counts.put += 1;
			counts.putKeys.push(key);
			putsUnderWay += 1;
			counts.mostPuts = Math.max(counts.mostPuts, putsUnderWay);
			try {
				await suffer("put");
				return await kv.put(key, ...rest);
			} finally {
				putsUnderWay -= 1;
			}
		},
		async delete(key) {
			counts.delete += 1;
			await suffer("delete");
			return kv.delete(key);
		},
		async list(...options) {
			counts.list += 1;
			await suffer("list");
			return kv.list(...options);
		},
	};
}

/** How many entries a message has: the number behind its version, as postcard writes it. */
function entriesOf(message) {
	let entries = 0;
	for (let at = 1, shift = 0; ; at += 1, shift += 7) {
		entries |= (message[at] & 0x7f) << shift;
		if (message[at] < 0x80) return entries;
	}
}

/** A namespace of the storage tier's shards, that counts, delays and fails. */
const watchedShards = (namespace) => ({
	getByName(name) {
		const shard = namespace.getByName(name);
		return {
			async read(request) {
				shardCounts.readShard.push(entriesOf(request));
				shardCounts.shardsRead.push(name);
				await suffer("shard");
				return shard.read(request);
			},
			async write(request) {
				shardCounts.writeShard.push(entriesOf(request));
				shardCounts.shardsWritten.push(name);
				await suffer("shard");
				return shard.write(request);
			},
		};
	},
});

const watchedInvalidationLog = (namespace) => ({
	getByName(name) {
		const invalidationLog = namespace.getByName(name);
		return {
			async append(request) {
				shardCounts.appends += 1;
				await suffer("invalidationLog");
				const { instead, jitterMs = 0 } = faults.invalidationLog ?? {};
				const answer = await (instead ? namespace.getByName(instead) : invalidationLog).append(request);
				// Answers to calls that are under way at one time come in any order.
				if (jitterMs > 0) await scheduler.wait(jitterMs * Math.random());
				return answer;
			},
		};
	},
});

async function control(request) {
	if (request.method === "GET") return Response.json(request.url.endsWith("/shards") ? shardCounts : counts);
	if (request.method === "DELETE") {
		counts = noCounts();
		shardCounts = noShardCounts();
	}
	faults = request.method === "DELETE" ? {} : await request.json();
	return new Response(null, { status: 204 });
}

// One object for all requests, as the runtime's own is.
let watchedEnv;

export const direct = {
	fetch(request, env, ctx) {
		if (/\/__test\/(kv|shards)$/.test(request.url)) return control(request);
		watchedEnv ??= {
			...env,
			FEATURES: watched(env.FEATURES),
			STORAGE: watchedShards(env.STORAGE),
			INVALIDATION_LOG: watchedInvalidationLog(env.INVALIDATION_LOG),
		};
		return worker.fetch(request, watchedEnv, ctx);
	},
};

export default direct;
