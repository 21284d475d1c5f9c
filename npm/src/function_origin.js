// A function that computes features, as an origin.
//
// What the function returns becomes data that others are served from a cache, so each column is checked before: a mistake is an error,
// never a value.

import { FEAST_PATH } from "./gateway/handler.js";
import { notFound } from "./gateway/reply.js";
import { parse, stringify } from "./json.js";

const JSON_TYPE = "application/json";
/** In place of the URL of an origin that has none; nothing is ever sent there (RFC 6761). */
export const PLACEHOLDER_URL = "http://origin.invalid";

/** The response about health and registry of an origin that has neither. */
export const emptyResponse = () => ({ status: 200, body: new Uint8Array() });

const EPOCH = "1970-01-01T00:00:00Z";
const EXAMPLE = 'return columns, such as `{ "stats:trips": [1, 2] }`, with one value for each entity';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class FunctionOrigin {
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
		const request = parse(decoder.decode(body));
		const { entities, features, feature_service: service, full_feature_names: isFull } = request;
		const computed = await this.#compute(entities, features?.map((name) => this.#withoutDefaultView(name)) ?? [], {
			signal,
			...(service !== undefined && { service }),
		});
		checkColumns(computed);
		const rows = Object.values(entities)[0]?.length ?? 0;
		const columns = await Promise.all(
			(features ?? Object.keys(computed)).map(async (reference) => {
				const shown = this.#withoutDefaultView(reference);
				const name = isFull ? reference.replace(":", "__") : shortName(reference);
				const key = [shown, shortName(reference)].find((key) => Object.hasOwn(computed, key));
				return { name, result: key === undefined ? missing(rows) : await columnOf(shown, computed[key], rows) };
			}),
		);
		return { status: 200, contentType: JSON_TYPE, body: encoder.encode(feastResponse(entities, columns)) };
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

/** Refuses what is no object of columns: an array of rows, above all, which is what many loaders return. */
function checkColumns(computed) {
	if (typeof computed === "object" && computed !== null && !isList(computed) && !(Symbol.iterator in computed)) return;
	throw new TypeError(`the origin's function returned ${described(computed)}: ${EXAMPLE}`);
}

function described(value) {
	if (value === null || value === undefined) return String(value);
	if (Array.isArray(value)) return typeof value[0] === "object" ? "an array of rows" : "an array";
	if (typeof value !== "object") return `a ${typeof value}`;
	const { name } = Object.getPrototypeOf(value)?.constructor ?? {};
	return name === undefined || name === "Object" ? "an object" : `a ${name}`;
}

/** The columns of a function as a response in Feast's format. */
function feastResponse(entities, columns) {
	const keys = Object.values(entities).map((values) => ({ values, statuses: values.map(() => "PRESENT") }));
	const results = [...keys, ...columns.map(({ result }) => result)].map((result) => ({
		event_timestamps: result.values.map(() => EPOCH),
		...result,
	}));
	return stringify({
		metadata: { feature_names: [...Object.keys(entities), ...columns.map(({ name }) => name)] },
		results,
	});
}

const missing = (rows) => ({ values: Array(rows).fill(null), statuses: Array(rows).fill("NOT_FOUND") });

const isList = (column) => Array.isArray(column) || (ArrayBuffer.isView(column) && !(column instanceof DataView));

/**
 * A column of Feast's format: a list of values, or an object with `values`, `statuses` and `eventTimestamps`. Promises in place of the
 * column or of a value are awaited.
 */
async function columnOf(feature, promised, rows) {
	const column = await promised;
	const { values, statuses, eventTimestamps } = isList(column) ? { values: column } : (column ?? {});
	for (const [list, what] of [
		[values, "values"],
		[statuses, "statuses"],
		[eventTimestamps, "event timestamps"],
	]) {
		if (list === undefined && what !== "values") continue;
		if (!isList(list)) {
			throw new TypeError(
				`the origin's function returned ${described(list ?? column)} as the ${what} of \`${feature}\`: ${EXAMPLE}`,
			);
		}
		if (list.length !== rows) {
			throw new RangeError(
				`the origin's function returned ${list.length} ${what} for \`${feature}\` and ${rows} entities`,
			);
		}
	}
	const items = Array.from(values);
	const awaited = items.some((value) => typeof value?.then === "function") ? await Promise.all(items) : items;
	const statusOf = (value) => (value === undefined ? "NOT_FOUND" : value === null ? "NULL_VALUE" : "PRESENT");
	return {
		values: awaited.map((value, row) => jsonValue(value, () => `\`${feature}\` of entity ${row}`)),
		statuses: statuses === undefined ? awaited.map(statusOf) : Array.from(statuses),
		...(eventTimestamps !== undefined && { event_timestamps: Array.from(eventTimestamps, time) }),
	};
}

/**
 * A value as JSON can hold it. `NaN` and infinities become the texts that Feast's protobuf has for them; a vector may be a typed array,
 * and a date becomes its text. Whatever JSON would drop or empty is refused.
 *
 * @param {() => string} place whose value it is
 */
function jsonValue(value, place) {
	switch (typeof value) {
		case "undefined":
			return null;
		case "string":
		case "boolean":
		case "bigint":
			return value;
		case "number":
			return Number.isFinite(value) ? value : String(value);
		case "object":
			break;
		default:
			throw new TypeError(`the origin's function returned a ${typeof value} for ${place()}: JSON cannot hold it`);
	}
	if (value === null || typeof value.toJSON === "function") return value;
	if (isList(value)) return Array.from(value, (item) => jsonValue(item, place));
	const prototype = Object.getPrototypeOf(value);
	if (prototype !== null && prototype !== Object.prototype && Object.keys(value).length === 0) {
		throw new TypeError(`the origin's function returned ${described(value)} for ${place()}: JSON cannot hold it`);
	}
	return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, jsonValue(item, place)]));
}

function time(value) {
	if (value === null || value === undefined) return EPOCH;
	return typeof value === "string" ? value : new Date(value).toISOString();
}
