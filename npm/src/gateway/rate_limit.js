// A rate limit in this process, as Cloudflare's binding has it: so many requests of one key in a period.

/** How many keys are counted one by one: some megabytes. All further ones are counted together until the period ends. */
const MAX_KEYS = 20_000;

/** What all further keys are counted under. No caller has it: theirs begin with what kind of caller they are. */
const OTHERS = "";

/**
 * @param {{ limit: number, period: number }} settings `period` in seconds
 * @param {() => number} [now] the time in milliseconds
 * @returns {import("./access.js").RateLimiter}
 */
export function rateLimiter({ limit, period }, now = Date.now) {
	const counts = new Map();
	let current;
	return {
		async limit({ key }) {
			const window = Math.floor(now() / (period * 1000));
			if (window !== current) counts.clear();
			current = window;
			const counted = counts.has(key) || counts.size < MAX_KEYS ? key : OTHERS;
			const count = (counts.get(counted) ?? 0) + 1;
			counts.set(counted, count);
			return { success: count <= limit };
		},
	};
}
