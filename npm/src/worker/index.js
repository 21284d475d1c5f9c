// The Worker's entry: access control, the platform's stores, and HTTP around the runtime.
//
// It is JavaScript, and not what the `worker` crate's own build makes: whatever that exports becomes callable over RPC. Here the only
// exports are `fetch` and the Durable Objects' classes, which none but a Worker bound to them can call.

import { Core, State } from "featheredge-core";
import { ConfigError, FaultError } from "../errors.js";
import { acceptsLines, notAllowed, originStatus, originUnreachable, problem, SESSION } from "../http.js";
import { answerOf } from "../origins.js";
import { cancel, discard, readBytes, TooLargeError } from "../runtime/body.js";
import { headerPairs } from "../runtime/headers.js";
import * as instance from "../runtime/instance.js";
import { retryLostConnection } from "../runtime/retry.js";
import { Runtime } from "../runtime/runtime.js";
import { post } from "../runtime/telemetry.js";
import { TELEMETRY_PATHS } from "../runtime/telemetry_paths.js";
import { Access, ANYONE } from "./access.js";
import wasmModule from "./index.wasm";
import { reachOf, sealingOf } from "./stores.js";

export { Ledger, MergedWindows, StorageShard } from "./durable.js";

/** The secret that holds the value of the `Authorization` header for the origin. */
const ORIGIN_AUTHORIZATION = "FEATHEREDGE_ORIGIN_AUTHORIZATION";
/** The secrets that go along to the places of telemetry, by the kind of place. */
const AUTHORIZATIONS = { webhook: "FEATHEREDGE_WEBHOOK_AUTHORIZATION", traces: "FEATHEREDGE_TRACES_AUTHORIZATION" };
/** The path whose answers may go out line by line. */
const NATIVE = "/v1/features";
/** The paths that everybody may read where reading is open: nothing need be looked at for them. */
const FEATURES = new Set(["/get-online-features", NATIVE]);

/** How many rows one request writes to KV, of the 1,000 calls of all kinds that a Worker may make for it. */
const MAX_KV_WRITES = 500;

instance.start(wasmModule);

/** What serves this isolate, once a first request has brought its bindings. @type {ReturnType<typeof begin> | undefined} */
let isolate;

/** @param {Record<string, any>} env */
function begin(env) {
	const access = new Access(env);
	const sealing = sealingOf(env);
	// Nothing may be stored in clear for want of a key.
	if (sealing.fault !== undefined) return { access, fault: sealing.fault };
	try {
		const runtime = new Runtime({
			config: env.FEATHEREDGE,
			maxL2Writes: MAX_KV_WRITES,
			hasLog: true,
			shardSecret: sealing.isPrivate ? sealing.names : undefined,
			connect: (bindings) => reachOf(env, bindings, sealing.seal),
			origin: originOf(env, sealing.isPrivate),
			clock: Date.now,
			isPrivate: sealing.isPrivate,
			send: (kind, to, body, signal) => send(env, kind, to, body, signal),
			onFault: console.error,
		});
		return { access, runtime, limit: runtime.core.body_limit("POST", NATIVE) };
	} catch (error) {
		if (!(error instanceof ConfigError)) throw error;
		return { access, fault: error.message };
	}
}

