import type { Store } from "./index.js";

/** What is used of a cache. */
export interface CacheLike {
	match(request: string): Promise<Response | undefined>;
	put(request: string, response: Response): Promise<void>;
	delete(request: string): Promise<boolean>;
}

/** A store in the Cache API, for browsers and Workers. */
export function cacheApiStore(options?: {
	/** The cache's name; `featheredge` where it is left out. */
	name?: string;
	/** A cache in place of one by name, such as a Worker's `caches.default`. */
	cache?: CacheLike;
	/** Milliseconds since 1970. */
	clock?: () => number;
}): Store;
