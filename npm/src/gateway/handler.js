// Serves admitted requests: takes a request in plain values, and returns a reply in plain values.
//
// It knows neither credentials nor a host's classes. Invariants: one call of the core without a promise
// serves a request from memory; a read ends when its caller disconnects; a write continues, so that its
// invalidation has the time of the origin's response.

import { Core, CoreState } from "featheredge-core";
import { headerPairs } from "../runtime/headers.js";
import { forward } from "./forward.js";
import { ANONYMOUS } from "./grant.js";
import { internalError, invalidOriginStatus, isSendable, notAllowed, notFound, writeTimedOut } from "./reply.js";

/** The path of the native API, whose responses may be streamed. */
export const NATIVE_PATH = "/v1/features";
export const FEAST_PATH = "/get-online-features";

/** The core's number of the scope `read`. */
const READ = 1;

/** The header that identifies a client's session or user, for prefetch. */
const SESSION = "featheredge-session";

/**
 * The size of the cache of parsed headers: more than the common kinds of replies from memory, times their
 * ages.
 */
const MAX_RECENT_HEADERS = 256;

const EMPTY = new Uint8Array();

/** Whether a request only reads, so that it may be aborted and repeated. */
const isReadOnly = ({ method, path }) => Core.auth_scope(method, path) <= READ;

/**
 * A request in plain values.
 *
 * @typedef {object} PlainRequest
 * @property {string} method
 * @property {string} path in the normal form of `targetOf`
 * @property {string} query without its question mark
 * @property {Iterable<[string, string]>} headers
 * @property {(name: string) => string | undefined} header a header by its name in small letters
 * @property {(limit: number) => Promise<Uint8Array | undefined>} read its body; `undefined` if it is longer than `limit` bytes; then
 *   only the chunk that exceeds the limit is read
 * @property {boolean} isOverLimit whether its body is longer than the limit
 * @property {boolean} isShed whether it was shed for lack of memory for its body
 * @property {() => ReadableStream<Uint8Array> | undefined} stream its whole body, if it was not read or exceeds the limit
 * @property {string} address the client's address
 * @property {string} [scheme] of the URL that its client requested
 * @property {string} [authority] of the same URL
 * @property {string} [mount] the prefix of the API's paths in the same URL
 * @property {boolean} isDisconnected whether its caller has disconnected
 * @property {AbortSignal} [signal] aborts when its caller disconnects
 * @property {(done: Promise<void>) => void} [waitUntil] receives the work that continues after the reply
 */

/** Whether an `Accept` allows newline-delimited JSON, explicitly and with a weight above 0. */
function acceptsNdjson(accept) {
	const ranges = accept?.split(",") ?? [];
	return ranges.some(
		(range) => /^\s*application\/x-ndjson\s*(;|$)/i.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/i.test(range),
	);
}

/** Whether a request reads features. */
export const isFeatureRequest = ({ method, path }) =>
	method === "POST" && (path === FEAST_PATH || path === NATIVE_PATH);

/** Whether a request reads features and nothing but its body matters, as for most requests. */
function isBodyOnly(request) {
	return (
		isFeatureRequest(request) &&
		request.header("authorization") === undefined &&
		request.header(SESSION) === undefined &&
		request.header("traceparent") === undefined &&
		request.query === "" &&
		(request.path !== NATIVE_PATH || !acceptsNdjson(request.header("accept")))
	);
}

export class Handler {
	#runtime;
	#asset;
	/** @type {Map<string, import("./reply.js").HeaderPairs>} */
	#recent = new Map();

	/**
	 * @param {import("../runtime/runtime.js").Runtime} runtime
	 * @param {(request: PlainRequest) => Promise<import("./reply.js").Reply>} [asset] serves a static file
	 */
	constructor(runtime, asset = async ({ path }) => notFound(`no such path: ${path}`)) {
		this.#runtime = runtime;
		this.#asset = asset;
	}

	/** The limit of a request's body in bytes; 0 if the body is only forwarded. */
	bodyLimit({ method, path }) {
		return this.#runtime.open().body_limit(method, path);
	}

