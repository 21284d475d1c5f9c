// The data set of the checker's origin: its columns, views, push sources and services. Other modules import it from here.

import { KEY_TYPES } from "./keys.mjs";

export const COLUMNS = { user_id: KEY_TYPES.integer, sku: KEY_TYPES.text };

/**
 * Views with `made_of` are computed on demand from another. The feature `note` is null for every known entity.
 *
 * @type {Record<string, { keys: string[], features: string[], made_of?: string }>}
 */
export const VIEWS = {
	profile: { keys: ["user_id"], features: ["age", "city", "plan"] },
	orders: { keys: ["user_id"], features: ["total", "count", "note"] },
	items: { keys: ["sku"], features: ["price", "stock"] },
	pairs: { keys: ["sku", "user_id"], features: ["clicks", "seen"] },
	score: { keys: ["user_id"], features: ["risk", "worth"], made_of: "profile" },
};

/** Features that are null for every known entity. */
export const NULLS = new Set(["orders:note"]);

export const PUSH_SOURCES = {
	profile_push: "profile",
	orders_push: "orders",
	items_push: "items",
	pairs_push: "pairs",
};

export const SERVICES = { bundle: ["profile:age", "profile:city", "orders:total"] };

/** Ids that determine the origin's behaviour. */
export const IDS = {
	hot: ["0", "1", "7", "1001", "1002", "1003", "1004", "1005", "9007199254740992"],
	hotTexts: ["1", "True", "1.5", "2.0", "sku-a", "sku-b", "B", "ü"],
	/** The first of the ids that are requested once. */
	cold: 2_000_000,
	/** A request with one of these ids is delayed: `slow + number * 10^4 + before * 100 + after`, both in units of 20 ms. */
	slow: 1_000_000_000_000,
	slowUnitMs: 20,
	/** A request with one of these ids always gets the status. */
	failing: { 660000: 500, 670000: 429, 680000: 302 },
	/** The same for requests for one feature of these ids: a status, or a malformed response. */
	failingFeature: { 690000: "500", 700000: "malformed" },
	failingFeatureName: "profile:city",
	failingSpan: 10_000,
	unknown: 900_000,
	unknownSpan: 1_000,
};

/** The failure of requests for these features of an id; `undefined` if they succeed. */
export function failureOf(id, references) {
	const number = Number(id);
	const of = (ranges) =>
		Object.entries(ranges).find(([first]) => number >= Number(first) && number < Number(first) + IDS.failingSpan)?.[1];
	return of(IDS.failing) ?? (references.includes(IDS.failingFeatureName) ? of(IDS.failingFeature) : undefined);
}

/** The delays of a request with this id before and after it reads, in milliseconds. */
export function delayOf(id) {
	const number = Number(id);
	if (!(number >= IDS.slow && number < IDS.slow * 2)) return undefined;
	const code = number % 10_000;
	return { before: Math.floor(code / 100) * IDS.slowUnitMs, after: (code % 100) * IDS.slowUnitMs };
}

export const isUnknown = (id) => Number(id) >= IDS.unknown && Number(id) < IDS.unknown + IDS.unknownSpan;
