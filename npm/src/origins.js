// Where features come from: a Feast server, another HTTP server, or a function.
//
// Each is asked in Feast's terms, by bytes, and answers in bytes; what it means is the core's to say.

import { ConfigError } from "./errors.js";
import { problem } from "./http.js";
import { parse, stringify } from "./json.js";
import { cancel, readBytes } from "./runtime/body.js";
import { retryLostConnection } from "./runtime/retry.js";

const JSON_TYPE = "application/json";
const FEATURES = "/get-online-features";
/** What stands as the URL of an origin that has none; nothing is ever sent there (RFC 6761). */
const NOWHERE = "http://origin.invalid";

/**
 * What the core is told of an answer.
 *
 * @param {Response} response
 * @param {number} maxBytes
 * @param {boolean} [isLengthTrue] whether the platform holds it to the length that it announces
 */
export async function answerOf(response, maxBytes, isLengthTrue) {
	try {
		const body = await readBytes(response, maxBytes, isLengthTrue);
		return { status: response.status, contentType: response.headers.get("content-type") ?? undefined, body };
	} catch (error) {
		cancel(response.body);
		throw error;
	}
}

/** Headers that belong to one connection, and are not passed on (RFC 9110, 7.6.1); `fetch` sees to length and encoding. */
const HOP_BY_HOP = [
	"connection",
	"keep-alive",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
	"host",
	"content-length",
];

class HttpOrigin {
	#headers;
	#fetch;
	#isWhole;

	constructor(url, { headers = {}, timeout, registry, fetch = globalThis.fetch } = {}, isWhole) {
		if (!URL.canParse(url)) throw new ConfigError(`the origin's URL is none: \`${url}\``);
		this.#headers = headers;
		this.#fetch = fetch;
		this.#isWhole = isWhole;
		/** What the core is told of it. */
		this.config = {
			origin: {
				kind: "http",
				url: isWhole ? NOWHERE : String(url),
				...(timeout !== undefined && { timeout_ms: timeout }),
			},
			...(registry !== undefined && { registry }),
		};
		this.url = String(url);
	}

	/** Whether it has credentials of its own, so that the caller's say nothing of what it may see. */
	get isAuthorized() {
		return typeof this.#headers === "function" || new Headers(this.#headers).has("authorization");
	}

	async #own() {
		return new Headers(typeof this.#headers === "function" ? await this.#headers() : this.#headers);
	}

	async ask({ method, url, body, maxBytes, traceparent }, signal) {
		const isForUs = url.startsWith(NOWHERE);
		// Of an origin that is one URL, nothing but features is asked.
		if (isForUs && !url.endsWith(FEATURES)) return { status: 200, body: new Uint8Array() };
		const headers = await this.#own();
		if (body.length > 0) headers.set("content-type", JSON_TYPE);
		if (traceparent !== undefined) headers.set("traceparent", traceparent);
		const sent = body.length > 0 ? body : undefined;
		// A redirect would take the request to a place that nobody configured.
		const init = { method, headers, body: sent, redirect: "manual", signal };
		const call = () => this.#fetch.call(undefined, isForUs ? this.url : url, init);
		const response = await retryLostConnection(call, signal);
		return answerOf(response, maxBytes);
	}

	/** Passes a request on as it came. */
	async pass({ method, path, search, headers, body }, signal) {
		if (this.#isWhole && path !== FEATURES) return notFound(path);
		const passed = new Headers(headers);
		for (const name of HOP_BY_HOP) passed.delete(name);
		for (const [name, value] of await this.#own()) if (!passed.has(name)) passed.set(name, value);
		const url = this.#isWhole ? this.url : `${this.url.replace(/\/+$/, "")}${path}${search}`;
		const isStream = body !== undefined && !(body instanceof Uint8Array);
		return this.#fetch.call(undefined, url, {
			method,
			headers: passed,
			body,
			redirect: "manual",
			signal,
			...(isStream && { duplex: "half" }),
		});
	}
}

const notFound = (path) => problem(404, "not-found", "There is nothing at this path", path);

/** A function that computes features, as an origin. */
class FunctionOrigin {
	#compute;
	#prefix;
	config = { origin: { kind: "http", url: NOWHERE } };
	isAuthorized = true;

	constructor(compute, defaultView) {
		this.#compute = compute;
		this.#prefix = `${defaultView}:`;
	}

