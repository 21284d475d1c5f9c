// The ready stores: Redis on a real redis-server, one and a cluster, by both clients; unstorage's drivers; Workers KV and the Cache API in
// workerd.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, Redis } from "ioredis";
import { Miniflare } from "miniflare";
import { createClient, createCluster } from "redis";
import { createStorage } from "unstorage";
import fsDriver from "unstorage/drivers/fs";
import memoryDriver from "unstorage/drivers/memory";
import { kvStore } from "../../build/package/dist/kv.js";
import { createEngine } from "../../build/package/dist/node.js";
import { redisStore } from "../../build/package/dist/redis.js";
import { unstorageStore } from "../../build/package/dist/unstorage.js";
import { range } from "../support/features.mjs";
import { startCluster, startRedis } from "../support/redis.mjs";
import { until } from "../support/wait.mjs";
import { namingOrigin } from "./harness.mjs";

const signal = new AbortController().signal;
const entries = (count) => range(count).map((number) => [`key:${number}`, Uint8Array.of(number % 256, 0, 255, 10)]);

/** What every store does: bytes come back as they were, for the keys that it has, in the order asked. */
async function keepsBytes(store) {
	const kept = entries(100);
	await store.setMany(kept, { ttl: 60, signal });
	const keys = [...kept.map(([key]) => key), "none"].reverse();
	const found = await store.getMany(keys, { signal });
	assert.equal(found.length, 101);
	assert.ok(found[0] === null || found[0] === undefined);
	for (const [at, [, value]] of kept.toReversed().entries()) {
		assert.deepEqual(new Uint8Array(found[at + 1]), value);
	}
}

/** However slow the machine is: that engines pass over stores that are late is shown elsewhere. */
const PATIENT = {
	l2: { timeout_ms: 60_000 },
	deadlines: { default_ms: 60_000, soft_percent: 100, adaptive_timeouts: false, hedging: false },
};

/** A second engine reads what the first has written. */
async function sharesRows(store) {
	const request = { entity_ids: range(150).map(String), feature_names: ["score"] };
	const first = await createEngine({ l2: store, origin: namingOrigin(), config: PATIENT });
	await first.serve(request);
	await first.close();
	const origin = namingOrigin();
	const second = await createEngine({ l2: store, origin, config: PATIENT });
	const answer = await second.serve(request);
	await second.close();
	assert.equal(answer.cache_stats.l2_hits, 150);
	assert.equal(answer.features[149].score, "score of 149");
	assert.equal(origin.calls.length, 0);
}

const CLIENTS = {
	ioredis: {
		one: async (port) => {
			const client = new Redis({ port, host: "127.0.0.1", maxRetriesPerRequest: 1 });
			client.on("error", () => {});
			return [client, () => client.disconnect()];
		},
		cluster: async (ports) => {
			const client = new Cluster(ports.map((port) => ({ host: "127.0.0.1", port })));
			return [client, () => client.disconnect()];
		},
	},
	"node-redis": {
		one: async (port) => {
			const client = createClient({ url: `redis://127.0.0.1:${port}`, socket: { connectTimeout: 1_000 } });
			client.on("error", () => {});
			await client.connect();
			return [client, () => client.destroy()];
		},
		cluster: async (ports) => {
			const client = createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
			await client.connect();
			return [client, () => client.destroy()];
		},
	},
};