/** The origin, which is asked with the caller's credentials, or with the deployment's. */
function originOf(env, isPrivate) {
	const own = env[ORIGIN_AUTHORIZATION];
	/** @param {import("./access.js").Pass} pass */
	const authorized = (headers, { authorization }) => {
		if (authorization !== undefined) {
			headers.delete("authorization");
			if (authorization !== "") headers.set("authorization", authorization);
		} else if (own !== undefined && !headers.has("authorization")) {
			headers.set("authorization", own);
		}
		return headers;
	};
	return {
		url: "configured",
		async ask({ method, url, body, maxBytes, traceparent }, signal, pass) {
			const headers = authorized(new Headers(), pass);
			if (traceparent !== undefined) headers.set("traceparent", traceparent);
			if (body.length > 0) headers.set("content-type", "application/json");
			// A redirect would take the request to a place that nobody configured.
			const init = { method, headers, body: body.length > 0 ? body : undefined, redirect: "manual", signal };
			const answer = await retryLostConnection(() => fetch(url, init), signal);
			// Redirects and refusals alike: whatever is no answer may quote what was asked. The runtime redacts it unread.
			if (isPrivate && answer.status !== 200) {
				cancel(answer.body);
				return { status: answer.status, body: new Uint8Array() };
			}
			return answerOf(answer, maxBytes, true);
		},
		/** Passes a request on as it came. */
		pass(base, { method, url, headers }, body, pass) {
			// Past `https://host`, what is left is path and query.
			const target = [base.replace(/\/+$/, ""), ...url.split("/").slice(3)].join("/");
			return fetch(target, { method, headers: authorized(new Headers(headers), pass), body, redirect: "manual" });
		},
	};
}

/** Sends telemetry to a place. */
async function send(env, kind, to, body, signal) {
	switch (kind) {
		case "windows":
			return env[to].getByName("all").merge(body);
		case "analytics":
			for (const point of JSON.parse(new TextDecoder().decode(body))) env[to].writeDataPoint(point);
			return;
		default:
			return post(to, body, env[AUTHORIZATIONS[kind]], signal);
	}
}

/** What is answered where the core met a fault. */
function fault() {
	const detail = "the request met a fault in this Worker and was given up; the next is served by a new instance";
	return problem(500, "internal", "Internal error", detail);
}

/** Headers that were made lately: most replies from memory have the same ones. @type {Map<string, Headers>} */
const recentHeaders = new Map();

/** More than there are kinds of replies that are common, times the ages that are. */
const MAX_RECENT_HEADERS = 256;

/** The headers in lines, to be changed by nobody. Not for replies that waited: hardly two of them have the same timings. */
function sharedHeaders(lines) {
	let headers = recentHeaders.get(lines);
	if (headers === undefined) {
		headers = new Headers(headerPairs(lines));
		if (recentHeaders.size >= MAX_RECENT_HEADERS) recentHeaders.clear();
		recentHeaders.set(lines, headers);
	}
	return headers;
}

/** The reply that the core has. */
function replyOf(runtime, headersOf = headerPairs) {
	const { core, replyBody } = runtime;
	const status = core.reply_status();
	try {
		const body = replyBody.length > 0 ? replyBody.slice() : null;
		return new Response(body, { status, headers: headersOf(core.reply_headers()) });
	} catch {
		return originStatus(status);
	}
}

/** The path and the query of a URL that the runtime has parsed, each without what stands between them. */
function pathAndQuery(url) {
	const [target] = url.slice(url.indexOf("/", url.indexOf("//") + 2)).split("#", 1);
	const end = target.indexOf("?");
	return end < 0 ? { path: target, query: "" } : { path: target.slice(0, end), query: target.slice(end + 1) };
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
		(path !== NATIVE || !acceptsLines(headers))
	);
}

/**
 * Serves a request that has been let in.
 *
 * @param {Request} request
 * @param {string} path
 * @param {import("./access.js").Pass} pass
 * @param {Record<string, any>} env
 * @param {ExecutionContext} ctx
 * @returns {Promise<Response>}
 */
