import type { Store } from "./index.js";

/** The part of an ioredis client that is used. */
export interface IoredisClient {
	getBuffer(key: string): Promise<Uint8Array | null>;
	mgetBuffer(keys: string[]): Promise<(Uint8Array | null)[]>;
	readonly isCluster: boolean;
}

/** The part of a node-redis client (the package `redis`, version 5 or later) that is used. */
export interface NodeRedisClient {
	// biome-ignore lint/suspicious/noExplicitAny: node-redis computes its types from its commands and modules
	withTypeMapping(mapping: any): any;
}

/**
 * A store over a client of ioredis or node-redis that is connected or connects by itself, or a
 * `Cluster`. 100 keys are one round trip. The client reconnects; while it has no connection, its
 * exceptions and timeouts count as misses.
 */
// biome-ignore lint/suspicious/noExplicitAny: the overloads of ioredis fit no interface
export function redisStore(client: IoredisClient | NodeRedisClient | { getBuffer: any; mgetBuffer?: any }): Store;
