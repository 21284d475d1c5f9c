// A rate limit in this process, as Cloudflare's binding has it: so many requests of one key in a period.

/** How many keys of callers whom nobody has judged are counted one by one: some megabytes. All further ones of a kind are counted together. */
const MAX_KEYS = 20_000;

/** Callers who have shown what they cannot make up, so that there are no more of them than there are: they are always counted one by one. */
const GENUINE = /^(?:operator$|token:|subject:)/;

/**
 * @param {{ limit: number, period: number }} settings `period` in seconds
 * @param {() => number} [now] the time in milliseconds
 * @returns {import("./access.js").RateLimiter}
 */
export function rateLimiter({ limit, period }, now = Date.now) {
	const counts = new Map();
	let strangers = 0;
	let current;
	return {
		async limit({ key }) {
			const window = Math.floor(now() / (period * 1000));
			if (window !== current) {
				counts.clear();
				strangers = 0;
			}
			current = window;
			const isKnown = counts.has(key) || GENUINE.test(key);
			// No caller has a kind alone for its key.
			const counted = isKnown || strangers < MAX_KEYS ? key : key.slice(0, key.indexOf(":") + 1);
			if (!isKnown && counted === key) strangers += 1;
			const count = (counts.get(counted) ?? 0) + 1;
			counts.set(counted, count);
			return { success: count <= limit };
		},
	};
}
