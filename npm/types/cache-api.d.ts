import type { Store } from "./index.js";

/** The part of a cache that is used. */
export interface CacheLike {
	match(request: string): Promise<Response | undefined>;
	put(request: string, response: Response): Promise<void>;
	delete(request: string): Promise<boolean>;
}

/** A store in the Cache API, for browsers and Workers. */
export function cacheApiStore(options?: {
	/** The cache's name; `featheredge` if omitted. */
	name?: string;
	/** A cache in place of a named one, such as a Worker's `caches.default`. */
	cache?: CacheLike;
	/** The clock, in milliseconds since 1970. */
	clock?: () => number;
}): Store;
