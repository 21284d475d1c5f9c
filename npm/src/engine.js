// The engine's JavaScript API: objects, bytes, columns, streams and HTTP over the runtime.
//
// It knows no host. Invariant: a request that memory can serve needs no promise inside.

import { CoreState } from "featheredge-core";
import { steadyClock } from "./clock.js";
import { readColumns } from "./columns.js";
import { ConfigError, errorOf, FaultError } from "./errors.js";
import { areEqual, sha256 } from "./gateway/digest.js";
import { forward as forwardRequest } from "./gateway/forward.js";
import { ANONYMOUS, OPERATOR } from "./gateway/grant.js";
import { FEAST_PATH, Handler, NATIVE_PATH } from "./gateway/handler.js";
import { targetOf } from "./gateway/target.js";
import { responseOf, WebRequest } from "./gateway/web.js";
import { stringify } from "./json.js";
import { checkChoice, checkOptions } from "./options.js";
import { originOf } from "./origins.js";
import { bodyOf } from "./request_body.js";
import { headerPairs } from "./runtime/headers.js";
import { instantiate } from "./runtime/instance.js";
import { Runtime } from "./runtime/runtime.js";
import { post } from "./runtime/telemetry.js";
import { TELEMETRY_PATHS } from "./runtime/telemetry_paths.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const WARM = "/v1/warm";
const PREDICTIONS = "/v1/predictions";
const NDJSON = "application/x-ndjson";

const ENGINE_OPTIONS = [
	...["config", "origin", "l2", "l3", "clock", "operatorToken", "authorizations", "basePath", "onError", "wasm"],
];
const CALL_OPTIONS = ["signal", "waitUntil"];
const SERVE_OPTIONS = [...CALL_OPTIONS, "partial"];
const BYTES_OPTIONS = [...SERVE_OPTIONS, "protocol", "session", "headers"];
const COLUMNS_OPTIONS = [...SERVE_OPTIONS, "scalars", "vectors"];

/** Checks the options of a call that serves values. */
function checkServing(call, options, known) {
	checkOptions(call, options, known);
	checkChoice("partial", options?.partial, ["serve", "reject"]);
}

function checkStore(name, store) {
	if (store === undefined) return;
	if (typeof store.getMany !== "function" || typeof store.setMany !== "function") {
		throw new ConfigError(`\`${name}\` is not a store: it needs \`getMany\` and \`setMany\``);
	}
}

/** Checks a base path, which is compared with paths in their normal form. */
function checkBasePath(path) {
	if (path === "" || (targetOf(path)?.path === path && !path.endsWith("/"))) return;
	throw new ConfigError(`\`basePath\` must begin with a slash and end without one, found \`${path}\``);
}

