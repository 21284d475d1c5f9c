// A store in the Cache API, for browsers and Workers. The API has no bulk read, so keys are read
// concurrently.

import { writeEach } from "./writes.js";

/** The prefix of entries' URLs; nothing is ever sent there (RFC 6761). */
const BASE = "https://featheredge.invalid/";
/** The expiry of an entry: browsers ignore its `Cache-Control`. */
const EXPIRES = "featheredge-expires";

/** A store in the cache `name`, or in `cache`, such as a Worker's `caches.default`. */
export function cacheApiStore({ name = "featheredge", cache, clock = Date.now } = {}) {
	const opened = async () => cache ?? caches.open(name);
	const url = (key) => BASE + encodeURIComponent(key);
	return {
		async getMany(keys) {
			const rows = await opened();
			const get = async (key) => {
				const response = await rows.match(url(key));
				if (response === undefined) return undefined;
				if (Number(response.headers.get(EXPIRES)) <= clock()) {
					await rows.delete(url(key));
					return undefined;
				}
				return new Uint8Array(await response.arrayBuffer());
			};
			return Promise.all(keys.map(get));
		},
		async setMany(entries, { ttl, signal }) {
			const rows = await opened();
			const headers = { "cache-control": `max-age=${ttl}`, [EXPIRES]: String(clock() + ttl * 1_000) };
			return writeEach(entries, ([key, value]) => rows.put(url(key), new Response(value, { headers })), { signal });
		},
	};
}
