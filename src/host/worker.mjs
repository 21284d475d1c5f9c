// The Worker's entry: moves requests, replies and what the origin says between HTTP and the core, which decides; and sees that a
// trap costs the requests in flight and no later one.
//
// It is JavaScript, and not what the `worker` crate's build makes. Whatever that build exports becomes callable over RPC; here the
// only exports are `fetch` and the Durable Objects' classes, which none but a Worker bound to them can call. Only JavaScript outlives a
// trap: it makes the next instance. And HTTP through JavaScript is faster than through wasm's wrappers of it, and a fifth of the module's
// size smaller.

import { attend, begin, begin_features, body_limit, right, set_sla_status, take_records } from "featheredge-core";
import { kvStore } from "../../npm/src/stores/kv.js";
import { Access, ANYONE, problem } from "./access.mjs";
import { onceMore } from "./again.mjs";
import { discard, read } from "./body.mjs";
import * as desk from "./desk.mjs";
import wasmModule from "./index.wasm";
import * as instance from "./instance.mjs";
import { REPORTS } from "./reports.mjs";
import { openMarks, sealOf } from "./sealed.mjs";
import { watchingOf } from "./watch.mjs";
import { withheld } from "./withheld.mjs";

/** The secret that holds the value of the `Authorization` header for the origin. */
const ORIGIN_AUTHORIZATION = "FEATHEREDGE_ORIGIN_AUTHORIZATION";
/** The header by which a client tells the requests of one session or user. */
const SESSION = "featheredge-session";

/** Who may do what. One for the isolate, as the service is. @type {Access | undefined} */
let access;

/** How the stores are sealed. @type {ReturnType<typeof sealOf> | undefined} */
let sealing;

/** Whoever watches. @type {ReturnType<typeof watchingOf> | undefined} */
let watching;

export { Ledger, MergedWindows, StorageShard } from "./durable.mjs";

instance.start(wasmModule);

// A trapped instance is not entered again: whatever enters next has another made.
let isPoisoned = false;

/** @type {Set<Exchange>} what waits for the present instance */
const waiting = new Set();

/** Answers everything that waits for the instance, since it never will be by the core. */
function abandonInstance(error) {
	console.error(error);
	isPoisoned = true;
	for (const exchange of waiting) exchange.giveUp();
}

/** What a call of the core gives; `undefined` where it throws: through the core's frames, any error is as bad as a trap. */
function enter(call) {
	if (isPoisoned) {
		instance.replace();
		isPoisoned = false;
	}
	try {
		return call();
	} catch (error) {
		abandonInstance(error);
		return undefined;
	}
}

// A trap while the core resumes after I/O reaches no caller, only this event.
addEventListener("error", ({ error }) => {
	if (error instanceof WebAssembly.RuntimeError) abandonInstance(error);
});

/** The keys under which a store has what the core has under these. */
const hidden = (keys) => sealing.seal?.hidden(keys) ?? keys;

const originProblem = (detail) => problem(502, "origin-unreachable", "The origin could not answer", detail);

/** The path whose answers may go out line by line. */
const NATIVE = "/v1/features";

/**
 * Whether a caller would have lines: its `Accept` names them, and not with a weight of 0.
 *
 * @param {Request} request
 */
function acceptsLines({ headers }) {
	const ranges = headers.get("accept")?.split(",") ?? [];
	return ranges.some(
		(range) => /^\s*application\/x-ndjson\s*(;|$)/i.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/i.test(range),
	);
}

/** How much of a reply in parts waits for its reader before the core is told to hold back, in bytes. */
const BUFFERED_BYTES = 64 * 1024;

/** What a promise gives within so many milliseconds: `undefined` where it is late or fails. */
function within(millis, promise) {
	return new Promise((resolve) => {
		const timer = setTimeout(resolve, millis);
		const end = (value) => {
			clearTimeout(timer);
			resolve(value);
		};
		promise.then(end, () => end());
	});
}

