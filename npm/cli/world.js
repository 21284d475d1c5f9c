// What most commands share: the configuration's file, the Redis server, and an engine over both, or a server elsewhere.

import { readFileSync } from "node:fs";
import { createEngine, feastOrigin } from "../dist/node.js";
import { redisStore } from "../dist/redis.js";
import { sealedStore } from "../dist/sealed.js";
import { EXIT, Failure } from "./failure.js";

/**
 * Reads the table that docs/reference/configuration.md describes from TOML or JSON, or from a wrangler file that has it, and what stands beside it in
 * either.
 *
 * @param {string} [file]
 * @returns {Promise<{ config: Record<string, any>, rateLimits: { name: string, simple: { limit: number, period: number } }[] }>}
 */
export async function readSettings(file) {
	if (file === undefined) return { config: {}, rateLimits: [] };
	let table;
	try {
		const text = readFileSync(file, "utf8");
		table = file.endsWith(".json") ? JSON.parse(text) : (await import("smol-toml")).parse(text);
	} catch (error) {
		throw new Failure(`cannot read \`${file}\`: ${error.message.trim()}`, EXIT.configuration);
	}
	const { ratelimits: rateLimits = [], ...others } = table;
	return { config: table.vars?.FEATHEREDGE ?? others, rateLimits };
}

/** The table alone. */
export const readConfig = async (file) => (await readSettings(file)).config;

/** A store as the environment has it sealed. */
export function sealed(store) {
	if (process.env.FEATHEREDGE_STORE_KEYS !== undefined) {
		throw new Failure("FEATHEREDGE_STORE_KEYS is now FEATHEREDGE_STORE_ENCRYPTION_KEYS", EXIT.configuration);
	}
	const keys = process.env.FEATHEREDGE_STORE_ENCRYPTION_KEYS;
	if (keys === undefined) return store;
	try {
		return sealedStore(store, keys);
	} catch (error) {
		throw new Failure(`FEATHEREDGE_STORE_ENCRYPTION_KEYS: ${error.message}`, EXIT.configuration);
	}
}

/**
 * The origin at the URL that the options or the settings name, where they name one.
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
 * The store at the URL of Redis that the options name, where they name one.
 *
 * @param {string} [redis]
 */
export async function connectStore(redis) {
	if (redis === undefined) return undefined;
	const client = await (await import("./redis.js")).connectRedis(redis);
	try {
		return { l2: sealed(redisStore(client)), disconnect: () => client.disconnect() };
	} catch (error) {
		client.disconnect();
		throw error;
	}
}

/**
 * An engine as the options say it.
 *
 * @param {{ config?: string, origin?: string, redis?: string }} options
 * @param {import("../types/index.d.ts").EngineOptions} [more]
 */
export async function makeEngine(options, more = {}) {
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

/** What a server answered in place of what it was asked for. */
export class Refused extends Failure {
	constructor(url, status, problem, detail) {
		super(`${url} answered ${status}: ${detail}`, EXIT.refused);
		this.status = status;
		this.problem = problem;
	}
}

/** Asks a server of Featheredge's; what is no success is a failure in its own words. */
export async function ask(server, path, body) {
	const url = `${server.replace(/\/+$/, "")}${path}`;
	const token = process.env.FEATHEREDGE_OPERATOR_TOKEN;
	let response;
	try {
		response = await fetch(url, {
			method: body === undefined ? "GET" : "POST",
			headers: {
				...(body !== undefined && { "content-type": "application/json" }),
				...(token !== undefined && { authorization: `Bearer ${token}` }),
			},
			body,
		});
	} catch (error) {
		throw new Failure(`cannot reach ${url}: ${error.cause?.message || error.cause?.code || error.message}`);
	}
	const text = await response.text();
	if (response.ok) return text;
	let problem;
	try {
		problem = JSON.parse(text);
	} catch {
		// Not every server in between speaks JSON.
	}
	throw new Refused(url, response.status, problem, problem?.detail ?? text);
}
