// The stores and the origin that options, configuration and environment name, and an engine over them.

import { createEngine, feastOrigin } from "../dist/node.js";
import { redisStore } from "../dist/redis.js";
import { sealedStore } from "../dist/sealed.js";
import { EXIT, Failure } from "./failure.js";
import { readConfig } from "./settings.js";

/** A store, encrypted if the environment has keys. */
export function encrypted(store) {
	const keys = process.env.FEATHEREDGE_STORE_ENCRYPTION_KEYS;
	if (keys === undefined) return store;
	try {
		return sealedStore(store, keys);
	} catch (error) {
		throw new Failure(`FEATHEREDGE_STORE_ENCRYPTION_KEYS: ${error.message}`, EXIT.configuration);
	}
}

/**
 * The origin at the URL of the options or the configuration, if either has one.
 *
 * @param {{ origin?: string }} options
 * @param {{ url?: string, timeout_ms?: number }} [settings] the configuration's
 */
export function originOf({ origin: url }, settings) {
	const base = url ?? settings?.url;
	if (base === undefined) return undefined;
	const authorization = process.env.FEATHEREDGE_ORIGIN_AUTHORIZATION;
	const headers = authorization === undefined ? {} : { authorization };
	return feastOrigin(base, { headers, timeout: settings?.timeout_ms });
}

/**
 * The store at a URL of Redis, if there is one.
 *
 * @param {string} [redis]
 */
export async function connectStore(redis) {
	if (redis === undefined) return undefined;
	const client = await (await import("./redis.js")).connectRedis(redis);
	try {
		return { l2: encrypted(redisStore(client)), disconnect: () => client.disconnect() };
	} catch (error) {
		client.disconnect();
		throw error;
	}
}

/**
 * An engine over the store and the origin of the options.
 *
 * @param {{ config?: string, origin?: string, redis?: string }} options
 * @param {import("../types/index.d.ts").EngineOptions} [more]
 */
export async function connectEngine(options, more = {}) {
	const config = await readConfig(options.config);
	const { origin: settings, ...rest } = config;
	const origin = originOf(options, settings);
	const store = await connectStore(options.redis);
	try {
		const engine = await createEngine({
			config: origin === undefined ? config : rest,
			...(origin !== undefined && { origin }),
			...(store !== undefined && { l2: store.l2 }),
			...more,
		});
		return {
			engine,
			async close() {
				await engine.close();
				store?.disconnect();
			},
		};
	} catch (error) {
		store?.disconnect();
		throw error;
	}
}
