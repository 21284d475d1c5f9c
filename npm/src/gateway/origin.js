// The origin over HTTP, for all hosts: fetches features, and forwards requests.
//
// It does not decide access. Invariants: no hop-by-hop header is forwarded, in either direction; the
// deployment's credentials go only to the origin's base URL; no redirect is followed, since it may lead to a
// host that nobody configured.

import { cancel, readParts } from "../runtime/body.js";
import { codingOf, FETCH_CODINGS, WORKERS_FETCH_CODINGS } from "../runtime/content_codings.js";
import { isUnsent, retryLostConnection } from "../runtime/retry.js";
import { ANONYMOUS } from "./grant.js";
import { badTarget, hasNoBody, invalidOriginStatus, isSendable } from "./reply.js";

/** Hop-by-hop headers (RFC 9110, 7.6.1 and 10.1.1); also those that begin with `proxy-`. */
const HOP_BY_HOP = ["connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/** Request headers that `fetch` sets itself. */
const FETCH_MANAGED = ["content-length", "host"];

/** Response headers with URLs, beside `Location`; they are dropped if they name the origin's host. */
const URL_HEADERS = new Set(["content-location", "link", "refresh"]);

/**
 * The end-to-end headers of a message, in lower case.
 *
 * @param {Iterable<[string, string]>} headers
 * @param {string[]} [without] further headers to drop
 * @returns {[string, string][]}
 */
export function endToEndHeaders(headers, without = []) {
	const all = Array.from(headers, ([name, value]) => [name.toLowerCase(), value]);
	const named = all
		.filter(([name]) => name === "connection")
		.flatMap(([, value]) => value.toLowerCase().split(/[\s,]+/));
	const dropped = new Set([...HOP_BY_HOP, ...without, ...named]);
	return all.filter(([name]) => !dropped.has(name) && !name.startsWith("proxy-"));
}

/** The first value of a header that proxies append to. */
const firstValue = (headers, name) => headers.get(name)?.split(",")[0].trim();

/**
 * Adds `Forwarded` and `X-Forwarded-*` headers: the authority and scheme that the client requested, and its address (RFC 7239). The values of
 * an earlier proxy have priority, and the added ones agree with them.
 */
function addForwarded({ scheme, authority, address }, headers) {
	if (authority === undefined) return;
	const earlier = firstValue(headers, "x-forwarded-proto")?.toLowerCase();
	const proto = earlier === "http" || earlier === "https" ? earlier : scheme;
	const host = (firstValue(headers, "x-forwarded-host") ?? authority).replaceAll(/["\\]/g, "");
	const from = address && `;for="${address.includes(":") ? `[${address}]` : address}"`;
	headers.append("forwarded", `host="${host}";proto=${proto}${from ?? ""}`);
	if (!headers.has("x-forwarded-host")) headers.set("x-forwarded-host", authority);
	if (!headers.has("x-forwarded-proto")) headers.set("x-forwarded-proto", scheme);
}

/**
 * The `Location` of an origin's redirect, as its client can reach it.
 *
 * @param {string} location
 * @param {string} url of the request
 * @param {string | undefined} root the URL whose paths the client reaches through Featheredge
 * @param {string} mount the prefix of the API's paths
 * @returns {string | undefined} `undefined` if the client cannot reach it
 */
function clientLocation(location, url, root, mount) {
	if (!URL.canParse(location, url)) return location;
	const target = new URL(location, url);
	if (target.hostname !== new URL(url).hostname) return location;
	const base = root === undefined ? undefined : new URL(`${root}/`).href;
	if (base === undefined || !target.href.startsWith(base)) return undefined;
	// A location that begins with two slashes would name another host.
	return `${mount}/${target.href.slice(base.length).replace(/^[/\\]+/, "")}`;
}

/**
 * @typedef {object} OriginOptions
 * @property {HeadersInit | (() => HeadersInit | Promise<HeadersInit>)} [headers] the deployment's own headers, credentials included
 * @property {typeof globalThis.fetch} [fetch]
 * @property {boolean} [redactsErrors] whether the bodies of errors are left unread
 * @property {boolean} [isWorker] whether `fetch` is the Workers', which enforces the declared length of bodies
 * @property {boolean} [preservesCoding] whether `fetch` can return a body without decoding it: the Workers' does for unchanged bodies, others
 *   by the option `keepsCoding`
 */

export class HttpOrigin {
	#base;
	#headers;
	#fetchImpl;
	#redactsErrors;
	#isWorker;
	#preservesCoding;
	/** Whether the deployment has credentials, so that the caller's do not decide what the origin returns. */
	hasCredentials;

	/**
	 * @param {string} [url] its base URL; omitted if there are no HTTP requests
	 * @param {OriginOptions} [options]
	 */
	constructor(
		url = "",
		{
			headers = {},
			fetch = globalThis.fetch,
			redactsErrors = false,
			isWorker = false,
			preservesCoding = isWorker,
		} = {},
	) {
		this.url = String(url);
		this.#base = this.url.replace(/\/+$/, "");
		this.#headers = headers;
		this.hasCredentials = typeof headers === "function" || new Headers(headers).has("authorization");
		this.#fetchImpl = fetch;
		this.#redactsErrors = redactsErrors;
		this.#isWorker = isWorker;
		this.#preservesCoding = preservesCoding;
	}

	/**
	 * Adds the deployment's headers to a request's, which have priority, and sets the credentials that the grant allows. Headers that are not
	 * the caller's go only to the origin's base URL.
	 */
	async #authorize(headers, url, { credentials, authorization }) {
		if (credentials !== "caller") headers.delete("authorization");
		if (!this.#isBelowBase(url)) return headers;
		if (authorization !== undefined) headers.set("authorization", authorization);
		const own = new Headers(typeof this.#headers === "function" ? await this.#headers() : this.#headers);
		if (credentials === "none") own.delete("authorization");
		for (const [name, value] of own) if (!headers.has(name)) headers.set(name, value);
		return headers;
	}

	/** Whether a URL belongs to the origin, so that it may receive the deployment's credentials. */
	#isBelowBase(url) {
		return url === this.url || url.startsWith(`${this.#base}/`);
	}

	/**
	 * Sends a request, and again if it was lost with its connection and may be repeated.
	 *
	 * @protected
	 * @param {string} url
	 * @param {RequestInit} init
	 * @param {boolean} isRead whether it only reads, so that it may be repeated
	 * @returns {Promise<Response>}
	 */
	send(url, init, isRead) {
		// A stream can be read only once.
		const mayRetry = (error) => !(init.body instanceof ReadableStream) && (isRead || isUnsent(error));
		return retryLostConnection(() => this.#fetchImpl.call(undefined, url, init), init.signal, mayRetry);
	}

	/** Whether `fetch` has decoded a content coding. */
	#isDecodedByFetch = (coding) =>
		this.#isWorker ? WORKERS_FETCH_CODINGS.has(coding) : FETCH_CODINGS.has(codingOf(coding));

	/**
	 * Performs a fetch effect of the core: for features, the registry or the origin's health.
	 *
	 * @param {(part: Uint8Array, expected: number) => void} onPart receives the response's body part by part
	 */
	async fetch({ method, url, body, maxBytes, traceparent }, signal, grant = ANONYMOUS, onPart) {
		const headers = await this.#authorize(new Headers(), url, grant);
		if (traceparent !== undefined) headers.set("traceparent", traceparent);
		for (const [name, value] of this.#isBelowBase(url) ? (grant.tracing ?? []) : []) {
			// `tracestate` is meaningless without a `traceparent`.
			if (name !== "tracestate" || traceparent !== undefined) headers.set(name, value);
		}
		if (body.length > 0) headers.set("content-type", "application/json");
		const init = { method, headers, body: body.length > 0 ? body : undefined, redirect: "manual", signal };
		const response = await this.send(url, init, true);
		// Any other response, redirects included, may quote the request, so the runtime redacts it unread.
		if (!isSendable(response.status) || (this.#redactsErrors && response.status !== 200)) {
			cancel(response.body);
			return { status: response.status };
		}
		try {
			await readParts(response, maxBytes, onPart, {
				isLengthEnforced: this.#isWorker,
				isDecodedByFetch: this.#isDecodedByFetch,
			});
			return { status: response.status, contentType: response.headers.get("content-type") ?? undefined };
		} catch (error) {
			cancel(response.body);
			throw error;
		}
	}

	/**
	 * Forwards a request, and returns the response.
	 *
	 * @param {string} base
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {Uint8Array | undefined} bytes its body, if it was read
	 * @param {import("./grant.js").Grant} grant
	 * @param {{ signal: AbortSignal, isRead: boolean }} options `isRead`: it only reads, and may be repeated
	 * @returns {Promise<import("./reply.js").Reply>}
	 */
	forward(base, request, bytes, grant, options) {
		const { path, query } = request;
		// Any other path would continue the base URL, perhaps its host name.
		if (!path.startsWith("/")) return Promise.resolve(badTarget());
		const root = base.replace(/\/+$/, "");
		return this.forwardTo(`${root}${path}${query && `?${query}`}`, request, bytes, grant, { ...options, root });
	}

	/** Forwards a request to a URL; the client reaches paths below `root` through Featheredge. */
	async forwardTo(url, request, bytes, grant, { signal, isRead, root }) {
		const { method, mount = "" } = request;
		// A `fetch` that decodes bodies sets `Accept-Encoding` itself.
		const without = this.#preservesCoding ? FETCH_MANAGED : [...FETCH_MANAGED, "accept-encoding"];
		const own = new Headers(endToEndHeaders(request.headers, without));
		// Of several lines, the one that was checked.
		if (own.has("authorization")) own.set("authorization", request.header("authorization"));
		const headers = await this.#authorize(own, url, grant);
		addForwarded(request, headers);
		const isBare = method === "GET" || method === "HEAD";
		const body = isBare ? undefined : (bytes ?? request.stream());
		const init = { method, headers, body, redirect: "manual", signal, keepsCoding: this.#preservesCoding };
		if (body instanceof ReadableStream) {
			init.duplex = "half";
			init.isLengthUnknown = request.header("content-length") === undefined;
		}
		const response = await this.send(url, init, isRead);
		return this.#replyTo(response, url, (location) => clientLocation(location, url, root, mount));
	}

	#replyTo(response, url, rewrite) {
		const { status, headers } = response;
		if (!isSendable(status)) {
			cancel(response.body);
			return invalidOriginStatus(status);
		}
		const isDecoded = !this.#preservesCoding && FETCH_CODINGS.has(codingOf(headers.get("content-encoding") ?? ""));
		const location = headers.get("location");
		const isBare = hasNoBody(status);
		// A declared length without a body would consume the next reply.
		if (isBare) cancel(response.body);
		const kept = endToEndHeaders(headers, [
			"location",
			...(isBare || isDecoded ? ["content-encoding", "content-length"] : []),
		]);
		const { hostname } = new URL(url);
		const forwarded = kept.filter(([name, value]) => !(URL_HEADERS.has(name) && value.includes(hostname)));
		const target = location === null ? undefined : rewrite(location);
		if (target !== undefined) forwarded.push(["location", target]);
		return { status, headers: forwarded, body: isBare ? null : response.body };
	}
}
