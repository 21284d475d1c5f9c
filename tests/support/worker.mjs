// Starts the built Worker on workerd for a test, on a free loopback port, with a KV of its own.

import { readFileSync } from "node:fs";
import { poster } from "./poster.mjs";
import { AUTHORIZATION_SECRET, CONFIG_VARIABLE, OPERATOR_SECRET, overlay, readWranglerToml } from "./settings.mjs";
import { freePort, serve } from "./workerd.mjs";

/**
 * @typedef {object} KvCounts
 * @property {number} get single reads
 * @property {number} bulkGet reads of several keys in one operation
 * @property {number[]} bulkKeys the number of keys of each bulk read
 * @property {number} keysRead keys in both
 * @property {number} put
 * @property {number} mostPuts the most of them that were under way at one time
 * @property {number} delete
 * @property {number} list
 * @property {string[]} readKeys every key read, in order
 * @property {string[]} putKeys every key written, in order
 *
 * @typedef {object} KvFault
 * @property {number} [delayMs] wait before the operation
 * @property {string} [error] throw an error with this text
 * @property {boolean} [hang] never answer (ten minutes)
 *
 * @typedef {object} KvFaults
 * @property {KvFault} [get] single and bulk reads
 * @property {KvFault} [put]
 * @property {KvFault} [delete]
 * @property {KvFault} [list]
 * @property {KvFault} [shard] reads and writes of the storage tier
 * @property {KvFault & { instead?: string, jitterMs?: number }} [invalidationLog] calls to the invalidation log; `instead` names an object that they go to, and each answer
 *   comes up to `jitterMs` later
 * @property {{ text: string }} [value] what every stored value reads as
 *
 * @typedef {object} Host what serves the HTTP API
 * @property {string} url without a slash at the end
 * @property {number} port
 * @property {(path: string, body: unknown, headers?: Record<string, string>) => Promise<Response>} post sends JSON (text and bytes as they are)
 * @property {() => Promise<string[]>} storeKeys the keys in L2
 * @property {() => Promise<unknown>} stop
 *
 * @typedef {Host & Workerd} TestWorker
 *
 * @typedef {object} Workerd
 * @property {{ url: string, post: TestWorker["post"] }[]} twins
 * @property {string[]} logs lines that the Worker and workerd printed
 * @property {() => Promise<KvCounts>} kvCounts needs `countKv`
 * @property {() => Promise<{ readShard: number[], writeShard: number[], appends: number, shardsRead: string[], shardsWritten: string[] }>} shardCounts
 *   the number of entries of each call of the storage tier, of calls of the invalidation log, and the names of the shards; needs `countKv`
 * @property {() => Promise<void>} resetKv sets the counts to zero and ends all faults; needs `countKv`
 * @property {(faults: KvFaults) => Promise<void>} faultKv replaces the faults; needs `countKv`
 * @property {() => Promise<import("miniflare").KVNamespace>} kv the namespace itself, to look into or to spoil; its calls are not counted
 * @property {(binding: string) => Promise<DurableObjectNamespace>} objects the Durable Objects of a binding
 *
 * @typedef {NonNullable<Parameters<typeof startWorker>[0]>} WorkerOptions
 */

/**
 * @param {object} [options]
 * @param {Record<string, any>} [options.vars] laid over `[vars.FEATHEREDGE]` of wrangler.toml
 * @param {string | { url: string }} [options.origin] an origin's URL, or something that has one, for `origin.kind = "http"`
 * @param {string} [options.authorization] the secret for the origin's `Authorization`
 * @param {string} [options.operatorToken] the secret that an operator shows
 * @param {Record<string, string>} [options.secrets] other secrets, by name
 * @param {Record<string, { simple: { limit: number, period: 10 | 60 } }>} [options.rateLimits] rate limiters, by their bindings
 * @param {string | false} [options.persist] a folder for the stores; without one, they are empty and end with the Worker
 * @param {number} [options.port] without it, a free one
 * @param {boolean} [options.countKv] puts the counting entry before the Worker
 * @param {number} [options.twins] how many further Workers there are, in isolates of their own over the same stores
 * @param {boolean} [options.areTwinsNewer] puts an entry before these that has them store, and understand, another version than the Worker does
 * @param {boolean} [options.canTrap] puts the trapping entry before the Worker
 * @returns {Promise<TestWorker>}
 */
