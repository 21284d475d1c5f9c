// What a benchmark measures: an engine in this process, a deployment, an origin without Featheredge, or a function.

import { beginningOf, checkResponse, endpointOf, unreachable } from "./check.js";
import { BenchmarkError } from "./errors.js";
import { syntheticOrigin } from "./origin.js";

const NATIVE_PATH = "/v1/features";
const FEAST_PATH = "/get-online-features";
const STATS_PATH = "/v1/stats";
/** The view and the entity column that a native request has by default. */
const VIEW = "features";
const ENTITY_COLUMN = "entity_id";

/** How much of a body is read: a response's counts are at its end, a problem's type is at its beginning. */
const TAIL_BYTES = 640;
/** The most of a body that is read: a longer one has no end, or is no response of these servers. */
const MAX_BODY_BYTES = 256 << 20;
/** The longest time that a check waits, and a report of L1, in milliseconds. */
const CHECK_TIMEOUT_MS = 10_000;
const USAGE_TIMEOUT_MS = 2_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const JSON_HEADERS = { "content-type": "application/json" };
const CHECK_BODY = encoder.encode(
	JSON.stringify({ entity_ids: ["featheredge_benchmark_check"], feature_names: ["feature_0"] }),
);

/**
 * A response, or the rows that an origin computed, of which no tier is known.
 *
 * @typedef {{ status: number, serverTiming: string, body: Uint8Array } | { rows: number, calls: number }} Reply
 *
 * @typedef {object} Target
 * @property {string} name without credentials
 * @property {boolean} isShared whether its caches outlive a repetition
 * @property {boolean} [endsRequests] whether `send` ends by its signal; it has none otherwise
 * @property {(signal: AbortSignal) => Promise<void>} check throws a `BenchmarkError` if nothing can be measured
 * @property {(options: { timeout_ms: number }) => Promise<void>} open prepares a repetition, with empty caches if possible
 * @property {() => Promise<void>} close
 * @property {(signal?: AbortSignal) => Promise<object | undefined>} usage of L1, if it is known
 * @property {(body: Uint8Array, signal: AbortSignal) => Reply | Promise<Reply>} send
 * @property {(error: any) => string} kindOf the kind of an error of `send`
 */

const nothing = async () => {};

/** The parts of targets that have nothing to prepare. */
const PLAIN = { isShared: true, endsRequests: true, check: nothing, open: nothing, close: nothing, usage: nothing };

/** The kind of an error of `fetch`. */
function kindOfFetch(error) {
	if (error?.name === "TimeoutError") return "timeout";
	if (error instanceof RangeError) return "body-too-large";
	if (/redirect/.test(error?.cause?.message ?? error?.message ?? "")) return "redirect";
	return globalThis.navigator?.onLine === false ? "offline" : "unreachable";
}

const isAbsent = ({ isolate }) => typeof isolate?.l1_max_rows !== "number";

/** L1 by `/v1/stats`. */
function usageOf(stats) {
	if (isAbsent(stats)) return undefined;
	const { l1_rows, l1_max_rows, l1_bytes, l1_max_bytes, l1_evictions } = stats.isolate;
	return { rows: l1_rows, max_rows: l1_max_rows, bytes: l1_bytes, max_bytes: l1_max_bytes, evictions: l1_evictions };
}

/**
 * An engine in this process, new for each repetition.
 *
 * @param {object} options
 * @param {typeof import("../../types/index.d.ts").createEngine} options.createEngine
 * @param {Record<string, any>} [options.config] as `docs/reference/configuration.md` has it
 * @param {any} [options.origin] as `createEngine` takes it; a synthetic origin of 10 ms if omitted
 * @param {() => any} [options.l2] makes an empty store for each repetition; without it there is none
 * @returns {Target}
 */