	/**
	 * Serves a request; throws or rejects if the core failed or the caller has disconnected.
	 *
	 * @param {PlainRequest} request
	 * @param {import("./grant.js").Grant} grant
	 * @param {Uint8Array} [body] its body, if it was read
	 * @returns {import("./reply.js").Reply | Promise<import("./reply.js").Reply>} synchronous if memory has it
	 */
	serve(request, grant, body) {
		const runtime = this.#runtime;
		const length = request.isOverLimit ? undefined : runtime.write(body ?? EMPTY, body?.length);
		const isBodyAlone = grant === ANONYMOUS && length !== undefined && isBodyOnly(request);
		const state = runtime.begin(
			isBodyAlone ? beginBodyOnly(request.path, length) : this.#beginFull(request, length, grant),
		);
		if (state === CoreState.Replied) return this.#reply(request, (lines) => this.#sharedHeaders(lines));
		const onReply = () => this.#reply(request, headerPairs);
		const { waitUntil } = request;
		const isRead = isReadOnly(request);
		const context = withTracing(grant, request);
		if (state === CoreState.RepliedWithEffects) return runtime.finishInBackground({ onReply, context, waitUntil });
		return runtime.finish(state, {
			onReply,
			forward: (base, signal, cacheStatus) => {
				if (base === undefined) return this.#asset(request);
				const forwarded = forward(runtime, base, request, body, grant, { signal, isRead });
				return forwarded.then((reply) => withHeaders(isolated(reply), [["cache-status", cacheStatus]]));
			},
			onWriteTimeout: writeTimedOut,
			addHeaders: withHeaders,
			onStream: (stream) => ({ status: 200, headers: headerPairs(runtime.core.reply_headers()), body: stream }),
			context,
			signal: isRead ? request.signal : undefined,
			waitUntil,
		});
	}

	/**
	 * Serves a telemetry report.
	 *
	 * @param {PlainRequest} request
	 * @returns {Promise<import("./reply.js").Reply>}
	 */
	async report({ method, path, query, waitUntil }) {
		if (method !== "GET" && method !== "HEAD") return notAllowed("GET, HEAD");
		const onReply = () => this.#reply({ method, path }, headerPairs);
		const reply = (await this.#runtime.telemetry.report(path, query, onReply, waitUntil)) ?? internalError();
		return method === "HEAD" ? { ...reply, body: null } : reply;
	}

	/** Begins a request with everything that the core can use of it. */
	#beginFull(request, length, grant) {
		const { method, path, query } = request;
		const { partition, isOperator, credentials, authorization } = grant;
		// The origin alone serves a caller whose credentials were not checked here.
		const hasUncheckedCredentials =
			credentials === "caller" && authorization === undefined && !this.#runtime.origin?.hasCredentials;
		const flags = [
			hasUncheckedCredentials && request.header("authorization") !== undefined,
			isOperator,
			acceptsNdjson(request.header("accept")),
		];
		const traceparent = request.header("traceparent") ?? "";
		const session = request.header(SESSION);
		return (core, now) => core.begin(method, path, query, length, ...flags, partition, traceparent, session, now);
	}

	/** The core's reply. Only features may be cached by clients. */
	#reply(request, headersOf) {
		const { core, replyBody } = this.#runtime;
		const status = core.reply_status();
		if (!isSendable(status)) return invalidOriginStatus(status);
		const body = replyBody.length > 0 ? replyBody.slice() : null;
		const headers = headersOf(core.reply_headers());
		const isKept = status === 200 && isFeatureRequest(request);
		return { status, headers: isKept ? headers : [...headers, ["cache-control", "no-store"]], body };
	}

	/**
	 * The parsed headers, shared by many replies. Replies that awaited something are excluded: their timings
	 * differ.
	 */
	#sharedHeaders(lines) {
		let headers = this.#recent.get(lines);
		if (headers === undefined) {
			headers = Object.freeze(headerPairs(lines));
			if (this.#recent.size >= MAX_RECENT_HEADERS) this.#recent.clear();
			this.#recent.set(lines, headers);
		}
		return headers;
	}
}

/**
 * The headers of a trace that are forwarded unchanged; the core replaces `traceparent` (W3C Trace Context
 * and Baggage).
 */
const TRACING = ["tracestate", "baggage"];

/** The grant of a request, with the headers of its trace for the origin. */
function withTracing(grant, request) {
	const tracing = TRACING.map((name) => [name, request.header(name)]).filter(([, value]) => value !== undefined);
	return tracing.length > 0 ? { ...grant, tracing } : grant;
}

/**
 * Headers of every forwarded response: it is not cached, and a browser treats it as no page or script of this site.
 *
 * @type {import("./reply.js").HeaderPairs}
 */
const ISOLATION_HEADERS = [
	["cache-control", "no-store"],
	["content-security-policy", "sandbox"],
	["x-content-type-options", "nosniff"],
];

const ISOLATION_HEADER_NAMES = new Set(ISOLATION_HEADERS.map(([name]) => name));

const withHeaders = (reply, pairs) => ({ ...reply, headers: [...reply.headers, ...pairs] });

/** A response of the origin, with headers that deny it this site's trust. */
function isolated(reply) {
	const kept = reply.headers.filter(([name]) => !ISOLATION_HEADER_NAMES.has(name));
	return { ...reply, headers: [...kept, ...ISOLATION_HEADERS] };
}

const beginBodyOnly = (path, length) => (core, now) =>
	path === NATIVE_PATH ? core.begin_native(length, false, now) : core.begin_feast(length, false, now);