	async ask({ url, body }, signal) {
		// Only its health is asked for else.
		if (!url.endsWith(FEATURES)) return { status: 200, body: new Uint8Array() };
		const request = parse(new TextDecoder().decode(body));
		const { entities, features, feature_service: service, full_feature_names: isFull } = request;
		const computed = await this.#compute(entities, features?.map((name) => this.#shown(name)) ?? [], {
			signal,
			...(service !== undefined && { service }),
		});
		if (typeof computed !== "object" || computed === null) {
			throw new TypeError("the origin's function gave no object of columns");
		}
		const columns = (features ?? Object.keys(computed)).map((reference) => {
			const shown = this.#shown(reference);
			return {
				name: isFull ? reference.replace(":", "__") : shortName(reference),
				shown,
				column: computed[shown] ?? computed[shortName(reference)],
			};
		});
		const text = answer(entities, columns);
		return { status: 200, contentType: JSON_TYPE, body: new TextEncoder().encode(text) };
	}

	/** A reference as the function sees it: one of the default view without the view. */
	#shown(reference) {
		return reference.startsWith(this.#prefix) ? reference.slice(this.#prefix.length) : reference;
	}

	async pass({ path, body }, signal) {
		if (path !== FEATURES) return notFound(path);
		const bytes = body instanceof Uint8Array ? body : new Uint8Array(await new Response(body).arrayBuffer());
		const reply = await this.ask({ url: path, body: bytes }, signal);
		return new Response(reply.body, { headers: { "content-type": JSON_TYPE } });
	}
}

const shortName = (name) => name.slice(name.indexOf(":") + 1);

/** The answer of Feast's form that is made of what a function computed. */
function answer(entities, columns) {
	const rows = Object.values(entities)[0]?.length ?? 0;
	const keys = Object.values(entities).map((values) => ({ values, statuses: values.map(() => "PRESENT") }));
	const features = columns.map(({ shown, column }) =>
		column === undefined ? leftOut(rows) : columnOf(shown, column, rows),
	);
	const results = [...keys, ...features].map((result) => ({
		event_timestamps: result.values.map(() => EPOCH),
		...result,
	}));
	return stringify({
		metadata: { feature_names: [...Object.keys(entities), ...columns.map(({ name }) => name)] },
		results,
	});
}

const EPOCH = "1970-01-01T00:00:00Z";

const leftOut = (rows) => ({ values: Array(rows).fill(null), statuses: Array(rows).fill("NOT_FOUND") });

function columnOf(feature, column, rows) {
	const { values, statuses, eventTimestamps } = isList(column) ? { values: column } : column;
	for (const [list, what] of [
		[values, "values"],
		[statuses, "statuses"],
		[eventTimestamps, "event timestamps"],
	]) {
		if (list === undefined && what !== "values") continue;
		if (!isList(list)) throw new TypeError(`the origin's function gave no list of ${what} for \`${feature}\``);
		if (list.length !== rows) {
			throw new RangeError(
				`the origin's function gave ${list.length} ${what} for \`${feature}\`, and ${rows} entities`,
			);
		}
	}
	const items = Array.from(values);
	const statusOf = (value) => (value === undefined ? "NOT_FOUND" : value === null ? "NULL_VALUE" : "PRESENT");
	return {
		// Typed arrays are vectors, which JSON would write as objects.
		values: items.map((value) => (ArrayBuffer.isView(value) ? Array.from(value) : (value ?? null))),
		statuses: statuses === undefined ? items.map(statusOf) : Array.from(statuses),
		...(eventTimestamps !== undefined && { event_timestamps: Array.from(eventTimestamps, time) }),
	};
}

const isList = (column) => Array.isArray(column) || (ArrayBuffer.isView(column) && !(column instanceof DataView));

function time(value) {
	if (value === null || value === undefined) return EPOCH;
	return typeof value === "string" ? value : new Date(value).toISOString();
}

/** A Feast server, with all its paths. */
export const feastOrigin = (url, options) => new HttpOrigin(url, options, false);

/** One URL that answers to `POST` as Feast's `/get-online-features` does. */
export const httpOrigin = (url, options) => new HttpOrigin(url, options, true);

/**
 * The origin that options and configuration name; `undefined` for the one that is built in.
 *
 * @param {unknown} origin
 * @param {Record<string, any>} config
 */
export function originOf(origin, config) {
	if (typeof origin === "function") return new FunctionOrigin(origin, config.native?.default_view ?? "features");
	if (origin instanceof HttpOrigin) return origin;
	if (origin !== undefined)
		throw new ConfigError("`origin` is neither a function nor made by `feastOrigin` or `httpOrigin`");
	return config.origin?.url === undefined ? undefined : feastOrigin(config.origin.url);
}