/**
 * A promise that another request may resolve; what waits for it goes on in the context of the request that made it.
 *
 * Not by `new Promise`: workerd knows by a promise whose it is, and where V8 has compiled that for speed it leaves this out, so that whoever
 * waited went on in the other's context and could not answer there.
 */
const ownPromise = () => Promise.withResolvers();

/** Where nobody waits to be woken. */
const nobody = () => {};

/** The path and the query of a URL that the runtime has parsed, each without what stands between them. */
function pathAndQuery(url) {
	const [target] = url.slice(url.indexOf("/", url.indexOf("//") + 2)).split("#", 1);
	const end = target.indexOf("?");
	return end < 0 ? { path: target, query: "" } : { path: target.slice(0, end), query: target.slice(end + 1) };
}

/** What is answered where the core met a fault. */
function fault() {
	const detail = "the request met a fault in this Worker and was given up; the next is served by a new instance";
	return problem(500, "internal", "Internal error", detail);
}

/** A request and what becomes of it. */
class Exchange {
	#request;
	#env;
	#body;
	#pass;
	/** The reply's; shared by replies, and changed for none. @type {Headers | undefined} */
	#headers;
	/** Where the reply goes, once somebody waits for it. @type {((response: Response | Promise<Response>) => void) | undefined} */
	#resolve;
	/** @type {Response | Promise<Response> | undefined} */
	#response;
	/** The timers that run, with what to call when they are dropped. @type {Map<number, () => void>} */
	#timers = new Map();
	#wake = nobody;
	#isWoken = false;
	/** What came of `pass`. @type {Response | undefined} */
	#passed;
	/** The body of a reply that goes out in parts. @type {ReadableStreamDefaultController | undefined} */
	#parts;
	#isHeld = false;
	#hasGone = false;

	constructor(request, env, body, pass) {
		this.#request = request;
		this.#pass = pass;
		this.#env = env;
		this.#body = body;
		waiting.add(this);
	}

	/** The reply; most are there at once, and nothing is made to wait for them. */
	get response() {
		if (this.#response !== undefined) return this.#response;
		const { promise, resolve } = ownPromise();
		this.#resolve = resolve;
		return promise;
	}

	#give(response) {
		this.#response = response;
		this.#resolve?.(response);
	}

