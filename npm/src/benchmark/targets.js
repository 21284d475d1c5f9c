// The targets of scenarios: an engine in this process, or a URL.

import { framework } from "featheredge-benchmark";

const PATH = "/v1/features";

/** Longer than the Worker's deadlines. */
const TIMEOUT_MS = 30_000;

/**
 * @typedef {object} Reply
 * @property {number} status
 * @property {string} serverTiming
 * @property {Uint8Array} body
 *
 * @typedef {object} Target
 * @property {string} name
 * @property {boolean} isShared whether its caches outlive a repetition
 * @property {() => Promise<void>} open prepares a repetition, with empty caches if possible
 * @property {() => Promise<void>} close
 * @property {(body: Uint8Array) => Reply | Promise<Reply>} send
 * @property {(error: any) => string} kindOf the kind of an error of `send`
 */

/** A store in memory, of one repetition. */
export function memoryStore() {
	const rows = new Map();
	return {
		getMany: async (keys) => keys.map((key) => rows.get(key)),
		async setMany(entries) {
			for (const [key, value] of entries) rows.set(key, value);
		},
	};
}

/**
 * An engine in this process, new for each repetition.
 *
 * @param {object} options
 * @param {typeof import("../../types/index.d.ts").createEngine} options.createEngine
 * @param {Record<string, any>} [options.config] as `docs/reference/configuration.md` has it
 * @param {string} [options.origin] the URL of an origin with Feast's contract; the synthetic origin if omitted
 * @param {() => any} [options.openStore] makes an empty store for L2; without it there is none
 * @returns {Target}
 */
export function engineTarget({ createEngine, config = {}, origin, openStore = () => undefined }) {
	let engine;
	const { tail_bytes } = framework();
	const reply = ({ body, headers }) => ({
		status: 200,
		serverTiming: headers.find(([name]) => name === "server-timing")?.[1] ?? "",
		body: body.subarray(-tail_bytes),
	});
	return {
		name: "engine",
		isShared: false,
		async open() {
			const l2 = await openStore();
			const own = origin === undefined ? config : { ...config, origin: { ...config.origin, url: origin } };
			// Timeouts of a store on a busy machine show in the results.
			engine = await createEngine({ config: own, l2, onError: () => {} });
		},
		async close() {
			await engine.close();
		},
		send(body) {
			const given = engine.serveBytes(body, { headers: true });
			return given instanceof Promise ? given.then(reply) : reply(given);
		},
		kindOf: (error) => error.code ?? error.name,
	};
}

/**
 * A deployment at a base URL.
 *
 * @param {string} url
 * @param {object} [options]
 * @param {string} [options.token] the bearer token, if the deployment needs one
 * @returns {Target}
 */
export function urlTarget(url, { token = "" } = {}) {
	const { tail_bytes } = framework();
	const endpoint = `${url.replace(/\/+$/, "")}${PATH}`;
	const headers = {
		"content-type": "application/json",
		...(token !== "" && { authorization: `Bearer ${token}` }),
	};
	return {
		name: url,
		isShared: true,
		async open() {},
		async close() {},
		async send(body) {
			const response = await fetch(endpoint, {
				method: "POST",
				headers,
				body,
				cache: "no-store",
				redirect: "error",
				signal: AbortSignal.timeout(TIMEOUT_MS),
			});
			const bytes = new Uint8Array(await response.arrayBuffer());
			const { status } = response;
			const part = status === 200 ? bytes.subarray(-tail_bytes) : bytes.subarray(0, tail_bytes);
			return { status, serverTiming: response.headers.get("server-timing") ?? "", body: part };
		},
		kindOf: (error) => (error.name === "TimeoutError" ? "timeout" : "unreachable"),
	};
}
