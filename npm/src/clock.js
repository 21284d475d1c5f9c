// The engine's default clock: milliseconds since 1970. Invariant: it never runs backwards.
//
// `Date.now` is the host's wall clock, which NTP or a person may set back, and ages and deadlines are
// differences of its values. So this clock advances by the monotonic `performance.now`, and follows the wall
// clock only forwards.

/**
 * The interval between two readings of the wall clock, in milliseconds: the delay after which a machine's
 * sleep is noticed.
 */
const RESYNC_MS = 1_000;

/** @returns {() => number} */
export function steadyClock() {
	let origin = Number.NEGATIVE_INFINITY;
	let resyncAt = Number.NEGATIVE_INFINITY;
	return () => {
		const passed = performance.now();
		if (passed >= resyncAt) {
			origin = Math.max(origin, Date.now() - passed);
			resyncAt = passed + RESYNC_MS;
		}
		return origin + passed;
	};
}