export function engineTarget({ createEngine, config = {}, origin, l2 = () => undefined }) {
	if (typeof createEngine !== "function") {
		throw new BenchmarkError("invalid-options", "`engineTarget` needs `createEngine`, which `featheredge` exports");
	}
	const chosen = origin ?? (config.origin === undefined ? syntheticOrigin() : undefined);
	const reply = ({ body, headers }) => ({
		status: 200,
		serverTiming: headers.find(([name]) => name === "server-timing")?.[1] ?? "",
		body: body.subarray(-TAIL_BYTES),
	});
	let engine;
	async function open({ timeout_ms: timeout }) {
		// The benchmark's patience must not end at the engine's deadline.
		const deadlines = { ...config.deadlines, default_ms: Math.max(timeout, config.deadlines?.default_ms ?? 0) };
		// Timeouts of a store on a busy machine show in the results.
		engine = await createEngine({
			config: { ...config, deadlines },
			origin: chosen,
			l2: await l2(),
			onError: () => {},
		});
	}
	return {
		name: "engine",
		isShared: false,
		async check() {
			await open({ timeout_ms: CHECK_TIMEOUT_MS });
			try {
				await engine.serveBytes(CHECK_BODY);
			} catch (error) {
				const cause = error.cause?.message ?? "";
				throw new BenchmarkError("failed", `The engine cannot serve: ${error.message} ${cause}`.trim(), {
					cause: error,
				});
			} finally {
				await engine.close();
			}
		},
		open,
		close: () => engine.close(),
		usage: async () => usageOf(await engine.stats()),
		send(body) {
			const given = engine.serveBytes(body, { headers: true });
			return given instanceof Promise ? given.then(reply) : reply(given);
		},
		kindOf: (error) => error.code ?? error.name,
	};
}

/** The header of a token. One that no header can have would stand in the error of each request. */
function authorization(token) {
	if (!token) return {};
	if (!/^[\x21-\x7e]+$/.test(token)) {
		throw new BenchmarkError(
			"invalid-options",
			"the token has a space, a line break or another character that no token has",
		);
	}
	return { authorization: `Bearer ${token}` };
}

/**
 * The result of a call with a signal that ends after a time, or by another. A call that does not heed it is left: a body of Node's `fetch`
 * whose coding is broken ends by no signal. A timer holds the signal: `AbortSignal.timeout` within `AbortSignal.any` may be
 * collected before it ends anything (Node 20).
 */
async function withTimeout(millis, signal, act) {
	const controller = new AbortController();
	const timer = setTimeout(
		() => controller.abort(new DOMException(`no response within ${millis} ms`, "TimeoutError")),
		millis,
	);
	const abort = () => controller.abort(signal.reason);
	const aborted = new Promise((_, reject) => {
		controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
	});
	if (signal?.aborted) abort();
	signal?.addEventListener("abort", abort, { once: true });
	try {
		return await Promise.race([act(controller.signal), aborted]);
	} finally {
		clearTimeout(timer);
		signal?.removeEventListener("abort", abort);
	}
}

/** The end of a body, or the beginning of one that is no success; a body without end is an error. */
async function partOf(response) {
	const reader = response.body?.getReader();
	if (reader === undefined) return new Uint8Array();
	let part = new Uint8Array();
	let length = 0;
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return part;
			length += value.length;
			if (length > MAX_BODY_BYTES) throw new RangeError(`a body of more than ${MAX_BODY_BYTES >> 20} MiB`);
			if (value.length >= TAIL_BYTES && response.ok) part = value.slice(-TAIL_BYTES);
			else {
				const both = new Uint8Array(part.length + value.length);
				both.set(part);
				both.set(value, part.length);
				part = response.ok ? both.slice(-TAIL_BYTES) : both.slice(0, TAIL_BYTES);
			}
			if (!response.ok && part.length === TAIL_BYTES) return part;
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}

/** A text of a server without the token that was sent to it: results are shown and shared. */
function withoutToken(part, token) {
	if (!token) return part;
	const text = decoder.decode(part);
	return text.includes(token) ? encoder.encode(text.replaceAll(token, "***")) : part;
}

const post = (url, headers, body, signal, redirect = "error") =>
	fetch(url, { method: "POST", headers: { ...JSON_HEADERS, ...headers }, body, cache: "no-store", redirect, signal });

/** Sends the request that checks a server, and reads its beginning. */
async function checkServer(url, token, body, what, signal) {
	const headers = authorization(token);
	try {
		await withTimeout(CHECK_TIMEOUT_MS, signal, async (signal) => {
			await checkResponse(url, await post(url, headers, body, signal, "manual"), token, what);
		});
	} catch (error) {
		if (error instanceof BenchmarkError) throw error;
		if (signal?.aborted) throw signal.reason;
		throw unreachable(url, error);
	}
}

/**
 * A deployment at a base URL, by its native API.
 *
 * @param {string} url
 * @param {object} [options]
 * @param {string} [options.token] the bearer token, if the deployment needs one
 * @returns {Target}
 */