for (const [name, connect] of Object.entries(CLIENTS)) {
	describe(`Redis by ${name}`, () => {
		let server;
		let client;
		let disconnect;

		before(async () => {
			server = await startRedis();
			[client, disconnect] = await connect.one(server.port);
		});
		after(async () => {
			disconnect();
			await server.stop();
		});

		test("keeps bytes, for their time to live", async () => {
			await keepsBytes(redisStore(client));
			const left = await server.call("TTL", "key:0");
			assert.ok(left > 50 && left <= 60, `${left} s`);
		});

		test("is read and written by engines", async () => {
			await sharesRows(redisStore(client));
		});

		test("reads 100 rows by one command, and writes them in one pipeline", async () => {
			const store = redisStore(client);
			const kept = entries(100);
			const before = await server.counts();
			await store.setMany(kept, { ttl: 60, signal });
			const written = await server.counts();
			await store.getMany(
				kept.map(([key]) => key),
				{ signal },
			);
			const read = await server.counts();
			assert.equal(written.set - before.set, 100);
			// What the server took in one go, it read from its socket at once or nearly so.
			assert.ok(written.reads - before.reads <= 5, `${written.reads - before.reads} reads of the socket`);
			assert.deepEqual([read.mget - written.mget, read.get - written.get], [1, 0]);
		});

		test("a server that is full says why, and is read on", async () => {
			const store = redisStore(client);
			const kept = entries(3);
			await store.setMany(kept, { ttl: 60, signal });
			await server.call("CONFIG", "SET", "maxmemory-policy", "noeviction");
			await server.call("CONFIG", "SET", "maxmemory", "1");
			try {
				const { failed, error } = await store.setMany(entries(10), { ttl: 60, signal });
				assert.equal(failed, 10);
				assert.match(error.message, /OOM/);
				const [value] = await store.getMany(["key:1"], { signal });
				assert.deepEqual(new Uint8Array(value), kept[1][1]);
			} finally {
				await server.call("CONFIG", "SET", "maxmemory", "0");
			}
		});

		test("a server that pauses or is gone costs its own share alone, and is used again when it is back", async () => {
			const config = { l2: { timeout_ms: 100 }, breaker: { enabled: false }, l1: { max_entries: 1 } };
			const engine = await createEngine({ l2: redisStore(client), origin: namingOrigin(), config });
			const serve = async (id) => {
				const { features, cache_stats: stats } = await engine.serve({
					entity_ids: [id, "other"],
					feature_names: ["score"],
				});
				assert.equal(features[id].score, `score of ${id}`);
				return stats.l2_hits;
			};
			await serve("x");
			await server.call("CLIENT", "PAUSE", "1500", "ALL");
			const began = Date.now();
			assert.equal(await serve("x"), 0);
			assert.ok(Date.now() - began < 1_200, `${Date.now() - began} ms`);
			await until(async () => (await serve("x")) > 0);
			await server.stop();
			assert.equal(await serve("y"), 0);
			await server.start();
			await until(async () => (await serve("z")) > 0);
			await engine.close();
		});
	});

	describe(`a Redis cluster by ${name}`, () => {
		let cluster;
		let client;
		let disconnect;

		before(async () => {
			cluster = await startCluster(3);
			[client, disconnect] = await connect.cluster(cluster.ports);
		});
		after(async () => {
			disconnect?.();
			await cluster.stop();
		});

		test("keeps bytes, on all its servers", async () => {
			await keepsBytes(redisStore(client));
			const sizes = await cluster.sizes();
			assert.ok(
				sizes.every((size) => size > 10),
				String(sizes),
			);
		});

		test("is read and written by engines", async () => {
			await sharesRows(redisStore(client));
		});
	});
}

test("redisStore refuses an object that is no client of Redis", () => {
	assert.throws(() => redisStore({}), TypeError);
});

describe("unstorage", () => {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-unstorage-"));
	after(() => rmSync(folder, { recursive: true, force: true }));
	const drivers = { "file system": () => fsDriver({ base: folder }), memory: () => memoryDriver() };

	for (const [name, driver] of Object.entries(drivers)) {
		test(`keeps bytes and rows by its ${name} driver`, async () => {
			const store = unstorageStore(createStorage({ driver: driver() }));
			await keepsBytes(store);
			await sharesRows(store);
		});
	}
});

describe("a store that takes entries one by one", () => {
	/** A driver that counts what is under way, and does with each entry as it is told. */
	const counting = (put) => {
		const counts = { underWay: 0, most: 0, puts: 0 };
		const driver = {
			name: "counting",
			hasItem: () => false,
			getItem: () => null,
			getKeys: () => [],
			async setItemRaw(key) {
				counts.puts += 1;
				counts.underWay += 1;
				counts.most = Math.max(counts.most, counts.underWay);
				await new Promise((resolve) => setImmediate(resolve));
				counts.underWay -= 1;
				await put?.(key);
			},
		};
		return { counts, store: unstorageStore(createStorage({ driver })) };
	};

	test("is given six at one time, and tells how many it did not take and why", async () => {
		const { counts, store } = counting((key) => {
			if (key.endsWith("7")) throw new Error(`no ${key}`);
		});
		const { failed, error } = await store.setMany(entries(100), { ttl: 60, signal });
		assert.deepEqual(counts, { underWay: 0, most: 6, puts: 100 });
		assert.deepEqual([failed, error.message], [10, "no key:7"]);
	});

	test("is given no more once nobody waits", async () => {
		const controller = new AbortController();
		const { counts, store } = counting((key) => key === "key:9" && controller.abort());
		const { failed } = await store.setMany(entries(100), { ttl: 60, signal: controller.signal });
		assert.ok(counts.puts < 20, `${counts.puts}`);
		assert.equal(failed, 100 - counts.puts);
	});
});

describe("in workerd", () => {
	let miniflare;
	before(async () => {
		miniflare = new Miniflare({
			cf: false,
			workers: [
				{
					name: "w",
					modules: true,
					script: "export default {};",
					compatibilityDate: "2026-04-01",
					kvNamespaces: { FEATURES: "f" },
				},
			],
		});
		await miniflare.ready;
	});
	after(() => miniflare.dispose());

	test("Workers KV keeps bytes and rows, in the form of the Worker", async () => {
		const namespace = await miniflare.getKVNamespace("FEATURES");
		const store = kvStore(namespace);
		await sharesRows(store);
		await store.setMany([["k", Uint8Array.of(0, 255)]], { ttl: 1, signal });
		assert.equal(await namespace.get("k"), "AP8=");
		await namespace.put("rubbish", "not base64!");
		const found = await store.getMany(["rubbish", "k", "none"], { signal });
		assert.deepEqual(found, [undefined, Uint8Array.of(0, 255), undefined]);
	});
});
