// Origins of features: a Feast server, another HTTP server, or a function.
//
// Requests and responses are bytes in Feast's format, which the core interprets. An origin knows nothing of
// caches.

import { ConfigError } from "./errors.js";
import { FEAST_PATH } from "./gateway/handler.js";
import { HttpOrigin } from "./gateway/origin.js";
import { notFound } from "./gateway/reply.js";
import { parse, stringify } from "./json.js";

const JSON_TYPE = "application/json";
/** In place of the URL of an origin that has none; nothing is ever sent there (RFC 6761). */
const PLACEHOLDER_URL = "http://origin.invalid";

/** The response about health and registry of an origin that has neither. */
const emptyResponse = () => ({ status: 200, body: new Uint8Array() });

/** The core's configuration of an HTTP origin. */
function configOf(url, { timeout, registry } = {}) {
	const origin = { kind: "http", url, ...(timeout !== undefined && { timeout_ms: timeout }) };
	return { origin, ...(registry !== undefined && { registry }) };
}

function checkUrl(url) {
	if (!URL.canParse(url)) throw new ConfigError(`the origin's URL is invalid: \`${url}\``);
}

/** A Feast server, with all its paths. */
class FeastOrigin extends HttpOrigin {
	constructor(url, options) {
		checkUrl(url);
		super(url, options);
		this.config = configOf(this.url, options);
	}
}

/** One URL that responds to `POST` as Feast's `/get-online-features` does. */
class FeaturesOrigin extends HttpOrigin {
	constructor(url, options) {
		checkUrl(url);
		super(url, options);
		this.config = configOf(PLACEHOLDER_URL, options);
	}

	async fetch(effect, signal, grant, onPart) {
		if (!effect.url.startsWith(PLACEHOLDER_URL)) return super.fetch(effect, signal, grant, onPart);
		return effect.url.endsWith(FEAST_PATH)
			? super.fetch({ ...effect, url: this.url }, signal, grant, onPart)
			: emptyResponse();
	}

	async forward(_, request, bytes, grant, options) {
		if (request.path !== FEAST_PATH) return notFound(request.path);
		return this.forwardTo(this.url, request, bytes, grant, options);
	}
}

/** A function that computes features, as an origin. */
class FunctionOrigin {
	#compute;
	#prefix;
	/** A function takes parsed requests, so one that exceeds a limit is refused instead of forwarded. */
	config = { origin: { kind: "http", url: PLACEHOLDER_URL }, limits: { refuse: true } };
	hasCredentials = true;

	constructor(compute, defaultView) {
		this.#compute = compute;
		this.#prefix = `${defaultView}:`;
	}

	async fetch({ url, body }, signal) {
		// The core's only other request is for its health.
		if (!url.endsWith(FEAST_PATH)) return emptyResponse();
		const request = parse(new TextDecoder().decode(body));
		const { entities, features, feature_service: service, full_feature_names: isFull } = request;
		const computed = await this.#compute(entities, features?.map((name) => this.#withoutDefaultView(name)) ?? [], {
			signal,
			...(service !== undefined && { service }),
		});
		if (typeof computed !== "object" || computed === null) {
			throw new TypeError("the origin's function returned no object of columns");
		}
		const columns = (features ?? Object.keys(computed)).map((reference) => {
			const shown = this.#withoutDefaultView(reference);
			return {
				name: isFull ? reference.replace(":", "__") : shortName(reference),
				shown,
				column: computed[shown] ?? computed[shortName(reference)],
			};
		});
		const text = feastResponse(entities, columns);
		return { status: 200, contentType: JSON_TYPE, body: new TextEncoder().encode(text) };
	}

	/** A reference as the function receives it: without the default view. */
	#withoutDefaultView(reference) {
		return reference.startsWith(this.#prefix) ? reference.slice(this.#prefix.length) : reference;
	}

	async forward(_, { path }, bytes, __, { signal }) {
		if (path !== FEAST_PATH) return notFound(path);
		const { status, body } = await this.fetch({ url: path, body: bytes }, signal);
		return { status, headers: [["content-type", JSON_TYPE]], body };
	}
}

const shortName = (name) => name.slice(name.indexOf(":") + 1);

/** The columns of a function as a response in Feast's format. */
function feastResponse(entities, columns) {
	const rows = Object.values(entities)[0]?.length ?? 0;
	const keys = Object.values(entities).map((values) => ({ values, statuses: values.map(() => "PRESENT") }));
	const features = columns.map(({ shown, column }) =>
		column === undefined ? missingColumn(rows) : columnOf(shown, column, rows),
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

const missingColumn = (rows) => ({ values: Array(rows).fill(null), statuses: Array(rows).fill("NOT_FOUND") });

function columnOf(feature, column, rows) {
	const { values, statuses, eventTimestamps } = isList(column) ? { values: column } : column;
	for (const [list, what] of [
		[values, "values"],
		[statuses, "statuses"],
		[eventTimestamps, "event timestamps"],
	]) {
		if (list === undefined && what !== "values") continue;
		if (!isList(list)) throw new TypeError(`the origin's function returned no list of ${what} for \`${feature}\``);
		if (list.length !== rows) {
			throw new RangeError(
				`the origin's function returned ${list.length} ${what} for \`${feature}\` and ${rows} entities`,
			);
		}
	}
	const items = Array.from(values);
	const statusOf = (value) => (value === undefined ? "NOT_FOUND" : value === null ? "NULL_VALUE" : "PRESENT");
	return {
		// A vector may be a typed array, which JSON would write as an object.
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
export const feastOrigin = (url, options) => new FeastOrigin(url, options);

/** One URL that responds to `POST` as Feast's `/get-online-features` does. */
export const httpOrigin = (url, options) => new FeaturesOrigin(url, options);

/**
 * The origin of the options or the configuration; `undefined` for the synthetic one.
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
