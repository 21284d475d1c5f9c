import type { Store } from "./index.js";

/** What is used of a client of ioredis. */
export interface IoredisClient {
	getBuffer(key: string): Promise<Uint8Array | null>;
	mgetBuffer(keys: string[]): Promise<(Uint8Array | null)[]>;
	readonly isCluster: boolean;
}

/** What is used of a client of node-redis, the package `redis`, from version 5 on. */
export interface NodeRedisClient {
	// biome-ignore lint/suspicious/noExplicitAny: node-redis computes its types from its commands and modules
	withTypeMapping(mapping: any): any;
}

/**
 * A store over a client of ioredis or node-redis that is connected, or connects by itself; a `Cluster` too. 100 keys are one round
 * trip. Reconnecting is the client's business; while it has no connection, what it throws or leaves unanswered counts as a miss.
 */
// biome-ignore lint/suspicious/noExplicitAny: the overloads of ioredis fit no interface
export function redisStore(client: IoredisClient | NodeRedisClient | { getBuffer: any; mgetBuffer?: any }): Store;