export function urlTarget(url, { token = "" } = {}) {
	const { base, name } = endpointOf(url);
	const headers = authorization(token);
	let timeout;
	return {
		...PLAIN,
		name,
		check: (signal) => checkServer(base + NATIVE_PATH, token, CHECK_BODY, "featheredge", signal),
		async open(options) {
			timeout = options.timeout_ms;
		},
		async usage(signal) {
			// Not every token may read it, and a deployment has many isolates: it is shown where it is to be had.
			return withTimeout(USAGE_TIMEOUT_MS, signal, async (signal) => {
				const response = await fetch(base + STATS_PATH, { headers, cache: "no-store", redirect: "error", signal });
				return response.ok ? usageOf(JSON.parse(await beginningOf(response))) : undefined;
			});
		},
		async send(body, signal) {
			return withTimeout(timeout, signal, async (signal) => {
				const response = await post(base + NATIVE_PATH, headers, body, signal);
				const { status } = response;
				const part = withoutToken(await partOf(response), status === 200 ? "" : token);
				return { status, serverTiming: response.headers.get("server-timing") ?? "", body: part };
			});
		},
		kindOf: kindOfFetch,
	};
}

/** A request of the native API in Feast's form. */
const asked = (body) => JSON.parse(decoder.decode(body));

const feastBody = ({ entity_ids: ids, feature_names: names }) =>
	JSON.stringify({
		features: names.map((name) => (name.includes(":") ? name : `${VIEW}:${name}`)),
		entities: { [ENTITY_COLUMN]: ids },
	});

/**
 * An origin without Featheredge: the URL of a Feast server, or the function that an engine has as its origin.
 *
 * @param {string | ((entities: Record<string, any[]>, features: string[], context: { signal?: AbortSignal }) => any)} origin
 * @param {object} [options]
 * @param {string} [options.token] the bearer token of the server, if it needs one
 * @returns {Target}
 */
export function originTarget(origin, { token = "" } = {}) {
	if (typeof origin === "function") {
		return functionTarget("origin", async ({ entity_ids: ids, feature_names: names }, { signal }) => {
			await origin({ [ENTITY_COLUMN]: ids }, names, { signal });
		});
	}
	const { base, name } = endpointOf(origin);
	const headers = authorization(token);
	let timeout;
	return {
		...PLAIN,
		name,
		check: (signal) => checkServer(base + FEAST_PATH, token, feastBody(asked(CHECK_BODY)), "feast", signal),
		async open(options) {
			timeout = options.timeout_ms;
		},
		async send(body, signal) {
			const request = asked(body);
			return withTimeout(timeout, signal, async (signal) => {
				const response = await post(base + FEAST_PATH, headers, feastBody(request), signal);
				const part = await partOf(response);
				if (response.ok) return { rows: request.entity_ids.length, calls: 1 };
				return { status: response.status, serverTiming: "", body: withoutToken(part, token) };
			});
		},
		kindOf: kindOfFetch,
	};
}

/**
 * A function that serves a request of the native API. What it returns is not read.
 *
 * @param {string} name
 * @param {(request: any, options: { signal: AbortSignal }) => unknown} serve
 * @returns {Target}
 */
export function functionTarget(name, serve) {
	if (typeof serve !== "function") throw new BenchmarkError("invalid-options", "`functionTarget` needs a function");
	let timeout = CHECK_TIMEOUT_MS;
	const send = (body, signal) => {
		const request = asked(body);
		const reply = { rows: request.entity_ids.length, calls: 1 };
		const served = serve(request, { signal });
		if (typeof served?.then !== "function") return reply;
		return new Promise((resolve, reject) => {
			const timer = setTimeout(
				() => reject(new DOMException(`no response within ${timeout} ms`, "TimeoutError")),
				timeout,
			);
			served.then(() => resolve(reply), reject).finally(() => clearTimeout(timer));
		});
	};
	return {
		...PLAIN,
		name,
		async open(options) {
			timeout = options.timeout_ms;
		},
		async check(signal) {
			try {
				await send(CHECK_BODY, signal ?? AbortSignal.timeout(CHECK_TIMEOUT_MS));
			} catch (error) {
				throw new BenchmarkError("failed", `\`${name}\` fails: ${error?.message ?? error}`, { cause: error });
			}
		},
		send,
		kindOf: (error) => (error?.name === "TimeoutError" ? "timeout" : (error?.code ?? error?.name ?? "error")),
	};
}