	#end(response) {
		waiting.delete(this);
		// Where a part is out already, all that can be said is that it was not all.
		this.#parts?.error(new Error("the reply was given up"));
		this.#give(response);
	}

	giveUp() {
		this.#end(fault());
	}

	headers(lines) {
		this.#headers = desk.headersIn(lines);
	}

	reply(status, body) {
		try {
			this.#end(new Response(body.length > 0 ? body : null, { status, headers: this.#headers }));
		} catch {
			this.#end(originProblem(`the origin's status ${status} cannot be passed on`));
		}
	}

	/** Gives the next part of a reply that goes out in parts, and closes it behind the last. */
	chunk(bytes, isLast) {
		this.#parts ?? this.#open();
		if (!this.#hasGone) {
			this.#parts.enqueue(bytes);
			if (isLast) this.#parts.close();
		}
		if (isLast) waiting.delete(this);
	}

	#open() {
		const body = new ReadableStream(
			{
				start: (controller) => {
					this.#parts = controller;
				},
				pull: () => {
					if (this.#isHeld) this.wake();
				},
				cancel: () => {
					this.#hasGone = true;
					this.wake();
				},
			},
			new ByteLengthQueuingStrategy({ highWaterMark: BUFFERED_BYTES }),
		);
		this.#give(new Response(body, { headers: this.#headers }));
	}

	/** Whether the reader of a reply in parts wants more: 1 if so, 0 if not yet, or there is none, -1 if it has gone away. */
	appetite() {
		if (this.#hasGone) return -1;
		this.#isHeld = this.#parts !== undefined && this.#parts.desiredSize <= 0;
		return this.#parts === undefined || this.#isHeld ? 0 : 1;
	}

	asset() {
		const nothing = () => problem(404, "not-found", "There is nothing at this path", "the Worker has no static files");
		this.#end(this.#env.ASSETS?.fetch(this.#request) ?? nothing());
	}

	/** Passes the request to the origin as it came, and the answer back as it comes. */
	forward(base) {
		this.#end(this.#forwarded(base).catch(() => originProblem("the origin cannot be reached")));
	}

	/** Passes the request to the origin as it came; resolves when the answer begins to come. */
	async pass(base) {
		this.#passed = await this.#forwarded(base).catch(() => originProblem("the origin cannot be reached"));
	}

	/** Passes back the answer to `pass`, with the headers that were added. */
	passed() {
		const added = this.#headers;
		if (added === undefined) return this.#end(this.#passed);
		const answer = new Response(this.#passed.body, this.#passed);
		for (const [name, value] of added) answer.headers.append(name, value);
		this.#end(answer);
	}

	async #forwarded(base) {
		const { method, url, headers, body } = this.#request;
		// Past `https://host`, what is left is path and query.
		const target = [base.replace(/\/+$/, ""), ...url.split("/").slice(3)].join("/");
		return fetch(target, {
			method,
			headers: this.#authorized(new Headers(headers)),
			body: this.#body ?? body,
			redirect: "manual",
		});
	}

	/** Asks the origin; gives `null` where it cannot be reached, and `undefined` where it is late. */
	async ask(method, url, body, limit, traceparent, millis) {
		const abort = new AbortController();
		const asked = this.#ask(method, url, body, limit, traceparent, abort.signal);
		const answer = await within(
			millis,
			asked.catch(() => null),
		);
		if (answer === undefined) abort.abort();
		return answer;
	}

	async #ask(method, url, body, limit, traceparent, signal) {
		const headers = this.#authorized(new Headers());
		if (traceparent !== undefined) headers.set("traceparent", traceparent);
		if (body.length > 0) headers.set("content-type", "application/json");
		// A redirect would take the request to a place that nobody configured.
		const init = { method, headers, body: body.length > 0 ? body : undefined, redirect: "manual", signal };
		const answer = await onceMore(() => fetch(url, init), signal);
		// Redirects and refusals alike: whatever is no answer may quote what was asked.
		if (sealing.isPrivate && answer.status !== 200) {
			await answer.body?.cancel();
			return { status: answer.status, ...withheld() };
		}
		const taken = await read(answer, limit);
		if (taken === undefined) await answer.body.cancel();
		return {
			status: answer.status,
			contentType: answer.headers.get("content-type") ?? undefined,
			body: taken,
		};
	}

	/** Reads keys from KV in one call: for each its bytes or `undefined`. */
	readStore(binding, keys, millis) {
		return within(millis, this.#readStore(binding, keys));
	}

	async #readStore(binding, keys) {
		const names = await hidden(keys);
		return this.#opened(names, await kvStore(this.#env[binding]).getMany(names));
	}

	/** Writes entries to KV, each by itself as KV has it; how many it did not take. */
	async writeStore(binding, keys, values, ttl) {
		const names = await hidden(keys);
		const sealed = await this.#sealed(names, values);
		return kvStore(this.#env[binding]).setMany(
			names.map((name, at) => [name, sealed[at]]),
			{ ttl },
		);
	}

	/** Reads keys from a shard of the storage tier in one call: for each its bytes or `undefined`. */
	readShard(binding, shard, keys, millis) {
		return within(millis, this.#readShard(binding, shard, keys));
	}

	async #readShard(binding, shard, keys) {
		const names = await hidden(keys);
		const values = await this.#shard(binding, shard).read(names);
		return this.#opened(
			names,
			values.map((value) => value && new Uint8Array(value)),
		);
	}

	/** Writes entries to a shard of the storage tier in one call; how many it did not take. */
	writeShard(binding, shard, keys, values, ttlSeconds, maxBytes, millis) {
		return within(millis, this.#writeShard(binding, shard, keys, values, ttlSeconds, maxBytes));
	}

	async #writeShard(binding, shard, keys, values, ttlSeconds, maxBytes) {
		const names = await hidden(keys);
		return this.#shard(binding, shard).write(names, await this.#sealed(names, values), ttlSeconds, maxBytes);
	}

	async #opened(keys, values) {
		const { seal } = sealing;
		if (seal === undefined) return values;
		return Promise.all(values.map((value, at) => value && seal.open(keys[at], value)));
	}

	async #sealed(keys, values) {
		const { seal } = sealing;
		return seal === undefined ? values : Promise.all(values.map((value, at) => seal.seal(keys[at], value)));
	}

	/** Tells the ledger of writes some marks, or none, and gives what it has been told after number `after`: see `Ledger.tell`. */
	tell(binding, project, after, marks, at, keepMillis, epoch, spreadMillis, millis) {
		return within(millis, this.#tell(binding, project, after, marks, at, keepMillis, epoch, spreadMillis));
	}

	async #tell(binding, project, after, marks, ...rest) {
		const ledger = this.#env[binding].getByName(project);
		const { seal } = sealing;
		// Marks are hashes of entities' keys.
		if (!seal?.hides) return ledger.tell(after, marks, ...rest);
		const place = `ledger:${project}`;
		const sealed = marks.length > 0 ? await seal.seal(place, marks) : marks;
		return openMarks(seal, place, await ledger.tell(after, sealed, ...rest));
	}

	#shard(binding, shard) {
		return this.#env[binding].getByName(`shard-${shard}`);
	}

	/** Brings whoever watches what the core tells, after so many milliseconds, though the request may be over. */
	records(millis) {
		return watching.behind(millis);
	}

	/** Resolves after so many milliseconds, though the request may be over. */
	sleep(millis) {
		return new Promise((resolve) => {
			setTimeout(resolve, millis);
		});
	}

	/** Resolves with `true` after so many milliseconds, or with `false` once the request is over. */
	wait(millis) {
		return new Promise((resolve) => {
			const timer = setTimeout(() => {
				this.#timers.delete(timer);
				resolve(true);
			}, millis);
			this.#timers.set(timer, () => resolve(false));
		});
	}

	/** Resolves with `true` when another request wakes this one, or with `false` once it is over. */
	woken() {
		const { promise, resolve } = ownPromise();
		this.#wake = resolve;
		if (this.#isWoken) this.wake();
		return promise;
	}

	wake() {
		this.#isWoken = this.#wake === nobody;
		const wake = this.#wake;
		this.#wake = nobody;
		wake(true);
	}

	over() {
		for (const [timer, drop] of this.#timers) {
			clearTimeout(timer);
			drop();
		}
		this.#timers.clear();
		this.#wake(false);
	}

	/** The headers with the credentials that the origin is to be shown. */
	#authorized(headers) {
		const { authorization } = this.#pass;
		const own = this.#env[ORIGIN_AUTHORIZATION];
		if (authorization !== undefined) {
			headers.delete("authorization");
			if (authorization !== "") headers.set("authorization", authorization);
		} else if (own !== undefined && !headers.has("authorization")) {
			headers.set("authorization", own);
		}
		return headers;
	}
}

