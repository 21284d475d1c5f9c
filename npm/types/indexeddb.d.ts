import type { Store } from "./index.js";

/** A store in IndexedDB, for browsers and their workers. */
export function indexedDbStore(options?: {
	/** The database's name; `featheredge` where it is left out. */
	name?: string;
	/** Milliseconds since 1970. */
	clock?: () => number;
}): Store;
