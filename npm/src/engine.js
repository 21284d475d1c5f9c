// The engine as JavaScript has it: objects, bytes, columns, streams and HTTP around the runtime.

import { State } from "featheredge-core";
import { steadyClock } from "./clock.js";
import { readColumns } from "./columns.js";
import { ConfigError, errorOf, FaultError } from "./errors.js";
import { acceptsLines, notAllowed, originStatus, originUnreachable, problem, SESSION } from "./http.js";
import { stringify } from "./json.js";
import { originOf } from "./origins.js";
import { cancel, readBytes, TooLargeError } from "./runtime/body.js";
import { headerPairs } from "./runtime/headers.js";
import { instantiate } from "./runtime/instance.js";
import { Runtime } from "./runtime/runtime.js";
import { post } from "./runtime/telemetry.js";
import { TELEMETRY_PATHS } from "./runtime/telemetry_paths.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const NATIVE = "/v1/features";
const FEAST = "/get-online-features";
const WARM = "/v1/warm";
const PREDICTIONS = "/v1/predictions";
const LINES = "application/x-ndjson";
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
	const runtime = new Runtime({
		config: table,
		connect: () => ({ stores }),
		origin: chosen,
		clock,
		isPrivate: table.private_keys === true,
		isHeard: table.alerts?.webhook_url !== undefined || table.telemetry?.traces_url !== undefined,
		send: (kind, to, body, signal) => post(to, body, authorizations?.[kind], signal),
	});
	return { runtime, origin: chosen, operatorToken, basePath };
}

class Engine {
	#runtime;
	#settings;

	constructor(options) {
		this.#settings = settle(options);
		this.#runtime = this.#settings.runtime;
		// A handler is mostly passed on by itself.
		this.fetch = this.fetch.bind(this);
	}

	async serve(request, options) {
		const length = this.#write(encoder.encode(stringify(request)), options);
		const begin = (core, now) => core.begin_native(length, true, now);
		return this.#run(begin, options, (bytes) => JSON.parse(decoder.decode(bytes)));
	}

