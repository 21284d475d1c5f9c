// Serves requests that have been let in: their plain values in, a reply in plain values out.
//
// It knows neither credentials nor a host's classes. Its invariants: what memory has is answered by one call of the core, without a
// promise; a read ends with its caller where the host tells that it has gone, and a write goes on without one, so that its mark has the time of the origin's answer.

import { Core, CoreState } from "featheredge-core";
import { cancel } from "../runtime/body.js";
import { headerPairs } from "../runtime/headers.js";
import { redacted } from "../runtime/redact.js";
import { isUnsent } from "../runtime/retry.js";
import { ANYONE } from "./pass.js";
import {
	fault,
	isSendable,
	notAllowed,
	notFound,
	originLate,
	originStatus,
	originUnreachable,
	writeLate,
	writeLost,
} from "./reply.js";

/** The path whose answers may go out line by line. */
export const NATIVE = "/v1/features";
export const FEAST = "/get-online-features";

/** `Service::right` for what only reads. */
const READ = 1;

/** The header by which a client tells the requests of one session or user. */
const SESSION = "featheredge-session";

/** Headers that were made lately: most replies from memory have the same ones. More than there are common kinds of replies, times their ages. */
const MAX_RECENT_HEADERS = 256;

const NOTHING = new Uint8Array();

/** Whether a request changes nothing, whoever answers it: it may end with its caller, and be made again. */
const onlyReads = ({ method, path }) => Core.right(method, path) <= READ;

/**
 * A request in plain values.
 *
 * @typedef {object} PlainRequest
 * @property {string} method
 * @property {string} path in the normal form of `targetOf`
 * @property {string} query without its question mark
 * @property {Iterable<[string, string]>} headers
 * @property {(name: string) => string | undefined} header a header by its name in small letters
 * @property {(limit: number) => Promise<Uint8Array | undefined>} read its body; `undefined` where it is longer than `limit` bytes, of which no
 *   more than the chunk that passes it is read
 * @property {boolean} isOverLimit whether it was found to be longer
 * @property {boolean} isShed whether there was no room to read it
 * @property {() => ReadableStream<Uint8Array> | undefined} stream its body, from its beginning, where it was not read or is longer than was to be read
 * @property {string} address where it came from
 * @property {string} [scheme] by which its client has reached us, as the authority
 * @property {string} [authority]
 * @property {string} [mount] what stands before our paths for its client
 * @property {boolean} isGone whether its caller has gone
 * @property {AbortSignal} [signal] tells when its caller goes
 * @property {(done: Promise<void>) => void} [waitUntil] told of what goes on behind the reply
 */

/** Whether an `Accept` names lines, and not with a weight of 0. */
function acceptsLines(accept) {
	const ranges = accept?.split(",") ?? [];
	return ranges.some(
		(range) => /^\s*application\/x-ndjson\s*(;|$)/i.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/i.test(range),
	);
}

/** Whether a request is for features, so that anyone may make it where reading is open. */
export const isForFeatures = ({ method, path }) => method === "POST" && (path === FEAST || path === NATIVE);

/** Whether nothing of a request for features counts but its body: most are of this kind. */
function isPlain(request) {
	return (
		isForFeatures(request) &&
		request.header("authorization") === undefined &&
		request.header(SESSION) === undefined &&
		request.header("traceparent") === undefined &&
		request.query === "" &&
		(request.path !== NATIVE || !acceptsLines(request.header("accept")))
	);
}

export class Handler {
	#runtime;
	#asset;
	/** @type {Map<string, import("./reply.js").HeaderPairs>} */
	#recent = new Map();

	/**
	 * @param {import("../runtime/runtime.js").Runtime} runtime
	 * @param {(request: PlainRequest) => Promise<import("./reply.js").Reply>} [asset] answers for a file of the page
	 */
	constructor(runtime, asset = async ({ path }) => notFound(`no such path: ${path}`)) {
		this.#runtime = runtime;
		this.#asset = asset;
	}

	/** How many bytes of a request's body are to be read; 0 where it is not looked at here. */
	bodyLimit({ method, path }) {
		return this.#runtime.open().body_limit(method, path);
	}

