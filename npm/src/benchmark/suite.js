// Runs scenarios one after the other, each repetition on empty caches of its own, and gives a run with all that it shows.
//
// Repetitions take turns (A B C A B C, not A A B B C C), so that a machine that slows down slows all scenarios alike.

import { Benchmark, framework, summarize } from "featheredge-benchmark";
import { pause } from "./pause.js";

/** What `Benchmark.next` says. */
const NOTHING_NOW = -1;

/** How often what is known so far is told, in milliseconds: often enough to be seen to move, and seldom enough to cost no percentile. */
const LIVE_MS = 250;

/** How long answers may come from memory with no look at anything else, in milliseconds. */
const BREATH_MS = 10;

/**
 * @typedef {object} Step
 * @property {number} scenario which scenario, from 0
 * @property {number} repeat which repetition, from 0
 * @property {any} live what is known of it
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
			// Where caches cannot be emptied, entities that nobody has asked for are as good.
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
	/** Whether nobody asks any more: what is under way goes on behind a run that was cancelled. */
	let isOver = false;
	let breathedAt = clock();
	let toldAt = clock();
	const tell = (number, { status, serverTiming, body }, at) => {
		if (!isOver) benchmark.answered(number, status, serverTiming, body, at);
	};
	const fail = (number, error, at) => {
		if (!isOver) benchmark.failed(number, target.kindOf(error), at);
	};
	const begin = (number, body) => {
		benchmark.begun(number, clock());
		let reply;
		try {
			reply = target.send(body);
		} catch (error) {
			return fail(number, error, clock());
		}
		if (!(reply instanceof Promise)) return tell(number, reply, clock());
		reply
			.then(
				(reply) => tell(number, reply, clock()),
				(error) => fail(number, error, clock()),
			)
			.then(() => wake?.());
	};
	try {
		for (;;) {
			signal?.throwIfAborted();
			const now = clock();
			if (now - toldAt > LIVE_MS) {
				toldAt = now;
				onLive(benchmark.live(now));
			}
			const number = benchmark.next(now);
			if (number >= 0) {
				begin(number, benchmark.body());
				// Memory answers at once: without a pause nothing else would ever be heard, a cancelling least of all.
				if (clock() - breathedAt > BREATH_MS) {
					await pause(0);
					breathedAt = clock();
				}
				continue;
			}
			if (number !== NOTHING_NOW) return onLive(benchmark.live(clock()));
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
			breathedAt = clock();
		}
	} finally {
		isOver = true;
	}
}
