// Where features come from: a Feast server, another HTTP server, or a function.
//
// Each is asked in Feast's terms, by bytes, and answers in bytes; what it means is the core's to say.

import { ConfigError } from "./errors.js";
import { FEAST } from "./gateway/handler.js";
import { HttpOrigin } from "./gateway/origin.js";
import { notFound } from "./gateway/reply.js";
import { parse, stringify } from "./json.js";

const JSON_TYPE = "application/json";
/** What stands as the URL of an origin that has none; nothing is ever sent there (RFC 6761). */
const NOWHERE = "http://origin.invalid";

/** What is told of an origin's health, and of its registry, where it has neither. */
const nothingToSay = () => ({ status: 200, body: new Uint8Array() });

/** What the core is told of an origin over HTTP. */
function configOf(url, { timeout, registry } = {}) {
	const origin = { kind: "http", url, ...(timeout !== undefined && { timeout_ms: timeout }) };
	return { origin, ...(registry !== undefined && { registry }) };
}

function checkUrl(url) {
	if (!URL.canParse(url)) throw new ConfigError(`the origin's URL is none: \`${url}\``);
}

/** A Feast server, with all its paths. */
class FeastOrigin extends HttpOrigin {
	constructor(url, options) {
		checkUrl(url);
		super(url, options);
		this.config = configOf(this.url, options);
	}
}

/** One URL that answers to `POST` as Feast's `/get-online-features` does. */
class FeaturesOrigin extends HttpOrigin {
	constructor(url, options) {
		checkUrl(url);
		super(url, options);
		this.config = configOf(NOWHERE, options);
	}

	async ask(effect, signal, pass, take) {
		if (!effect.url.startsWith(NOWHERE)) return super.ask(effect, signal, pass, take);
		return effect.url.endsWith(FEAST) ? super.ask({ ...effect, url: this.url }, signal, pass, take) : nothingToSay();
	}

	async pass(_, request, bytes, pass, options) {
		if (request.path !== FEAST) return notFound(request.path);
		return this.passTo(this.url, request, bytes, pass, options);
	}
}

/** A function that computes features, as an origin. */
class FunctionOrigin {
	#compute;
	#prefix;
	/** It is given what was parsed, so nothing is passed on that is too large to be. */
	config = { origin: { kind: "http", url: NOWHERE }, limits: { refuse: true } };
	isAuthorized = true;

	constructor(compute, defaultView) {
		this.#compute = compute;
		this.#prefix = `${defaultView}:`;
	}

	async ask({ url, body }, signal) {
		// Only its health is asked for else.
		if (!url.endsWith(FEAST)) return nothingToSay();
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

	async pass(_, { path }, bytes, __, { signal }) {
		if (path !== FEAST) return notFound(path);
		const { status, body } = await this.ask({ url: path, body: bytes }, signal);
		return { status, headers: [["content-type", JSON_TYPE]], body };
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
export const feastOrigin = (url, options) => new FeastOrigin(url, options);

/** One URL that answers to `POST` as Feast's `/get-online-features` does. */
export const httpOrigin = (url, options) => new FeaturesOrigin(url, options);

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