export async function startWorker({
	vars = {},
	origin,
	authorization,
	operatorToken,
	secrets = {},
	rateLimits,
	persist = false,
	port,
	countKv = false,
	canTrap = false,
	twins = 0,
	areTwinsNewer = false,
} = {}) {
	const file = readWranglerToml();
	let config = file.vars?.[CONFIG_VARIABLE] ?? {};
	if (origin !== undefined) config = overlay(config, { origin: { kind: "http", url: origin.url ?? origin } });
	const bindings = { ...file.vars, ...secrets, [CONFIG_VARIABLE]: overlay(config, vars) };
	if (authorization !== undefined) bindings[AUTHORIZATION_SECRET] = authorization;
	if (operatorToken !== undefined) bindings[OPERATOR_SECRET] = operatorToken;
	const name = countKv ? "counting-entry.mjs" : "trapping-entry.mjs";
	const entryOf = (name) => ({ name, contents: readFileSync(new URL(name, import.meta.url), "utf8") });
	const entry = countKv || canTrap ? entryOf(name) : undefined;
	const logs = [];
	const wantedPort = port ?? (await freePort());
	const twinPorts = [];
	while (twinPorts.length < twins) twinPorts.push(await freePort());
	const { url, miniflare, stop } = await serve({
		vars: bindings,
		port: wantedPort,
		persist,
		entry,
		twinPorts,
		...(areTwinsNewer && { twinEntry: entryOf("newer-entry.mjs") }),
		rateLimits,
		onLog: (line) => logs.push(line),
	});
	const control = async (method, body, name = "kv") => {
		if (!countKv) throw new Error("start the Worker with `countKv: true`");
		const call = () => fetch(`${url}/__test/${name}`, { method, body });
		// The server closes connections that rest, and what is asked on one just then is lost. Looking changes nothing.
		const response = await (method === "GET" ? call().catch(call) : call());
		return response.status === 204 ? undefined : response.json();
	};
	const at = (url) => ({
		url,
		post: poster(url),
	});
	return {
		...at(url),
		port: wantedPort,
		logs,
		twins: twinPorts.map((twin) => at(url.replace(`:${wantedPort}`, `:${twin}`))),
		kvCounts: () => control("GET"),
		shardCounts: () => control("GET", undefined, "shards"),
		resetKv: () => control("DELETE"),
		faultKv: (faults) => control("PUT", JSON.stringify(faults)),
		kv: () => miniflare.getKVNamespace("FEATURES"),
		async storeKeys() {
			const { keys } = await (await miniflare.getKVNamespace("FEATURES")).list();
			return keys.map(({ name }) => name);
		},
		objects: (binding) => miniflare.getDurableObjectNamespace(binding),
		stop,
	};
}

/**
 * Starts one that cannot use its settings, and returns its error, which is the same for readers and operators.
 *
 * @param {WorkerOptions} options
 */
export async function refuseWorker(options) {
	const worker = await startWorker(options);
	try {
		const texts = [];
		for (const [path, token] of [
			["/get-online-features", "of-somebody"],
			["/v1/invalidate", options.operatorToken],
		]) {
			const reply = await worker.post(path, {}, { authorization: `Bearer ${token}` });
			texts.push(await reply.text());
			if (reply.status !== 503) throw new Error(`${path} was answered ${reply.status}: ${texts.at(-1)}`);
		}
		const { status } = await fetch(`${worker.url}/health`);
		if (status !== 503) throw new Error(`/health was answered ${status}`);
		return texts[0];
	} finally {
		await worker.stop();
	}
}
