// Measures scenarios one after the other, each repetition on its own.
//
// Repetitions alternate (A B C A B C, not A A B B C C), so that a machine that slows down slows all scenarios equally. Each begins with
// empty caches; what is measured warm follows on the same caches.

import { Benchmark } from "featheredge-benchmark";
import { BenchmarkError, withCode } from "./errors.js";
import { pause } from "./pause.js";

/** The result of `Benchmark.next` while no request is due. */
const NOTHING_DUE = -1;

/** The interval of progress reports, in milliseconds: short enough to appear live, too long to cost a percentile. */
const LIVE_MS = 250;

/**
 * The longest time without a yield to the event loop, in milliseconds: what waits for the origin meanwhile is late by as much at each turn.
 */
const MAX_BLOCKING_MS = 1;

/** How much of an error's text becomes a cause. The module cuts it further. */
const MAX_CAUSE = 500;

/** The result of a target's promise, or the reason of the signal, whichever is first: not every target heeds a signal. */
export function raced(promise, signal) {
	if (signal === undefined) return promise;
	return new Promise((resolve, reject) => {
		const abort = () => reject(signal.reason);
		if (signal.aborted) return abort();
		signal.addEventListener("abort", abort, { once: true });
		promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
	});
}

const clock = () => performance.now();
export const randomName = () => crypto.getRandomValues(new Uint32Array(1))[0].toString(36);

/**
 * A scenario with what is measured of it on one opened target.
 *
 * @typedef {object} Unit
 * @property {any} scenario
 * @property {"featheredge" | "origin"} served_by
 * @property {{ caches: "cold" | "warm", repeats: any[] }[]} passes in the order in which they are measured
 */

/**
 * Measures units, and fills in their repetitions.
 *
 * @param {object} options
 * @param {Unit[]} options.units
 * @param {Record<"featheredge" | "origin", import("./targets.js").Target | undefined>} options.targets
 * @param {number} options.repeats
 * @param {AbortSignal} [options.signal]
 * @param {(event: any) => void} options.onEvent
 */
export async function measureUnits({ units, targets, repeats, signal, onEvent }) {
	const passes = units.flatMap((unit) => unit.passes);
	const total = passes.length * repeats;
	const began = clock();
	let done = 0;
	for (let repeat = 0; repeat < repeats; repeat += 1) {
		for (const { scenario, served_by, passes: own } of units) {
			signal?.throwIfAborted();
			const target = targets[served_by];
			// Unused entity names replace empty caches where caches cannot be emptied.
			const namespace = target.isShared ? `${randomName()}_` : "";
			const run = (onLive) => runOnce({ scenario, namespace, repeat, target, signal, onLive });
			await raced(target.open({ timeout_ms: scenario.timeout_ms }), signal);
			let isStopped = false;
			try {
				// A scenario of its own warm-up needs no other.
				const isWarmedApart = own[0].caches === "warm" && scenario.warm_up_requests === 0;
				if (isWarmedApart && served_by === "featheredge") await run();
				for (const pass of own) {
					const index = passes.indexOf(pass);
					const about = { index, repeat, scenario: scenario.name, caches: pass.caches, served_by };
					onEvent({ type: "scenario-started", ...about, total });
					const result = await run((live) => {
						const share = (done + live.progress.share) / total;
						const left = share > 0.01 ? ((clock() - began) * (1 - share)) / share : undefined;
						onEvent({ type: "progress", ...about, share, left_ms: left, live });
					});
					done += 1;
					pass.repeats.push(result);
					onEvent({ type: "scenario-ended", ...about, result });
					isStopped ||= result.stopped !== undefined && result.stopped !== null;
				}
			} finally {
				// A cancelled run does not wait for what is in flight.
				const closed = (async () => target.close())().catch(() => {});
				if (!signal?.aborted) await closed;
			}
			if (isStopped) {
				const [{ kind, cause } = {}] = own.at(-1).repeats.at(-1).failures;
				const reason = `The first requests of ${scenario.name} all failed: ${kind}${cause ? ` (${cause})` : ""}.`;
				onEvent({ type: "stopped", reason });
				return { isStopped };
			}
		}
	}
	return { isStopped: false };
}