async function serve(request, path, pass, env, ctx) {
	const { runtime } = isolate;
	const isPlainOne = pass === ANYONE && isPlain(request, path);
	const limit = isPlainOne ? isolate.limit : runtime.open().body_limit(request.method, path);
	let body =
		limit > 0 ? await readBytes(request, limit, true).catch((error) => tooLong(error, request, limit)) : undefined;
	try {
		const length = runtime.write(body ?? new Uint8Array(), limit + 1);
		const state = runtime.begin(
			isPlainOne
				? (core, now) =>
						path === NATIVE ? core.begin_native(length, false, now) : core.begin_feast(length, false, now)
				: beginWith(request, path, length, pass, env),
		);
		if (state === State.Replied) return replyOf(runtime, sharedHeaders);
		if (limit === 0) body = undefined;
		return await runtime.attend(state, {
			take: () => replyOf(runtime),
			pass: (base) => {
				if (base === undefined) return asset(request, env);
				const passed = runtime.origin.pass(base, request, body ?? request.body, pass);
				return passed.catch(originUnreachable);
			},
			addHeaders,
			open: (body) => new Response(body, { headers: headerPairs(runtime.core.reply_headers()) }),
			context: pass,
			waitUntil: (done) => ctx.waitUntil(done),
		});
	} catch (error) {
		// The runtime has told of what the core threw.
		if (!(error instanceof FaultError)) console.error(error);
		return fault();
	}
}

/** In place of a body that is too long, one that the core refuses for its length. */
async function tooLong(error, request, limit) {
	if (!(error instanceof TooLargeError)) throw error;
	await discard(request.body);
	return new Uint8Array(limit + 1);
}

/** Begins a request with all that is known of it. */
function beginWith(request, path, length, pass, env) {
	const { method, headers, url } = request;
	const isCallers = pass.authorization === undefined && env[ORIGIN_AUTHORIZATION] === undefined;
	const flags = [isCallers && headers.has("authorization"), pass.isOperator, path === NATIVE && acceptsLines(headers)];
	const { query } = pathAndQuery(url);
	const session = headers.get(SESSION) ?? undefined;
	const traceparent = headers.get("traceparent") ?? "";
	return (core, now) => core.begin(method, path, query, length, ...flags, pass.caller, traceparent, session, now);
}

/** An answer of the origin, with more headers. */
function addHeaders(answer, pairs) {
	const more = new Response(answer.body, answer);
	for (const [name, value] of pairs) more.headers.append(name, value);
	return more;
}

/** A file of the page. */
function asset(request, env) {
	if (env.ASSETS !== undefined) return env.ASSETS.fetch(request);
	return Promise.resolve(problem(404, "not-found", "There is nothing at this path", "the Worker has no static files"));
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
		isolate ??= begin(env);
		const { access, fault } = isolate;
		const isOpen = fault === undefined && access.isOpen && FEATURES.has(path) && !request.headers.has("authorization");
		return isOpen ? serve(request, path, ANYONE, env, ctx) : admitted(request, path, env, ctx);
	},
};

/** Serves a request whose caller is to be looked at, or whose path is. */
async function admitted(request, path, env, ctx) {
	const { access } = isolate;
	return access.shared(request, access.preflight(request) ?? (await guarded(request, path, env, ctx)));
}

/** Serves a request if its caller may make it. */
async function guarded(request, path, env, ctx) {
	// Everyone is told that the configuration cannot be used.
	const right = isolate.fault === undefined ? Core.right(request.method, path) : 0;
	const pass = await isolate.access.admit(request, right);
	if (pass instanceof Response || isolate.fault !== undefined || TELEMETRY_PATHS.has(path)) {
		if (request.body !== null) await discard(request.body);
		if (pass instanceof Response) return pass;
		if (isolate.fault === undefined) return report(request, path, ctx);
		return problem(503, "configuration", "The configuration cannot be used", isolate.fault);
	}
	return serve(request, path, pass, env, ctx);
}

/** What telemetry reports at a path. */
async function report({ method, url }, path, ctx) {
	if (method !== "GET" && method !== "HEAD") return notAllowed("GET, HEAD");
	const { runtime } = isolate;
	const take = () => replyOf(runtime);
	const { query } = pathAndQuery(url);
	const reply = await runtime.telemetry.report(path, query, take, (sent) => ctx.waitUntil(sent));
	if (reply === undefined) return fault();
	return method === "HEAD" ? new Response(null, reply) : reply;
}
