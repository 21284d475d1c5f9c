// When a benchmark of this browser measured this deployment: Run marks the span, and Live shades it. Pages of other tabs hear of it, too.

/**
 * @typedef {object} Mark
 * @property {number} startedAt in milliseconds since 1970
 * @property {number} [endedAt] absent while the benchmark runs
 */

/** As many as fit in the longest time range of Live, of benchmarks of a few seconds. */
const MAX_MARKS = 100;

/** By their start. @type {Map<number, Mark>} */
const marks = new Map();
/** Those of this page that still run. @type {Set<number>} */
const running = new Set();
/** @type {Set<() => void>} */
const listeners = new Set();
const channel = globalThis.BroadcastChannel && new BroadcastChannel("featheredge-benchmarks");

/**
 * Records a benchmark against this deployment: call it when the benchmark starts, and again with both times when it ends.
 *
 * @param {number} startedAt
 * @param {number} [endedAt]
 */
export function markBenchmark(startedAt, endedAt) {
	if (endedAt === undefined) running.add(startedAt);
	else running.delete(startedAt);
	keep({ startedAt, endedAt });
	channel?.postMessage({ startedAt, endedAt });
}

/**
 * The marks that reach into a span, in order.
 *
 * @param {number} from
 * @param {number} to
 * @returns {Mark[]}
 */
export function marksWithin(from, to) {
	return [...marks.values()]
		.filter(({ startedAt, endedAt = to }) => startedAt <= to && endedAt >= from)
		.sort((one, other) => one.startedAt - other.startedAt);
}

/** Calls `listener` whenever a benchmark starts or ends, in this page or another. */
export const onMarks = (listener) => listeners.add(listener);

/** @param {Mark} mark */
function keep(mark) {
	marks.set(mark.startedAt, mark);
	if (marks.size > MAX_MARKS) marks.delete(marks.keys().next().value);
	for (const listener of listeners) listener();
}

channel?.addEventListener("message", ({ data }) => {
	if (data !== "which run?") return keep(data);
	for (const startedAt of running) channel.postMessage({ startedAt });
});
channel?.postMessage("which run?");
// A page that is closed measures no more.
addEventListener("pagehide", () => {
	for (const startedAt of running) markBenchmark(startedAt, Date.now());
});
