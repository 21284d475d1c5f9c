// A rate limiter in this process with the interface of Cloudflare's binding: a number of requests for each
// key and period.

/**
 * The most unverified keys that are counted separately, some megabytes. Further ones share a count for each
 * kind.
 */
const MAX_KEYS = 20_000;

/** Keys of authenticated callers, whose number is limited. They are always counted separately. */
const VERIFIED = /^(?:operator$|token:|subject:)/;

/**
 * @param {{ limit: number, period: number }} settings `period` in seconds
 * @param {() => number} [now] the time in milliseconds
 * @returns {import("./access.js").RateLimiter}
 */
export function rateLimiter({ limit, period }, now = Date.now) {
	const counts = new Map();
	let unverified = 0;
	let current;
	return {
		async limit({ key }) {
			const window = Math.floor(now() / (period * 1000));
			if (window !== current) {
				counts.clear();
				unverified = 0;
			}
			current = window;
			const isKnown = counts.has(key) || VERIFIED.test(key);
			// No key is a bare kind, so the shared counts are separate.
			const counted = isKnown || unverified < MAX_KEYS ? key : key.slice(0, key.indexOf(":") + 1);
			if (!isKnown && counted === key) unverified += 1;
			const count = (counts.get(counted) ?? 0) + 1;
			counts.set(counted, count);
			return { success: count <= limit };
		},
	};
}