/** One repetition of a scenario on an opened target. */
export async function runOnce({ scenario, namespace, repeat, target, signal, onLive = () => {} }) {
	const benchmark = withCode("invalid-scenario", () => new Benchmark(scenario, namespace, repeat));
	try {
		const before = await raced(target.usage(signal), signal).catch(() => undefined);
		signal?.throwIfAborted();
		await drive(benchmark, target, signal, onLive);
		const after = await raced(target.usage(signal), signal).catch(() => undefined);
		if (after !== undefined) {
			benchmark.setL1({ ...after, evictions: Math.max(0, after.evictions - (before?.evictions ?? 0)) });
		}
		return benchmark.finish();
	} catch (error) {
		benchmark.free();
		throw error;
	}
}

const causeOf = (error) => {
	const inner = error?.cause?.code ?? error?.cause?.message;
	const text = [error?.message ?? String(error), inner].filter((part) => part !== undefined && part !== "").join(": ");
	return text.slice(0, MAX_CAUSE);
};

async function drive(benchmark, target, signal, onLive) {
	let wake;
	/** Whether the run is over: requests under way outlive a cancelled run. */
	let isOver = false;
	let yieldedAt = clock();
	let reportedAt = clock();
	const recordReply = (number, reply, at) => {
		if (isOver) return;
		if (reply.body === undefined) benchmark.computed(number, reply.rows, reply.calls, at);
		else benchmark.answered(number, reply.status, reply.serverTiming, reply.body, at);
	};
	const recordFailure = (number, error, at) => {
		if (!isOver) benchmark.failed(number, target.kindOf(error), causeOf(error), at);
	};
	/** What ends requests in flight when the run ends, in whichever way, for targets that can end one. */
	const inFlight = new Map();
	const begin = (number, body) => {
		benchmark.begun(number, clock());
		const controller = target.endsRequests ? new AbortController() : undefined;
		if (controller !== undefined) inFlight.set(number, controller);
		let reply;
		try {
			reply = target.send(body, controller?.signal);
		} catch (error) {
			return recordFailure(number, error, clock());
		}
		if (!(reply instanceof Promise)) return recordReply(number, reply, clock());
		reply
			.then(
				(reply) => recordReply(number, reply, clock()),
				(error) => recordFailure(number, error, clock()),
			)
			.then(() => {
				// Its slot may be another request's by now.
				if (inFlight.get(number) === controller) inFlight.delete(number);
				wake?.();
			});
	};
	try {
		for (;;) {
			signal?.throwIfAborted();
			const now = clock();
			if (now - reportedAt > LIVE_MS) {
				reportedAt = now;
				onLive(benchmark.live(now));
			}
			const number = benchmark.next(now);
			if (number >= 0) {
				begin(number, benchmark.body());
				// Responses from memory are synchronous: without a yield nothing else would run,
				// cancellation included.
				if (clock() - yieldedAt > MAX_BLOCKING_MS) {
					await pause(0);
					yieldedAt = clock();
				}
				continue;
			}
			if (number !== NOTHING_DUE) return onLive(benchmark.live(clock()));
			const due = benchmark.due();
			await new Promise((resolve, reject) => {
				const abort = () => reject(signal.reason);
				wake = () => {
					signal?.removeEventListener("abort", abort);
					resolve();
				};
				signal?.addEventListener("abort", abort, { once: true });
				if (due !== undefined) pause(due - clock()).then(wake);
			});
			wake = undefined;
			yieldedAt = clock();
		}
	} finally {
		isOver = true;
		for (const controller of inFlight.values()) controller.abort();
	}
}

/** @throws {BenchmarkError} */
export async function checkTargets(targets, signal) {
	for (const target of new Set(targets)) {
		if (typeof target?.send !== "function" || typeof target.check !== "function") {
			throw new BenchmarkError(
				"invalid-options",
				"A target is made by engineTarget, urlTarget, originTarget or functionTarget",
			);
		}
		await raced(target.check(signal), signal);
	}
}
