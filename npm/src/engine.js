// The engine: what a request needs is the core's to say; this passes bytes in and out, and answers at once what memory holds.

import { Core, State } from "featheredge-core";
import { REPORTS } from "../../src/host/reports.mjs";
import { steadyClock } from "./clock.js";
import { readColumns } from "./columns.js";
import { ClosedError, ConfigError, errorOf, FaultError } from "./errors.js";
import { Exchange } from "./exchange.js";
import * as instance from "./instance.js";
import { stringify } from "./json.js";
import { originOf, readBytes, TooLargeError } from "./origins.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const OK = 200;
const NATIVE = "/v1/features";
const FEAST = "/get-online-features";
const WARM = "/v1/warm";
const PREDICTIONS = "/v1/predictions";
const LINES = "application/x-ndjson";
/** The header by which a client tells the requests of one session or user. */
const SESSION = "featheredge-session";

/** Node lets a process end although this timer runs; elsewhere timers are numbers. */
const unref = (timer) => timer.unref?.();

/** Room for the first bodies: of an ordinary request, with some to spare. */
const FIRST_CAPACITY = 65_536;

function random() {
	const [low, high] = crypto.getRandomValues(new Uint32Array(2));
	return (BigInt(high) << 32n) | BigInt(low);
}

async function areEqual(left, right) {
	// Digests are compared, since their lengths and the time it takes tell nothing.
	const digest = async (text) => new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
	const [one, other] = await Promise.all([digest(left), digest(right)]);
	return one.reduce((difference, byte, at) => difference | (byte ^ other[at]), 0) === 0;
}

function checkStore(name, store) {
	if (store === undefined) return;
	if (typeof store.getMany !== "function" || typeof store.setMany !== "function") {
		throw new ConfigError(`\`${name}\` is no store: it needs \`getMany\` and \`setMany\``);
	}
}

/** @param {import("../types/index.d.ts").EngineOptions} options */
function settle({ config = {}, l2, l3, origin, clock = steadyClock(), operatorToken, basePath = "", authorizations }) {
	checkStore("l2", l2);
	checkStore("l3", l3);
	for (const [name, store] of Object.entries({ l2, l3 })) {
		if (config.private_keys && store !== undefined && !store.hidesKeys) {
			throw new ConfigError(`\`private_keys\` needs \`${name}\` to be a \`sealedStore\` whose keys have \`names\``);
		}
	}
	const chosen = originOf(origin, config);
	if (origin !== undefined && config.origin?.url !== undefined) {
		throw new ConfigError("the origin is given twice: as `origin`, and as `config.origin.url`");
	}
	// Silence here would let everybody in where the configuration says that nobody may.
	if ((config.auth?.mode ?? "none") !== "none") {
		throw new ConfigError("`auth.mode` is for the Worker: here, check callers before the engine is asked");
	}
	if (config.telemetry?.aggregate || config.telemetry?.analytics_binding !== undefined) {
		throw new ConfigError(
			"`telemetry.aggregate` and `telemetry.analytics_binding` are for the Worker, which has these places",
		);
	}
	const table = {
		...config,
		...chosen?.config,
		origin: { ...config.origin, ...chosen?.config.origin },
		l2: { ...config.l2, ...(l2 === undefined && { enabled: false }) },
		// A store here is asked for all rows at once: how it spreads them is its own business.
		...(l3 !== undefined && { l3: { enabled: true, shards: 1, ...config.l3 } }),
	};
	const stores = { l2_distributed: l2, l3_storage: l3 };
	return { table, origin: chosen, clock, operatorToken, basePath, authorizations, stores };
}

class Engine {
	#settings;
	/** What an exchange sees of the engine. */
	#host;
	#generation = 0;
	#input = 0;
	#capacity = 0;
	#bodyLimit = 0;
	#loadWatch;
	/** Whoever watches, once it is loaded. */
	#watching;
	/** What it is sending by itself. @type {Set<Promise<void>>} */
	#sending = new Set();

