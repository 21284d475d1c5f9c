// Waits for what a test can see, and holds others up until the test lets them go. No test guesses how long something takes.

import { setTimeout as sleep } from "node:timers/promises";

/**
 * Looks again and again until it sees something, and gives that. Fails when `withinMs` have passed.
 *
 * @template T
 * @param {() => T | Promise<T>} look
 * @param {{ what?: string, withinMs?: number, everyMs?: number }} [options] `what` is waited for, in words; without it, the source of `look` says so
 * @returns {Promise<Awaited<T>>}
 */
export async function until(look, { what = String(look), withinMs = 20_000, everyMs = 10 } = {}) {
	for (const deadline = performance.now() + withinMs; ; await sleep(everyMs)) {
		const seen = await look();
		if (seen) return seen;
		if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
	}
}

/** A gate: who `wait`s there goes on once the test opens it, and `reached` resolves when the first one waits. */
export function gate() {
	const settled = () => {
		let settle;
		const promise = new Promise((resolve) => {
			settle = resolve;
		});
		return { promise, settle };
	};
	const [opened, reached] = [settled(), settled()];
	return {
		open: opened.settle,
		reached: reached.promise,
		wait() {
			reached.settle();
			return opened.promise;
		},
	};
}