	/**
	 * Serves a request; throws, or rejects, where the core met a fault or the caller has gone.
	 *
	 * @param {PlainRequest} request
	 * @param {import("./pass.js").Pass} pass
	 * @param {Uint8Array} [body] its body, where it was read
	 * @returns {import("./reply.js").Reply | Promise<import("./reply.js").Reply>} at once where memory has it
	 */
	serve(request, pass, body) {
		const runtime = this.#runtime;
		const length = request.isOverLimit ? undefined : runtime.write(body ?? NOTHING, body?.length);
		const isBodyAll = pass === ANYONE && length !== undefined && isPlain(request);
		const state = runtime.begin(isBodyAll ? beginPlain(request.path, length) : this.#beginWith(request, length, pass));
		if (state === CoreState.Replied) return this.#reply(request, (lines) => this.#sharedHeaders(lines));
		const take = () => this.#reply(request, headerPairs);
		const { waitUntil } = request;
		const isRead = onlyReads(request);
		const context = traced(pass, request);
		if (state === CoreState.RepliedWithEffects) return runtime.attendBehind({ take, context, waitUntil });
		return runtime.attend(state, {
			take,
			pass: (base, signal, cacheStatus) => {
				if (base === undefined) return this.#asset(request);
				const passed = runtime.origin.pass(base, request, body, pass, { signal, isRead });
				const answered = passed.then(
					(reply) => contained(runtime.isPrivate ? withoutWords(reply) : reply),
					(error) => {
						if (!isRead) return writeLost(isUnsent(error));
						return signal.aborted ? originLate() : originUnreachable();
					},
				);
				return answered.then((reply) => withHeaders(reply, [["cache-status", cacheStatus]]));
			},
			late: writeLate,
			addHeaders: withHeaders,
			open: (stream) => ({ status: 200, headers: headerPairs(runtime.core.reply_headers()), body: stream }),
			context,
			signal: isRead ? request.signal : undefined,
			waitUntil,
		});
	}

	/**
	 * What telemetry reports at a path.
	 *
	 * @param {PlainRequest} request
	 * @returns {Promise<import("./reply.js").Reply>}
	 */
	async report({ method, path, query, waitUntil }) {
		if (method !== "GET" && method !== "HEAD") return notAllowed("GET, HEAD");
		const take = () => this.#reply({ method, path }, headerPairs);
		const reply = (await this.#runtime.telemetry.report(path, query, take, waitUntil)) ?? fault();
		return method === "HEAD" ? { ...reply, body: null } : reply;
	}

	/** Begins a request with all that is known of it. */
	#beginWith(request, length, pass) {
		const { method, path, query } = request;
		const { caller, isOperator, credentials, authorization } = pass;
		// Who shows the origin credentials that nobody here has judged is served by the origin alone.
		const isCallers = credentials === "caller" && authorization === undefined && !this.#runtime.origin?.isAuthorized;
		const flags = [
			isCallers && request.header("authorization") !== undefined,
			isOperator,
			acceptsLines(request.header("accept")),
		];
		const traceparent = request.header("traceparent") ?? "";
		const session = request.header(SESSION);
		return (core, now) => core.begin(method, path, query, length, ...flags, caller, traceparent, session, now);
	}

	/** The reply that the core has. Nobody keeps any but features that were read. */
	#reply(request, headersOf) {
		const { core, replyBody } = this.#runtime;
		const status = core.reply_status();
		if (!isSendable(status)) return originStatus(status);
		const body = replyBody.length > 0 ? replyBody.slice() : null;
		const headers = headersOf(core.reply_headers());
		const isKept = status === 200 && isForFeatures(request);
		return { status, headers: isKept ? headers : [...headers, ["cache-control", "no-store"]], body };
	}

	/** The headers in lines, for many replies. Not for those that waited: hardly two of them have the same timings. */
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

/** The headers that go on with a trace beside `traceparent`, which the core makes anew (W3C Trace Context and Baggage). */
const TRACING = ["tracestate", "baggage"];

/** What the origin is to know of a request: how it was let in, and what of its trace goes on as it came. */
function traced(pass, request) {
	const tracing = TRACING.map((name) => [name, request.header(name)]).filter(([, value]) => value !== undefined);
	return tracing.length > 0 ? { ...pass, tracing } : pass;
}

/** What is said of every answer that is passed on: nobody keeps it, and in a browser it is no page or script of this site. @type {import("./reply.js").HeaderPairs} */
const CONTAINED = [
	["cache-control", "no-store"],
	["content-security-policy", "sandbox"],
	["x-content-type-options", "nosniff"],
];

const CONTAINED_NAMES = new Set(CONTAINED.map(([name]) => name));

const withHeaders = (reply, pairs) => ({ ...reply, headers: [...reply.headers, ...pairs] });

/** An answer of the origin, which whoever reads it here trusts less than it trusts this site. */
function contained(reply) {
	const kept = reply.headers.filter(([name]) => !CONTAINED_NAMES.has(name));
	return { ...reply, headers: [...kept, ...CONTAINED] };
}

/** Headers of an error that say nothing of what was asked. */
const WORDLESS = new Set(["allow", "retry-after", "www-authenticate"]);

/** An answer of the origin, without its own words where it is an error or a redirect: these may quote what was asked. */
export function withoutWords(reply) {
	const { status, headers, body } = reply;
	// Our own words stand in bytes.
	if (status < 300 || status === 304 || body instanceof Uint8Array) return reply;
	cancel(body);
	const { contentType, body: words } = redacted();
	const kept = headers.filter(([name]) => WORDLESS.has(name));
	return { status, headers: [["content-type", contentType], ...kept], body: body === null ? null : words };
}

const beginPlain = (path, length) => (core, now) =>
	path === NATIVE ? core.begin_native(length, false, now) : core.begin_feast(length, false, now);