/** The paths that everybody may read where reading is open: nothing need be looked at for them. */
const FEATURES = new Set(["/get-online-features", NATIVE]);

/** How much of a body is read for features, in bytes, as the instance of a number has said. */
const forFeatures = { limit: 0, generation: 0 };

/** How much of a request's body is read, in bytes. The core makes its service as it is first asked. */
function bodyLimit(env, method, path) {
	if (method !== "POST" || !FEATURES.has(path)) return body_limit(env, method, path);
	if (forFeatures.generation !== instance.generation) {
		forFeatures.limit = body_limit(env, method, path);
		forFeatures.generation = instance.generation;
	}
	return forFeatures.limit;
}

/**
 * Whether a request is for features and nothing of it counts but its body: most are of this kind.
 *
 * @param {Request} request
 */
function isPlain(request, path) {
	const { method, headers } = request;
	return (
		method === "POST" &&
		FEATURES.has(path) &&
		!headers.has("authorization") &&
		!headers.has(SESSION) &&
		!headers.has("traceparent") &&
		(path !== NATIVE || !acceptsLines(request))
	);
}

/**
 * Serves a request that has been let in.
 *
 * @param {Request} request
 * @param {string} path
 * @param {import("./access.mjs").Pass} pass
 * @param {Record<string, any>} env
 * @returns {Promise<Response>}
 */
