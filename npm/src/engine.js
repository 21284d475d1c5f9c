// The engine as JavaScript has it: objects, bytes, columns, streams and HTTP around the runtime.

import { CoreState } from "featheredge-core";
import { steadyClock } from "./clock.js";
import { readColumns } from "./columns.js";
import { ConfigError, errorOf, FaultError } from "./errors.js";
import { areEqual, sha256 } from "./gateway/digest.js";
import { FEAST, Handler, NATIVE, withoutWords } from "./gateway/handler.js";
import { ANYONE, OPERATOR } from "./gateway/pass.js";
import { originLate } from "./gateway/reply.js";
import { targetOf } from "./gateway/target.js";
import { responseOf, WebRequest } from "./gateway/web.js";
import { stringify } from "./json.js";
import { originOf } from "./origins.js";
import { headerPairs } from "./runtime/headers.js";
import { instantiate } from "./runtime/instance.js";
import { Runtime } from "./runtime/runtime.js";
import { post } from "./runtime/telemetry.js";
import { TELEMETRY_PATHS } from "./runtime/telemetry_paths.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const WARM = "/v1/warm";
const PREDICTIONS = "/v1/predictions";
const LINES = "application/x-ndjson";

function checkStore(name, store) {
	if (store === undefined) return;
	if (typeof store.getMany !== "function" || typeof store.setMany !== "function") {
		throw new ConfigError(`\`${name}\` is no store: it needs \`getMany\` and \`setMany\``);
	}
}

/** Requests are matched with it by their paths' normal form. */
function checkBasePath(path) {
	if (path === "" || (targetOf(path)?.path === path && !path.endsWith("/"))) return;
	throw new ConfigError(`\`basePath\` is no path that begins with a slash and ends without one: \`${path}\``);
}

/** The path below a base path; one that is not below it as it is. */
function pathBelow(base, path) {
	if (path === base) return "/";
	return path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

/** @param {import("../types/index.d.ts").EngineOptions} options */
function settle({
	config = {},
	l2,
	l3,
	origin,
	clock = steadyClock(),
	operatorToken,
	basePath = "",
	authorizations,
	onError,
}) {
	checkStore("l2", l2);
	checkStore("l3", l3);
	checkBasePath(basePath);
	for (const [name, store] of Object.entries({ l2, l3 })) {
		if (config.pseudonymize_keys && store !== undefined && !store.hidesKeys) {
			throw new ConfigError(
				`\`pseudonymize_keys\` needs \`${name}\` to be a \`sealedStore\` whose keys have \`names\``,
			);
		}
	}
	const chosen = originOf(origin, config);
	if (origin !== undefined && config.origin?.url !== undefined) {
		throw new ConfigError("the origin is given twice: as `origin`, and as `config.origin.url`");
	}
	// Silence here would let everybody in where the configuration says that nobody may.
	if ((config.auth?.mode ?? "none") !== "none") {
		throw new ConfigError(
			"`auth.mode` is for the Worker and `featheredge serve`: here, check callers before the engine is asked",
		);
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
		limits: { ...config.limits, ...chosen?.config.limits },
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
		isPrivate: table.pseudonymize_keys === true,
		isHeard: table.alerts?.webhook_url !== undefined || table.telemetry?.traces_url !== undefined,
		send: (kind, to, body, signal) => post(to, body, authorizations?.[kind], signal),
		onError,
	});
	return { runtime, origin: chosen, operatorToken, basePath };
}

class Engine {
	#runtime;
	#settings;
	#handler;

	constructor(options) {
		this.#settings = settle(options);
		this.#runtime = this.#settings.runtime;
		this.#handler = new Handler(this.#runtime);
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
		const { basePath, operatorToken } = this.#settings;
		const { pathname, search } = new URL(request.url);
		const { path, query } = targetOf(pathname + search);
		const target = { path: pathBelow(basePath, path), query };
		const host = context.find((item) => typeof item?.waitUntil === "function");
		const waitUntil = host && ((done) => host.waitUntil(done));
		const plain = new WebRequest(request, target, { mount: basePath, signal: request.signal, waitUntil });
		if (TELEMETRY_PATHS.has(target.path)) {
			this.#runtime.open();
			return responseOf(await this.#handler.report(plain));
		}
		const limit = this.#handler.bodyLimit(plain);
		const body = limit > 0 ? await plain.read(limit) : undefined;
		const isOperator =
			operatorToken !== undefined &&
			areEqual(await sha256(plain.header("authorization") ?? ""), await sha256(`Bearer ${operatorToken}`));
		try {
			return responseOf(await this.#handler.serve(plain, isOperator ? OPERATOR : ANYONE, body));
		} finally {
			await plain.release();
		}
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

	/** Serves a request whose reply is of use whatever its status is. */
	#exchange(begin, handling) {
		const state = this.#runtime.begin(begin);
		return state === CoreState.Replied ? handling.take() : this.#runtime.attend(state, handling);
	}

	/** Serves a request whose reply is of use with status 200 alone: at once where memory has it, else by a promise. */
	#run(begin, options, read, asked) {
		const runtime = this.#runtime;
		const state = runtime.begin(begin);
		if (state === CoreState.Replied) return this.#taken(read);
		// The caller may use its buffer again.
		const body = asked?.slice();
		const pass = async (base, signal, cacheStatus) => {
			const request = { method: "POST", path: FEAST, query: "", headers: [["content-type", "application/json"]] };
			const passed = await this.#settings.origin
				.pass(base, request, body, ANYONE, { signal, isRead: true })
				.catch((error) => {
					if (!signal.aborted) throw error;
					return originLate();
				});
			const reply = runtime.isPrivate ? withoutWords(passed) : passed;
			const bytes = new Uint8Array(await responseOf(reply).arrayBuffer());
			const { status } = reply;
			const headers = [...reply.headers, ["cache-status", cacheStatus]];
			if (status === 200) return read(bytes, headers);
			throw errorOf({ status, headers, body: bytes });
		};
		const handling = { ...options, take: (exchange) => this.#taken(read, exchange), pass };
		return state === CoreState.RepliedWithEffects ? runtime.attendBehind(handling) : runtime.attend(state, handling);
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

/**
 * @param {import("../types/index.d.ts").EngineOptions} options
 * @param {() => WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>} load the host's way to the module
 */
export async function start(options = {}, load) {
	const { wasm } = options;
	await instantiate(wasm === undefined ? load : () => wasm);
	return new Engine(options);
}