	constructor(options, loadWatch) {
		this.#settings = settle(options);
		const { clock, stores, origin, table } = this.#settings;
		this.#host = {
			core: undefined,
			now: clock,
			stores,
			origin,
			isPrivate: table.private_keys === true,
			exchanges: new Set(),
			byTicket: new Map(),
			/** What ends the waits behind answers. @type {Set<() => void>} */
			rests: new Set(),
			isClosing: false,
			enter: (call) => this.#enter(call),
			input: (length) => this.#inputOf(this.#host.core, length),
			rest: (millis) => this.#rest(millis),
			watch: (millis) => this.#watch(millis),
		};
		this.#loadWatch = loadWatch;
		this.#start();
		// A handler is mostly passed on by itself.
		this.fetch = this.fetch.bind(this);
	}

	async serve(request, options) {
		const body = this.#enterBody(encoder.encode(stringify(request)), options);
		const begin = (core, now) => core.begin_native(body, now);
		return this.#run(begin, options, NATIVE, (bytes) => JSON.parse(decoder.decode(bytes)));
	}

	serveBytes(body, options) {
		const length = this.#enterBody(body, options);
		const read = options?.headers
			? (bytes, headers) => ({ body: bytes.slice(), headers: headers ?? this.#headers() })
			: copy;
		const isFeast = options?.protocol === "feast";
		const session = options?.session;
		const path = isFeast ? FEAST : NATIVE;
		let begin = (core, now) => (isFeast ? core.begin_feast(length, now) : core.begin_native(length, now));
		if (session !== undefined) {
			begin = (core, now) => core.begin("POST", path, "", length, false, true, false, "", String(session), now);
		}
		return this.#run(begin, options, path, read, isFeast ? body : undefined);
	}

	async columns(request, { scalars, vectors, ...options } = {}) {
		const body = this.#enterBody(encoder.encode(stringify(request)), options);
		const isNarrow = (type) => type === "float32";
		const begin = (core, now) => core.begin_columns(body, isNarrow(scalars), isNarrow(vectors), now);
		return this.#run(begin, options, NATIVE, (bytes) => readColumns(bytes.slice()));
	}

	async *stream(request, options) {
		const length = this.#enterBody(encoder.encode(stringify(request)), options);
		const begin = (core, now) => core.begin("POST", NATIVE, "", length, false, true, true, "", undefined, now);
		const take = (exchange) => {
			if (this.#host.core.reply_status() !== OK) throw this.#error(exchange?.cause);
			// What memory has all of comes at once.
			const isLines = this.#headers().some(([name, value]) => name === "content-type" && value.startsWith(LINES));
			if (isLines) return new Response(this.#body().slice()).body;
			throw new ConfigError("`stream` needs `routing.streaming`, which the configuration switches off");
		};
		const body = await this.#exchange(begin, options, take, undefined, (body) => body);
		yield* linesOf(body);
	}

	async fetch(request, ...context) {
		const { basePath, operatorToken, origin } = this.#settings;
		const url = new URL(request.url);
		const path = url.pathname.startsWith(basePath) ? url.pathname.slice(basePath.length) || "/" : url.pathname;
		const { method, headers } = request;
		const core = this.#open();
		const query = url.search.slice(1);
		if (REPORTS.has(path)) {
			const watching = await this.#watcher();
			const report = await watching.report(method, path, query);
			this.#sendBehind(watching);
			return new Response(method === "HEAD" ? null : report.body, report);
		}
		const limit = core.body_limit(method, path);
		let body;
		if (limit > 0) body = await readBytes(request, limit).catch((error) => refused(error, limit));
		const isOperator =
			operatorToken !== undefined && (await areEqual(headers.get("authorization") ?? "", `Bearer ${operatorToken}`));
		const hasAuthorization = headers.has("authorization") && origin?.isAuthorized !== true;
		const length = this.#enterBody(body ?? new Uint8Array(), {}, limit + 1);
		const flags = [hasAuthorization, isOperator, acceptsLines(headers)];
		const traceparent = headers.get("traceparent") ?? "";
		const session = headers.get(SESSION) ?? undefined;
		const begin = (core, now) => core.begin(method, path, query, length, ...flags, traceparent, session, now);
		const pass = (base, signal) => {
			if (base === undefined) return Promise.resolve(nothingAt(path));
			const message = { method, path, search: url.search, headers, body: body ?? request.body ?? undefined };
			return origin.pass(message, signal).then(passedBack, unreachable);
		};
		const waitUntil = context.find((item) => typeof item?.waitUntil === "function");
		const options = {
			signal: request.signal,
			...(waitUntil !== undefined && { waitUntil: (promise) => waitUntil.waitUntil(promise) }),
		};
		const open = (body) => new Response(body, { status: OK, headers: this.#headers() });
		return this.#exchange(begin, options, () => this.#response(), pass, open);
	}

	async prefetch(request, options) {
		const length = this.#enterBody(encoder.encode(stringify({ ...request, priority: "low" })), options);
		await this.#run(
			(core, now) => core.begin_native(length, now),
			options,
			NATIVE,
			() => {},
		);
	}

	async predictions(request) {
		const query = `native=${encodeURIComponent(stringify(request))}`;
		return this.#operate("GET", PREDICTIONS, "", {}, query);
	}

	async invalidate(request) {
		return this.#operate("POST", "/v1/invalidate", stringify(request));
	}

	async warm(what, options) {
		const lines = Symbol.iterator in what ? [...what] : [what];
		return this.#operate("POST", WARM, lines.map(stringify).join("\n"), options);
	}

	async ready() {
		return this.#operate("GET", "/ready");
	}

	async stats() {
		return JSON.parse(await this.#report("/v1/stats"));
	}

	async sla() {
		return JSON.parse(await this.#report("/v1/sla"));
	}

	async alerts() {
		return JSON.parse(await this.#report("/v1/alerts"));
	}

	metrics() {
		return this.#report("/metrics");
	}

	/** Whoever watches, which is loaded when it is first needed. */
	#watcher() {
		this.#watching ??= this.#loadWatcher().catch((error) => {
			this.#watching = undefined;
			throw new ConfigError(`cannot load featheredge-watch.wasm: ${error.message}`, { cause: error });
		});
		return this.#watching;
	}

	async #loadWatcher() {
		if (this.#loadWatch === undefined) throw new Error("this host has none");
		const { watchingOf, wasm } = await this.#loadWatch();
		const { table, clock: now, authorizations } = this.#settings;
		const sleep = (millis) => this.#sleep(millis);
		const setSlaStatus = (status) => this.#enter(() => this.#host.core?.set_sla_status(status));
		return watchingOf({ table, wasm, records: () => this.#records(), setSlaStatus, sleep, now, authorizations });
	}

	#records() {
		return this.#enter(() => this.#host.core?.take_records(this.#host.now()));
	}

	/** Brings whoever watches what the core tells, after so many milliseconds. */
	async #watch(millis) {
		const { alerts, telemetry } = this.#settings.table;
		const isHeard = alerts?.webhook_url !== undefined || telemetry?.traces_url !== undefined;
		// Who never asked for a report will not ask for one of an engine that is closed.
		if (this.#host.isClosing && this.#watching === undefined && !isHeard) return;
		const watching = await this.#watcher().catch(() => undefined);
		// What nobody takes makes room for what comes.
		if (watching === undefined) this.#records();
		else await watching.behind(millis);
	}

	/** Lets whoever watches send what it found when it was asked. */
	#sendBehind(watching) {
		const sent = watching.behind(0).finally(() => this.#sending.delete(sent));
		this.#sending.add(sent);
	}

	/** What whoever watches says at a path. */
	async #report(path) {
		this.#open();
		const watching = await this.#watcher();
		const { status, headers, body } = await watching.report("GET", path, "");
		this.#sendBehind(watching);
		const bytes = typeof body === "string" ? encoder.encode(body) : body;
		if (status !== OK) throw errorOf({ status, headers: Object.entries(headers), body: bytes });
		return decoder.decode(bytes);
	}

	/** Resolves after so many milliseconds, or as soon as the engine is to close, with `false` where it is. */
	async #sleep(millis) {
		if (!this.#host.isClosing) await this.#rest(millis);
		return !this.#host.isClosing;
	}

	/** Resolves after so many milliseconds, or when the engine is to close, or something has ended that it waits for then. */
	#rest(millis) {
		return new Promise((resolve) => {
			const end = () => {
				clearTimeout(timer);
				this.#host.rests.delete(end);
				resolve();
			};
			const timer = setTimeout(end, millis);
			// Who closes waits for it.
			if (!this.#host.isClosing) unref(timer);
			this.#host.rests.add(end);
		});
	}

	async close() {
		if (this.#host.isClosing) return;
		this.#host.isClosing = true;
		const { exchanges, rests } = this.#host;
		for (const exchange of exchanges) exchange.fail(new ClosedError());
		// What was put off is written now, and then nothing is under way any more.
		this.#enter(() => this.#host.core?.close());
		while (exchanges.size > 0 || this.#sending.size > 0) {
			for (const end of [...rests]) end();
			await Promise.race([...[...exchanges].map(({ done }) => done), ...this.#sending]);
		}
		const watching = await this.#watching?.catch(() => undefined);
		await watching?.close();
		this.#host.core?.free();
		this.#host.core = undefined;
	}

	[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
		return this.close();
	}

	/** A request of the HTTP API by a caller who needs no secret, for it is this process. */
	async #operate(method, path, body = "", options = {}, query = "") {
		const limit = this.#open().body_limit(method, path) + 1;
		const length = this.#enterBody(encoder.encode(body), options, limit);
		const begin = (core, now) => core.begin(method, path, query, length, false, true, false, "", undefined, now);
		return this.#run(begin, options, path, (bytes) => JSON.parse(decoder.decode(bytes)));
	}

	/** The core, of the present instance. */
	#open() {
		if (this.#host.isClosing) throw new ClosedError();
		if (this.#generation !== instance.generation) this.#start();
		return this.#host.core;
	}

	/** Makes a core, and gives up what waits for the one before it. */
	#start(cause) {
		for (const exchange of [...this.#host.exchanges]) exchange.giveUp(new FaultError({ cause }));
		try {
			this.#host.core = new Core(this.#settings.table, random());
		} catch (error) {
			throw new ConfigError(error.message);
		}
		this.#generation = instance.generation;
		this.#capacity = 0;
		// One body may have no more than what is refused for its length.
		this.#bodyLimit = this.#host.core.body_limit("POST", NATIVE) + 1;
	}

	/** Calls the core. A trap costs the requests under way, and no later one; what it gives then is `undefined`. */
	#enter(call) {
		// Another engine's trap has replaced the instance that this core belongs to.
		if (this.#generation !== instance.generation) return this.#start();
		try {
			return call();
		} catch (error) {
			// Thrown through the core's frames, any error is as bad as a trap.
			instance.replace();
			return this.#start(error);
		}
	}

	/** Writes a body where the core reads it, and returns its length. */
	#enterBody(body, options, limit = this.#bodyLimit) {
		const core = this.#open();
		options?.signal?.throwIfAborted();
		const length = Math.min(body.length, limit);
		const at = this.#inputOf(core, length);
		instance.bytes().set(length < body.length ? body.subarray(0, length) : body, at);
		return length;
	}

	/** Where the core reads up to `length` bytes that are written there just before it is called. */
	#inputOf(core, length) {
		if (length > this.#capacity) {
			const capacity = Math.max(length, FIRST_CAPACITY, this.#capacity * 2);
			const at = this.#enter(() => core.input(capacity));
			// There is no memory for it.
			if (at === undefined) throw new FaultError();
			[this.#input, this.#capacity] = [at, capacity];
		}
		return this.#input;
	}

	/** The reply's body where it stands, until the core is called again. */
	#body() {
		const { core } = this.#host;
		const at = core.reply_at();
		return instance.bytes().subarray(at, at + core.reply_length());
	}

	#headers() {
		return this.#host.core.reply_headers();
	}

	#error(cause) {
		const { core } = this.#host;
		return errorOf({ status: core.reply_status(), headers: this.#headers(), body: this.#body().slice() }, cause);
	}

	#response() {
		const { core } = this.#host;
		const body = this.#body();
		return new Response(body.length > 0 ? body.slice() : null, {
			status: core.reply_status(),
			headers: core.reply_headers(),
		});
	}

	/** Serves a request whose reply is of use with status 200 alone: at once where memory has it, else by a promise. */
	#run(begin, options, path, read, asked) {
		const { core, now } = this.#host;
		const state = this.#enter(() => begin(core, now()));
		if (state === undefined) throw new FaultError();
		if (state === State.Replied) {
			if (core.reply_status() !== OK) throw this.#error();
			return read(this.#body());
		}
		// The caller may use its buffer again.
		const body = asked?.slice();
		const take = (exchange) => {
			if (this.#host.core.reply_status() !== OK) throw this.#error(exchange.cause);
			return read(this.#body());
		};
		const pass = async (_, signal) => {
			const headers = new Headers({ "content-type": "application/json" });
			const message = { method: "POST", path, search: "", headers, body };
			const response = await this.#settings.origin.pass(message, signal);
			const bytes = new Uint8Array(await response.arrayBuffer());
			if (response.status === OK) return read(bytes, [...response.headers]);
			throw errorOf({ status: response.status, headers: [...response.headers], body: bytes });
		};
		if (state !== State.RepliedWithOrders) return this.#goOn(state, options, take, pass).reply;
		// The reply is there and is given at once, though more is done behind it.
		let give;
		const keep = (exchange) => {
			try {
				const reply = take(exchange);
				give = () => reply;
			} catch (error) {
				give = () => {
					throw error;
				};
			}
		};
		this.#goOn(state, options, keep, pass);
		return give();
	}

	/** Serves a request, whatever the reply is. */
	#exchange(begin, options, take, pass, open) {
		const { core, now } = this.#host;
		const state = this.#enter(() => begin(core, now()));
		if (state === undefined) throw new FaultError();
		return state === State.Replied ? take() : this.#goOn(state, options, take, pass, open).reply;
	}

	#goOn(state, options, take, pass, open) {
		const exchange = new Exchange(this.#host, take, pass, open);
		const signal = options?.signal;
		const abandon = () => exchange.abandon(signal.reason);
		signal?.addEventListener("abort", abandon);
		const forget = () => signal?.removeEventListener("abort", abandon);
		exchange.reply.then(forget, forget);
		exchange.take(state);
		options?.waitUntil?.(exchange.done);
		return exchange;
	}
}

/** Whether a caller would have lines: its `Accept` names them, and not with a weight of 0. */
function acceptsLines(headers) {
	const ranges = headers.get("accept")?.split(",") ?? [];
	return ranges.some(
		(range) => /^\s*application\/x-ndjson\s*(;|$)/i.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/i.test(range),
	);
}

/** The objects of a body of lines, each as soon as it is whole; ends the reading when its own reader stops. */
async function* linesOf(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			const lines = (rest + value).split("\n");
			rest = lines.pop();
			for (const line of lines) yield JSON.parse(line);
		}
	} finally {
		await reader.cancel();
	}
}

const copy = (bytes) => bytes.slice();

function refused(error, limit) {
	if (error instanceof TooLargeError) return new Uint8Array(limit + 1);
	throw error;
}

function problem(status, name, title, detail) {
	const body = { type: `urn:featheredge:problem:${name}`, title, status, detail };
	return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/problem+json" } });
}

const nothingAt = (path) => problem(404, "not-found", "There is nothing at this path", `no such path: ${path}`);
const unreachable = () =>
	problem(502, "origin-unreachable", "The origin could not answer", "the origin cannot be reached");

/** An answer of the origin, whose body `fetch` has unpacked. */
function passedBack(response) {
	const headers = new Headers(response.headers);
	if (headers.has("content-encoding")) {
		headers.delete("content-encoding");
		headers.delete("content-length");
	}
	try {
		return new Response(response.body, { status: response.status, headers });
	} catch {
		return problem(
			502,
			"origin-unreachable",
			"The origin could not answer",
			`the origin's status ${response.status} cannot be passed on`,
		);
	}
}

/**
 * @param {import("../types/index.d.ts").EngineOptions} options
 * @param {() => WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>} load the host's way to the module
 * @param {() => Promise<{ watchingOf: Function, wasm: WebAssembly.Module | BufferSource }>} [loadWatch] its way to whoever watches
 */
export async function start(options = {}, load, loadWatch) {
	const { wasm, watchWasm } = options;
	await instance.instantiate(wasm === undefined ? load : () => wasm);
	const withOwn = async () => ({ ...(await loadWatch()), wasm: await watchWasm });
	return new Engine(options, watchWasm === undefined ? loadWatch : withOwn);
}
