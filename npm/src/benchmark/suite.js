// Runs scenarios one after the other, each repetition on its own empty caches, and returns the run.
//
// Repetitions alternate (A B C A B C, not A A B B C C), so that a machine that slows down slows all
// scenarios equally.

import { Benchmark, framework, summarize } from "featheredge-benchmark";
import { pause } from "./pause.js";

/** The result of `Benchmark.next` while no request is due. */
const NOTHING_DUE = -1;

/**
 * The interval of progress reports, in milliseconds: short enough to appear live, too long to cost a
 * percentile.
 */
const LIVE_MS = 250;

/** The longest time without a yield to the event loop, in milliseconds. */
const MAX_BLOCKING_MS = 10;

/**
 * @typedef {object} Step
 * @property {number} scenario which scenario, from 0
 * @property {number} repeat which repetition, from 0
 * @property {any} live its intermediate result
 *
 * @param {object} options
 * @param {any[]} options.scenarios
 * @param {number} options.repeats
 * @param {import("./targets.js").Target} options.target
 * @param {{ host: string, machine: string, cores: number, settings?: { name: string, value: string }[] }} options.environment
 * @param {AbortSignal} [options.signal] its reason is thrown
 * @param {(step: Step) => void} [options.onLive]
 * @returns {Promise<any>} the run, as it is exported
 */
export async function runSuite({ scenarios, repeats, target, environment, signal, onLive = () => {} }) {
	const { schema, version, product_version } = framework();
	const startedAt = new Date();
	const measured = scenarios.map((scenario) => ({ scenario, repeats: [] }));
	for (let repeat = 0; repeat < repeats; repeat++) {
		for (const [index, { scenario, repeats: done }] of measured.entries()) {
			signal?.throwIfAborted();
			// Unused entity names replace empty caches where caches cannot be emptied.
			const namespace = target.isShared ? `${randomName()}_` : "";
			await target.open();
			const benchmark = new Benchmark(scenario, namespace, repeat);
			try {
				await drive(benchmark, target, signal, (live) => onLive({ scenario: index, repeat, live }));
				done.push(benchmark.finish());
			} catch (error) {
				benchmark.free();
				throw error;
			} finally {
				await target.close();
			}
		}
	}
	return summarize({
		schema,
		version,
		product_version,
		id: `${startedAt.getTime().toString(36)}-${randomName()}`,
		started_at: startedAt.toISOString(),
		environment: { settings: [], ...environment, target: target.name },
		scenarios: measured,
	});
}

const randomName = () => crypto.getRandomValues(new Uint32Array(1))[0].toString(36);

const clock = () => performance.now();

async function drive(benchmark, target, signal, onLive) {
	let wake;
	/** Whether the run is over: requests under way outlive a cancelled run. */
	let isOver = false;
	let yieldedAt = clock();
	let reportedAt = clock();
	const recordReply = (number, { status, serverTiming, body }, at) => {
		if (!isOver) benchmark.answered(number, status, serverTiming, body, at);
	};
	const recordFailure = (number, error, at) => {
		if (!isOver) benchmark.failed(number, target.kindOf(error), at);
	};
	const begin = (number, body) => {
		benchmark.begun(number, clock());
		let reply;
		try {
			reply = target.send(body);
		} catch (error) {
			return recordFailure(number, error, clock());
		}
		if (!(reply instanceof Promise)) return recordReply(number, reply, clock());
		reply
			.then(
				(reply) => recordReply(number, reply, clock()),
				(error) => recordFailure(number, error, clock()),
			)
			.then(() => wake?.());
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
	}
}