	serveBytes(body, options) {
		const length = this.#write(body, options);
		const read = options?.headers
			? (bytes, headers) => ({ body: bytes.slice(), headers: headers ?? this.#headers() })
			: copy;
		const isFeast = options?.protocol === "feast";
		const session = options?.session;
		let begin = (core, now) => (isFeast ? core.begin_feast(length, true, now) : core.begin_native(length, true, now));
		if (session !== undefined) {
			begin = (core, now) =>
				core.begin("POST", isFeast ? FEAST : NATIVE, "", length, false, true, false, "", "", String(session), now);
		}
		return this.#run(begin, options, read, isFeast ? body : undefined);
	}

	async columns(request, { scalars, vectors, ...options } = {}) {
		const length = this.#write(encoder.encode(stringify(request)), options);
		const isNarrow = (type) => type === "float32";
		const begin = (core, now) => core.begin_columns(length, isNarrow(scalars), isNarrow(vectors), now);
		return this.#run(begin, options, (bytes) => readColumns(bytes.slice()));
	}

	async *stream(request, options) {
		const length = this.#write(encoder.encode(stringify(request)), options);
		const begin = (core, now) => core.begin("POST", NATIVE, "", length, false, true, true, "", "", undefined, now);
		const take = (exchange) => {
			if (!this.#runtime.isOk) throw this.#error(exchange?.cause);
			// What memory has all of comes at once.
			const isLines = this.#headers().some(([name, value]) => name === "content-type" && value.startsWith(LINES));
			if (isLines) return new Response(this.#runtime.replyBody.slice()).body;
			throw new ConfigError("`stream` needs `routing.streaming`, which the configuration switches off");
		};
		const body = await this.#exchange(begin, { take, open: (body) => body, ...options });
		yield* linesOf(body);
	}

	async fetch(request, ...context) {
		const { basePath, operatorToken, origin } = this.#settings;
		const url = new URL(request.url);
		const path = url.pathname.startsWith(basePath) ? url.pathname.slice(basePath.length) || "/" : url.pathname;
		const { method, headers } = request;
		const core = this.#runtime.open();
		const query = url.search.slice(1);
		if (TELEMETRY_PATHS.has(path)) return this.#report(method, path, query);
		const limit = core.body_limit(method, path);
		let body;
		if (limit > 0) body = await readBytes(request, limit).catch((error) => refused(error, request, limit));
		const isOperator =
			operatorToken !== undefined && (await areEqual(headers.get("authorization") ?? "", `Bearer ${operatorToken}`));
		const hasAuthorization = headers.has("authorization") && origin?.isAuthorized !== true;
		const length = this.#write(body ?? new Uint8Array(), {}, limit + 1);
		const flags = [hasAuthorization, isOperator, acceptsLines(headers)];
		const traceparent = headers.get("traceparent") ?? "";
		const session = headers.get(SESSION) ?? undefined;
		const begin = (core, now) => core.begin(method, path, query, length, ...flags, "", traceparent, session, now);
		const pass = (base, signal) => {
			if (base === undefined) return Promise.resolve(nothingAt(path));
			const message = { method, path, search: url.search, headers, body: body ?? request.body ?? undefined };
			return origin.pass(message, signal).then(passedBack, originUnreachable);
		};
		const waitUntil = context.find((item) => typeof item?.waitUntil === "function");
		return this.#exchange(begin, {
			take: () => this.#response(),
			pass,
			open: (body) => new Response(body, { status: 200, headers: this.#headers() }),
			signal: request.signal,
			...(waitUntil !== undefined && { waitUntil: (promise) => waitUntil.waitUntil(promise) }),
		});
	}

	async prefetch(request, options) {
		const length = this.#write(encoder.encode(stringify({ ...request, priority: "low" })), options);
		const begin = (core, now) => core.begin_native(length, true, now);
		await this.#run(begin, options, () => {});
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
		return JSON.parse(await this.#reported("/v1/stats"));
	}

	async sla() {
		return JSON.parse(await this.#reported("/v1/sla"));
	}

	async alerts() {
		return JSON.parse(await this.#reported("/v1/alerts"));
	}

	metrics() {
		return this.#reported("/metrics");
	}

	close() {
		return this.#runtime.close();
	}

	[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
		return this.close();
	}

	async #report(method, path, query) {
		if (method !== "GET" && method !== "HEAD") return notAllowed("GET, HEAD");
		const report = await this.#runtime.telemetry.report(path, query, () => this.#response(method === "HEAD"));
		return report ?? fault();
	}

	/** What a report says. */
	async #reported(path) {
		this.#runtime.open();
		const take = () => (this.#runtime.isOk ? decoder.decode(this.#runtime.replyBody) : this.#error());
		const report = await this.#runtime.telemetry.report(path, "", take);
		if (report === undefined) throw new FaultError();
		if (report instanceof Error) throw report;
		return report;
	}

	/** A request of the HTTP API by a caller who needs no secret, for it is this process. */
	async #operate(method, path, body = "", options = {}, query = "") {
		const limit = this.#runtime.open().body_limit(method, path) + 1;
		const length = this.#write(encoder.encode(body), options, limit);
		const begin = (core, now) => core.begin(method, path, query, length, false, true, false, "", "", undefined, now);
		return this.#run(begin, options, (bytes) => JSON.parse(decoder.decode(bytes)));
	}

	#write(body, options, limit) {
		options?.signal?.throwIfAborted();
		return this.#runtime.write(body, limit);
	}

	#headers() {
		return headerPairs(this.#runtime.core.reply_headers());
	}

	#error(cause) {
		const status = this.#runtime.core.reply_status();
		return errorOf({ status, headers: this.#headers(), body: this.#runtime.replyBody.slice() }, cause);
	}

	#response(isHead = false) {
		const body = this.#runtime.replyBody;
		const status = this.#runtime.core.reply_status();
		if (!isPassable(status)) return originStatus(status);
		return new Response(body.length > 0 && !isHead ? body.slice() : null, { status, headers: this.#headers() });
	}

	/** Serves a request whose reply is of use whatever its status is. */
	#exchange(begin, handling) {
		const state = this.#runtime.begin(begin);
		return state === State.Replied ? handling.take() : this.#runtime.attend(state, handling);
	}

	/** Serves a request whose reply is of use with status 200 alone: at once where memory has it, else by a promise. */
	#run(begin, options, read, asked) {
		const runtime = this.#runtime;
		const state = runtime.begin(begin);
		if (state === State.Replied) return this.#taken(read);
		// The caller may use its buffer again.
		const body = asked?.slice();
		const pass = async (_, signal) => {
			const headers = new Headers({ "content-type": "application/json" });
			const message = { method: "POST", path: FEAST, search: "", headers, body };
			const response = await this.#settings.origin.pass(message, signal);
			const bytes = new Uint8Array(await response.arrayBuffer());
			if (response.status === 200) return read(bytes, [...response.headers]);
			throw errorOf({ status: response.status, headers: [...response.headers], body: bytes });
		};
		const handling = { ...options, take: (exchange) => this.#taken(read, exchange), pass };
		return state === State.RepliedWithEffects ? runtime.attendBehind(handling) : runtime.attend(state, handling);
	}

	#taken(read, exchange) {
		if (!this.#runtime.isOk) throw this.#error(exchange?.cause);
		return read(this.#runtime.replyBody);
	}
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

/** In place of a body that is too long, one that the core refuses for its length. */
function refused(error, request, limit) {
	if (!(error instanceof TooLargeError)) throw error;
	// One that was not begun is left to whoever made the request, as any that nobody reads.
	if (error.isRead) cancel(request.body);
	return new Uint8Array(limit + 1);
}

const fault = () => problem(500, "internal", "Internal error", "the request met a fault and was given up");

const nothingAt = (path) => problem(404, "not-found", "There is nothing at this path", `no such path: ${path}`);
/** What a `Response` may have; adapters replace that class by ones that do not look. */
const isPassable = (status) => status >= 200 && status <= 599;

/** An answer of the origin, whose body `fetch` has unpacked. */
function passedBack(response) {
	const headers = new Headers(response.headers);
	if (headers.has("content-encoding")) {
		headers.delete("content-encoding");
		headers.delete("content-length");
	}
	const { status, body } = response;
	if (!isPassable(status)) {
		cancel(body);
		return originStatus(status);
	}
	return new Response(body, { status, headers });
}

/**
 * @param {import("../types/index.d.ts").EngineOptions} options
 * @param {() => WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>} load the host's way to the module
 */
export async function start(options = {}, load) {
	const { wasm } = options;
	await instantiate(wasm === undefined ? load : () => wasm);
	return new Engine(options);
}
