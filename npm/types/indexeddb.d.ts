import type { Store } from "./index.js";

/** A store in IndexedDB, for browsers and their workers. */
export function indexedDbStore(options?: {
	/** The database's name; `featheredge` if omitted. */
	name?: string;
	/** The clock, in milliseconds since 1970. */
	clock?: () => number;
}): Store;
