// The origin over HTTP, once for all hosts: asked for features, and for what is passed on as it came.
//
// It knows nothing of who may ask. Its invariants: no header of one connection goes to another, in either direction; the deployment's
// credentials go to the origin's own base URL alone; no redirect is followed, since it may lead to a place that nobody configured.

import { cancel, readParts } from "../runtime/body.js";
import { isUnsent, retryLostConnection } from "../runtime/retry.js";
import { ANYONE } from "./pass.js";
import { badTarget, isBodyless, isSendable, originStatus } from "./reply.js";

/** Headers of one connection (RFC 9110, 7.6.1 and 10.1.1); those of proxies begin with `proxy-`. */
const HOP_BY_HOP = ["connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/** Headers of a request that `fetch` sees to. */
const FETCHS_OWN = ["content-length", "host"];

/** Headers that lead a client to a place, beside `Location`; they are left out where that is the origin's own host. */
const LEADING = new Set(["content-location", "link", "refresh"]);

/** The codings that `fetch` takes off a body by itself where it is not the Workers' (RFC 9110, 8.4.1). */
const DECODED = /^(?:x-)?gzip$|^deflate$|^br$/i;

/**
 * The headers that belong to a message, and not to the connection that it came by.
 *
 * @param {Iterable<[string, string]>} headers
 * @param {string[]} [without] further ones to leave out
 * @returns {[string, string][]}
 */
export function endToEnd(headers, without = []) {
	const all = Array.from(headers, ([name, value]) => [name.toLowerCase(), value]);
	const named = all
		.filter(([name]) => name === "connection")
		.flatMap(([, value]) => value.toLowerCase().split(/[\s,]+/));
	const dropped = new Set([...HOP_BY_HOP, ...without, ...named]);
	return all.filter(([name]) => !dropped.has(name) && !name.startsWith("proxy-"));
}

/** The first of what proxies before us have told by a header. */
const firstOf = (headers, name) => headers.get(name)?.split(",")[0].trim();

/**
 * Tells the origin by which name its client knows it, and where the request came from (RFC 7239). What a proxy before us has told goes first,
 * and what we say agrees with it.
 */
function tellOf({ scheme, authority, address }, headers) {
	if (authority === undefined) return;
	const told = firstOf(headers, "x-forwarded-proto")?.toLowerCase();
	const proto = told === "http" || told === "https" ? told : scheme;
	const host = (firstOf(headers, "x-forwarded-host") ?? authority).replaceAll(/["\\]/g, "");
	const from = address && `;for="${address.includes(":") ? `[${address}]` : address}"`;
	headers.append("forwarded", `host="${host}";proto=${proto}${from ?? ""}`);
	if (!headers.has("x-forwarded-host")) headers.set("x-forwarded-host", authority);
	if (!headers.has("x-forwarded-proto")) headers.set("x-forwarded-proto", scheme);
}

/**
 * Where a redirect of the origin leads, as its client gets there.
 *
 * @param {string} location
 * @param {string} url that was asked for
 * @param {string | undefined} root the URL whose paths are ours
 * @param {string} mount what stands before our paths
 * @returns {string | undefined} `undefined` where only the origin's neighbours get there
 */
function locationOf(location, url, root, mount) {
	if (!URL.canParse(location, url)) return location;
	const place = new URL(location, url);
	if (place.hostname !== new URL(url).hostname) return location;
	const known = root === undefined ? undefined : new URL(`${root}/`).href;
	if (known === undefined || !place.href.startsWith(known)) return undefined;
	// What begins with two slashes is no path, and leads to another host.
	return `${mount}/${place.href.slice(known.length).replace(/^[/\\]+/, "")}`;
}

/**
 * @typedef {object} OriginOptions
 * @property {HeadersInit | (() => HeadersInit | Promise<HeadersInit>)} [headers] the deployment's own, credentials among them
 * @property {typeof globalThis.fetch} [fetch]
 * @property {boolean} [isPrivate] whether the origin's words about a request are left unread
 * @property {boolean} [isWorker] whether `fetch` is the Workers', which holds bodies to the length that they announce
 * @property {boolean} [passesCoded] whether the body of an answer can be passed back in its coding: as the Workers' does by itself, and a `fetch`
 *   that is told `isCoded`
 */

export class HttpOrigin {
	#base;
	#headers;
	#fetch;
	#isPrivate;
	#isWorker;
	#passesCoded;
	/** Whether it has credentials of its own, so that the caller's say nothing of what it may see. */
	isAuthorized;

	/**
	 * @param {string} [url] its base; left out where nothing is asked over HTTP
	 * @param {OriginOptions} [options]
	 */
	constructor(
		url = "",
		{ headers = {}, fetch = globalThis.fetch, isPrivate = false, isWorker = false, passesCoded = isWorker } = {},
	) {
		this.url = String(url);
		this.#base = this.url.replace(/\/+$/, "");
		this.#headers = headers;
		this.isAuthorized = typeof headers === "function" || new Headers(headers).has("authorization");
		this.#fetch = fetch;
		this.#isPrivate = isPrivate;
		this.#isWorker = isWorker;
		this.#passesCoded = passesCoded;
	}

	/**
	 * Puts the deployment's headers beside a request's, which go first, and shows the origin the credentials that the pass says; of both,
	 * what is not the caller's own is for the origin alone.
	 */
	async #authorize(headers, url, { credentials, authorization }) {
		if (credentials !== "caller") headers.delete("authorization");
		if (!this.#isOwn(url)) return headers;
		if (authorization !== undefined) headers.set("authorization", authorization);
		const own = new Headers(typeof this.#headers === "function" ? await this.#headers() : this.#headers);
		if (credentials === "none") own.delete("authorization");
		for (const [name, value] of own) if (!headers.has(name)) headers.set(name, value);
		return headers;
	}

	/** Whether a URL is the origin's, so that the deployment's credentials may go there. */
	#isOwn(url) {
		return url === this.url || url.startsWith(`${this.#base}/`);
	}

	/**
	 * Makes a call of the fetch API; again, where it was lost and may be.
	 *
	 * @protected
	 * @param {string} url
	 * @param {RequestInit} init
	 * @param {boolean} isRead whether it changes nothing, so that it may be made twice
	 * @returns {Promise<Response>}
	 */
	call(url, init, isRead) {
		// A stream is read once.
		const mayRepeat = (error) => !(init.body instanceof ReadableStream) && (isRead || isUnsent(error));
		return retryLostConnection(() => this.#fetch.call(undefined, url, init), init.signal, mayRepeat);
	}

	/** Whether the runtime's `fetch` undoes a content coding by itself. The Workers' knows two, by just these names. */
	#isUndone = (coding) => (this.#isWorker ? coding === "gzip" || coding === "br" : DECODED.test(coding));

	/**
	 * Asks for features, and for what else the core needs to know.
	 *
	 * @param {(part: Uint8Array, expected: number) => void} take takes the answer's body part by part
	 */
	async ask({ method, url, body, maxBytes, traceparent }, signal, pass = ANYONE, take) {
		const headers = await this.#authorize(new Headers(), url, pass);
		if (traceparent !== undefined) headers.set("traceparent", traceparent);
		for (const [name, value] of this.#isOwn(url) ? (pass.tracing ?? []) : []) {
			// It says more of a `traceparent`, and nothing without one.
			if (name !== "tracestate" || traceparent !== undefined) headers.set(name, value);
		}
		if (body.length > 0) headers.set("content-type", "application/json");
		const init = { method, headers, body: body.length > 0 ? body : undefined, redirect: "manual", signal };
		const answer = await this.call(url, init, true);
		// Redirects and refusals alike: whatever is no answer may quote what was asked. The runtime redacts it unread.
		if (!isSendable(answer.status) || (this.#isPrivate && answer.status !== 200)) {
			cancel(answer.body);
			return { status: answer.status };
		}
		try {
			await readParts(answer, maxBytes, take, { isLengthTrue: this.#isWorker, isUndone: this.#isUndone });
			return { status: answer.status, contentType: answer.headers.get("content-type") ?? undefined };
		} catch (error) {
			cancel(answer.body);
			throw error;
		}
	}

	/**
	 * Passes a request on as it came, and its answer back.
	 *
	 * @param {string} base
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {Uint8Array | undefined} bytes its body, where that was read
	 * @param {import("./pass.js").Pass} pass
	 * @param {{ signal: AbortSignal, isRead: boolean }} options `isRead`: it changes nothing, and may be made again
	 * @returns {Promise<import("./reply.js").Reply>}
	 */
	pass(base, request, bytes, pass, options) {
		const { path, query } = request;
		// It would go on where the base URL ends, be that in the host's name.
		if (!path.startsWith("/")) return Promise.resolve(badTarget());
		const root = base.replace(/\/+$/, "");
		return this.passTo(`${root}${path}${query && `?${query}`}`, request, bytes, pass, { ...options, root });
	}

	/** The same to a URL; of paths below `root` the client knows as of ours. */
	async passTo(url, request, bytes, pass, { signal, isRead, root }) {
		const { method, mount = "" } = request;
		// What `fetch` is to unpack, it asks for itself.
		const without = this.#passesCoded ? FETCHS_OWN : [...FETCHS_OWN, "accept-encoding"];
		const own = new Headers(endToEnd(request.headers, without));
		// The line that was judged, of several.
		if (own.has("authorization")) own.set("authorization", request.header("authorization"));
		const headers = await this.#authorize(own, url, pass);
		tellOf(request, headers);
		const isBare = method === "GET" || method === "HEAD";
		const body = isBare ? undefined : (bytes ?? request.stream());
		const init = { method, headers, body, redirect: "manual", signal, isCoded: this.#passesCoded };
		if (body instanceof ReadableStream) {
			init.duplex = "half";
			init.isLengthUnknown = request.header("content-length") === undefined;
		}
		const answer = await this.call(url, init, isRead);
		return this.#passedBack(answer, url, (location) => locationOf(location, url, root, mount));
	}

	#passedBack(answer, url, mapped) {
		const { status, headers } = answer;
		if (!isSendable(status)) {
			cancel(answer.body);
			return originStatus(status);
		}
		const isDecoded = !this.#passesCoded && DECODED.test(headers.get("content-encoding") ?? "");
		const location = headers.get("location");
		const isBare = isBodyless(status);
		// A length of what does not come would be taken from the next reply.
		if (isBare) cancel(answer.body);
		const kept = endToEnd(headers, [
			"location",
			...(isBare || isDecoded ? ["content-encoding", "content-length"] : []),
		]);
		const { hostname } = new URL(url);
		const told = kept.filter(([name, value]) => !(LEADING.has(name) && value.includes(hostname)));
		const place = location === null ? undefined : mapped(location);
		if (place !== undefined) told.push(["location", place]);
		return { status, headers: told, body: isBare ? null : answer.body };
	}
}
