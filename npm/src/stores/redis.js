// A store in Redis through ioredis or node-redis, on one server or a cluster.
//
// All keys take one round trip: on one server MGET, and SETs in one pipeline; on a cluster, whose commands
// cannot name keys of several slots, a GET or SET for each key, which the client sends concurrently. The
// client reconnects by itself. It has no timeout of its own: the core's reads end by theirs, of
// `crates/engine/src/store_reads.rs`.

import { writtenOf } from "./writes.js";

/** node-redis identifies a reply's type by its first byte: `$` for a bulk string. */
const BULK_STRING = "$".charCodeAt(0);

const buffer = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength);

function overIoredis(client) {
	return {
		getMany: (keys) =>
			client.isCluster ? Promise.all(keys.map((key) => client.getBuffer(key))) : client.mgetBuffer(keys),
		async setMany(entries, { ttl }) {
			if (client.isCluster) {
				return writtenOf(entries.map(([key, value]) => client.set(key, buffer(value), "EX", ttl)));
			}
			const pipeline = client.pipeline();
			for (const [key, value] of entries) pipeline.set(key, buffer(value), "EX", ttl);
			const results = await pipeline.exec();
			const failed = results.filter(([error]) => error !== null);
			return { failed: failed.length, error: failed[0]?.[0] };
		},
	};
}

function overNodeRedis(client) {
	const binary = client.withTypeMapping({ [BULK_STRING]: Buffer });
	// A cluster has no MGET over several servers; it is recognized by `masters`.
	const isCluster = "masters" in client;
	return {
		getMany: (keys) => (isCluster ? Promise.all(keys.map((key) => binary.get(key))) : binary.mGet(keys)),
		// The client pipelines the commands of one turn of the event loop.
		setMany: (entries, { ttl }) =>
			writtenOf(
				entries.map(([key, value]) => binary.set(key, buffer(value), { expiration: { type: "EX", value: ttl } })),
			),
	};
}

/** A store over a client of ioredis or node-redis that is connected, or connects by itself. */
export function redisStore(client) {
	if (typeof client?.withTypeMapping === "function") return overNodeRedis(client);
	if (typeof client?.getBuffer === "function") return overIoredis(client);
	throw new TypeError("redisStore needs a client of `ioredis`, or of `redis` 5 or later");
}