/** A path without the base path, or the path itself if it is not below it. */
function pathBelow(base, path) {
	if (path === base) return "/";
	return path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

/** @param {import("../types/index.d.ts").EngineOptions} options */
function configure({
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
		if (config.pseudonymize_keys && store !== undefined && !store.pseudonymizesKeys) {
			throw new ConfigError(
				`\`pseudonymize_keys\` needs \`${name}\` to be a \`sealedStore\` whose keys have an \`hmac_secret\``,
			);
		}
	}
	const chosen = originOf(origin, config);
	if (origin !== undefined && config.origin?.url !== undefined) {
		throw new ConfigError("the origin is set twice: by `origin` and by `config.origin.url`");
	}
	// Ignoring it would admit callers whom the configuration excludes.
	if ((config.auth?.mode ?? "none") !== "none") {
		throw new ConfigError(
			"`auth.mode` is for the Worker and `featheredge serve`: in an application, check callers before you call the engine",
		);
	}
	if (config.telemetry?.aggregate || config.telemetry?.analytics_binding !== undefined) {
		throw new ConfigError("`telemetry.aggregate` and `telemetry.analytics_binding` need the Worker's bindings");
	}
	const table = {
		...config,
		...chosen?.config,
		origin: { ...config.origin, ...chosen?.config.origin },
		limits: { ...config.limits, ...chosen?.config.limits },
		l2: { ...config.l2, ...(l2 === undefined && { enabled: false }) },
		// A store of the package receives all keys at once, and may distribute them itself.
		...(l3 !== undefined && { l3: { enabled: true, shards: 1, ...config.l3 } }),
	};
	const stores = { l2_distributed: l2, l3_storage: l3 };
	const runtime = new Runtime({
		config: table,
		connect: () => ({ stores }),
		origin: chosen,
		clock,
		redactsErrors: table.pseudonymize_keys === true,
		exportsTelemetry: table.alerts?.webhook_url !== undefined || table.telemetry?.traces_url !== undefined,
		send: (kind, to, body, signal) => post(to, body, authorizations?.[kind], signal),
		onError,
	});
	return { runtime, operatorToken, basePath };
}

class Engine {
	#runtime;
	#settings;
	#handler;

	constructor(options) {
		this.#settings = configure(options);
		this.#runtime = this.#settings.runtime;
		this.#handler = new Handler(this.#runtime);
		// `fetch` is mostly passed as a function.
		this.fetch = this.fetch.bind(this);
	}

	async serve(request, options) {
		checkServing("serve", options, SERVE_OPTIONS);
		const length = this.#write(bodyOf(request), options);
		const begin = (core, now) => core.begin_native(length, true, now);
		return this.#run(begin, options, (bytes) => this.#withCauses(JSON.parse(decoder.decode(bytes))));
	}

	serveBytes(body, options) {
		checkServing("serveBytes", options, BYTES_OPTIONS);
		const length = this.#write(body, options);
		const read = options?.headers
			? (bytes, headers) => ({ body: bytes.slice(), headers: headers ?? this.#headers() })
			: copy;
		const isFeast = options?.protocol === "feast";
		const session = options?.session;
		let begin = (core, now) => (isFeast ? core.begin_feast(length, true, now) : core.begin_native(length, true, now));
		if (session !== undefined) {
			begin = (core, now) =>
				core.begin(
					"POST",
					isFeast ? FEAST_PATH : NATIVE_PATH,
					"",
					length,
					false,
					true,
					false,
					"",
					"",
					String(session),
					now,
				);
		}
		return this.#run(begin, options, read, isFeast ? body : undefined);
	}

	async columns(request, given = {}) {
		checkServing("columns", given, COLUMNS_OPTIONS);
		const { scalars, vectors, ...options } = given;
		const length = this.#write(bodyOf(request), options);
		const isNarrow = (type) => type === "float32";
		const begin = (core, now) => core.begin_columns(length, isNarrow(scalars), isNarrow(vectors), now);
		return this.#run(begin, options, (bytes) => readColumns(bytes.slice()));
	}

	async *stream(request, options) {
		checkOptions("stream", options, CALL_OPTIONS);
		const length = this.#write(bodyOf(request), options);
		const begin = (core, now) => core.begin("POST", NATIVE_PATH, "", length, false, true, true, "", "", undefined, now);
		const onReply = () => {
			if (!this.#runtime.isOk) throw this.#error();
			// Rows that are all in memory arrive at once.
			const isLines = this.#headers().some(([name, value]) => name === "content-type" && value.startsWith(NDJSON));
			if (isLines) return new Response(this.#runtime.replyBody.slice()).body;
			throw new ConfigError("`stream` needs `routing.streaming`, which the configuration disables");
		};
		const body = await this.#exchange(begin, { onReply, onStream: (body) => body, ...options });
		yield* parsedLines(body);
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
			return responseOf(await this.#handler.serve(plain, isOperator ? OPERATOR : ANONYMOUS, body));
		} finally {
			await plain.release();
		}
	}

	async prefetch(request, options) {
		checkOptions("prefetch", options, CALL_OPTIONS);
		const length = this.#write(bodyOf({ ...request, priority: "low" }), options);
		const begin = (core, now) => core.begin_native(length, true, now);
		await this.#run(begin, options, () => {});
	}

	async predictions(request) {
		const query = `native=${encodeURIComponent(stringify(request))}`;
		return this.#requestAsOperator("GET", PREDICTIONS, "", {}, query);
	}

	async invalidate(request) {
		return this.#requestAsOperator("POST", "/v1/invalidate", stringify(request));
	}

	async warm(what, options) {
		checkOptions("warm", options, CALL_OPTIONS);
		const lines = Symbol.iterator in what ? [...what] : [what];
		return this.#requestAsOperator("POST", WARM, lines.map(stringify).join("\n"), options);
	}

	async ready() {
		return this.#requestAsOperator("GET", "/ready");
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

	close() {
		return this.#runtime.close();
	}

	[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
		return this.close();
	}

	/** The body of a telemetry report. */
	async #report(path) {
		this.#runtime.open();
		const onReply = () => (this.#runtime.isOk ? decoder.decode(this.#runtime.replyBody) : this.#error());
		const report = await this.#runtime.telemetry.report(path, "", onReply);
		if (report === undefined) throw new FaultError();
		if (report instanceof Error) throw report;
		return report;
	}

	/** A request to the HTTP API with all scopes, which this process has. */
	async #requestAsOperator(method, path, body = "", options = {}, query = "") {
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

	#error() {
		const status = this.#runtime.core.reply_status();
		const reply = { status, headers: this.#headers(), body: this.#runtime.replyBody.slice() };
		return errorOf(reply, this.#runtime.replyException);
	}

	/** The error of an answer that lacks values, where the caller wants all or nothing. */
	#partialError() {
		const body = this.#runtime.core.reply_failure();
		if (body === undefined) return undefined;
		const { status } = JSON.parse(decoder.decode(body));
		return errorOf({ status, headers: [], body }, this.#runtime.replyException);
	}

	/** The answer, with what the origin's function threw as the cause of each error. */
	#withCauses(answer) {
		const cause = answer.errors && this.#runtime.replyException;
		if (cause !== undefined) for (const error of answer.errors) error.cause = cause;
		return answer;
	}

	/** Serves a request whose reply may have any status. */
	#exchange(begin, options) {
		const state = this.#runtime.begin(begin);
		return state === CoreState.Replied ? options.onReply() : this.#runtime.finish(state, options);
	}

	/** Serves a request that succeeds with status 200: synchronously from memory, else by a promise. */
	#run(begin, options, read, asked) {
		const runtime = this.#runtime;
		const state = runtime.begin(begin);
		if (state === CoreState.Replied) return this.#resultOf(read, options);
		// The caller may reuse its buffer.
		const body = asked?.slice();
		const forward = async (base, signal, cacheStatus) => {
			const request = { method: "POST", path: FEAST_PATH, query: "", headers: [["content-type", "application/json"]] };
			const reply = await forwardRequest(runtime, base, request, body, ANONYMOUS, { signal, isRead: true });
			const bytes = new Uint8Array(await responseOf(reply).arrayBuffer());
			const { status } = reply;
			const headers = [...reply.headers, ["cache-status", cacheStatus]];
			if (status === 200) return read(bytes, headers);
			throw errorOf({ status, headers, body: bytes }, reply.cause);
		};
		const handlers = { ...options, onReply: () => this.#resultOf(read, options), forward };
		return state === CoreState.RepliedWithEffects
			? runtime.finishInBackground(handlers)
			: runtime.finish(state, handlers);
	}

	#resultOf(read, options) {
		if (!this.#runtime.isOk) throw this.#error();
		const error = options?.partial === "reject" ? this.#partialError() : undefined;
		if (error !== undefined) throw error;
		return read(this.#runtime.replyBody);
	}
}

/** Parses newline-delimited JSON line by line; cancels the body when its consumer stops. */
async function* parsedLines(body) {
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
 * @param {() => WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>} load loads the module on this host
 */
export async function start(options = {}, load) {
	checkOptions("createEngine", options, ENGINE_OPTIONS);
	const { wasm } = options;
	await instantiate(wasm === undefined ? load : () => wasm);
	return new Engine(options);
}
