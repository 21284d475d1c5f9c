// The engine's default clock: milliseconds since 1970 that never run back.
//
// `Date.now` is the host's wall clock, which NTP or a person may set back; ages and deadlines are differences of its readings. So time
// goes on by `performance.now`, which nobody sets, and the wall clock is looked at now and then, to follow where that has gone ahead.

/** How often the wall clock is looked at, in milliseconds: a machine that slept is found to have done so this late at the most. */
const RESYNC_MILLIS = 1_000;

/** @returns {() => number} */
export function steadyClock() {
	let origin = Number.NEGATIVE_INFINITY;
	let resyncAt = Number.NEGATIVE_INFINITY;
	return () => {
		const passed = performance.now();
		if (passed >= resyncAt) {
			origin = Math.max(origin, Date.now() - passed);
			resyncAt = passed + RESYNC_MILLIS;
		}
		return origin + passed;
	};
}
