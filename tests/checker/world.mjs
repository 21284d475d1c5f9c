// What the checker's origin serves: its columns, views, push sources and services. Everything else takes it from here.

import { KEY_TYPES } from "./keys.mjs";

export const COLUMNS = { user_id: KEY_TYPES.integer, sku: KEY_TYPES.text };

/**
 * `made_of` views are computed on demand from another. A view with `note` has a feature that is null, and known to be.
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

/** Features whose value is null for every entity that is known. */
export const NULLS = new Set(["orders:note"]);

export const PUSH_SOURCES = {
	profile_push: "profile",
	orders_push: "orders",
	items_push: "items",
	pairs_push: "pairs",
};

export const SERVICES = { bundle: ["profile:age", "profile:city", "orders:total"] };

/** Ids with a meaning: everybody can tell what the origin does with them. */
export const IDS = {
	hot: ["0", "1", "7", "1001", "1002", "1003", "1004", "1005", "9007199254740992"],
	hotTexts: ["1", "True", "1.5", "2.0", "sku-a", "sku-b", "B", "ü"],
	/** The first of those that nobody asks for twice. */
	cold: 2_000_000,
	/** Every call with one of them waits: `slow + number * 10^4 + before * 100 + after`, both in units of 20 ms. */
	slow: 1_000_000_000_000,
	slowUnitMs: 20,
	/** A call with one of these is answered with the status, always. */
	sick: { 660000: 500, 670000: 429, 680000: 302 },
	/** The same of calls for one feature of these: a status, or an answer that cannot be read. */
	sickFeature: { 690000: "500", 700000: "rubbish" },
	sickFeatureName: "profile:city",
	sickSpan: 10_000,
	unknown: 900_000,
	unknownSpan: 1_000,
};

/** What each call for these features of this id is answered with in place of an answer; nothing where it is answered well. */
export function sicknessOf(id, references) {
	const number = Number(id);
	const of = (ranges) =>
		Object.entries(ranges).find(([first]) => number >= Number(first) && number < Number(first) + IDS.sickSpan)?.[1];
	return of(IDS.sick) ?? (references.includes(IDS.sickFeatureName) ? of(IDS.sickFeature) : undefined);
}

/** Milliseconds that a call with this id waits before and after it reads. */
export function slownessOf(id) {
	const number = Number(id);
	if (!(number >= IDS.slow && number < IDS.slow * 2)) return undefined;
	const code = number % 10_000;
	return { before: Math.floor(code / 100) * IDS.slowUnitMs, after: (code % 100) * IDS.slowUnitMs };
}

export const isUnknown = (id) => Number(id) >= IDS.unknown && Number(id) < IDS.unknown + IDS.unknownSpan;