async function serve(request, path, pass, env, ctx) {
	// Nothing may be stored in clear for want of a key.
	if (sealing.fault !== undefined)
		return problem(503, "configuration", "The configuration cannot be used", sealing.fault);
	const limit = enter(() => bodyLimit(env, request.method, path));
	if (limit === undefined) return fault();
	// One byte more than the limit is enough for the core to refuse it.
	let body = limit > 0 ? await read(request, limit) : undefined;
	if (limit > 0 && body === undefined) {
		await discard(request.body);
		body = new Uint8Array(limit + 1);
	}
	const isThere = enter(() => {
		const length = desk.pass(body ?? new Uint8Array());
		// Asked anew: this may be another instance.
		const isQuick = pass === ANYONE && isPlain(request, path) && bodyLimit(env, request.method, path) > 0;
		return isQuick ? begin_features(path === NATIVE, length) : beginWith(request, path, length, pass, env);
	});
	if (isThere === undefined) return fault();
	if (isThere) return desk.reply();
	const exchange = new Exchange(request, env, body, pass);
	enter(() => attend(exchange, ctx));
	return exchange.response;
}

/** Begins a request with all that is known of it. */
function beginWith(request, path, length, pass, env) {
	const { method, headers, url } = request;
	const isCallers = pass.authorization === undefined && env[ORIGIN_AUTHORIZATION] === undefined;
	const hasAuthorization = isCallers && headers.has("authorization");
	const isStreaming = path === NATIVE && acceptsLines(request);
	const { query } = pathAndQuery(url);
	const session = headers.get(SESSION) ?? undefined;
	const traceparent = headers.get("traceparent") ?? "";
	const flags = [hasAuthorization, pass.isOperator, isStreaming];
	return begin(method, path, length, ...flags, pass.caller, query, traceparent, session, env);
}

export default {
	/**
	 * @param {Request} request
	 * @param {Record<string, any>} env
	 * @param {ExecutionContext} ctx
	 * @returns {Promise<Response>}
	 */
	fetch(request, env, ctx) {
		const { path } = pathAndQuery(request.url);
		access ??= new Access(env);
		sealing ??= sealOf(env);
		watching ??= watchingOf(
			env,
			() => enter(() => take_records(env)),
			(status) => enter(() => set_sla_status(env, status)),
		);
		const isOpen = access.isOpen && FEATURES.has(path) && !request.headers.has("authorization");
		return isOpen ? serve(request, path, ANYONE, env, ctx) : admitted(request, path, env, ctx);
	},
};

/** Serves a request whose caller is to be looked at, or whose path is. */
async function admitted(request, path, env, ctx) {
	return access.shared(request, access.preflight(request) ?? (await guarded(request, path, env, ctx)));
}

/** Serves a request if its caller may make it. */
async function guarded(request, path, env, ctx) {
	const needed = enter(() => right(env, request.method, path));
	if (needed === undefined) return fault();
	const pass = await access.admit(request, needed);
	if (!(pass instanceof Response)) {
		if (REPORTS.has(path)) return report(request, path, ctx);
		return serve(request, path, pass, env, ctx);
	}
	if (request.body !== null) await discard(request.body);
	return pass;
}

/** What whoever watches says at a path. */
async function report(request, path, ctx) {
	if (request.body !== null) await discard(request.body);
	const { status, headers, body } = await watching.report(request.method, path, pathAndQuery(request.url).query);
	ctx.waitUntil(watching.behind(0));
	return new Response(request.method === "HEAD" ? null : body, { status, headers });
}
