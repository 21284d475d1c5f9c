// What learning costs: the npm package's module with `prefetch.enabled` and without, side by side, all in memory. Sessions take turns, and
// each asks now for one shape of features and then for another, so that there is something to learn and something to predict.

import { readFileSync } from "node:fs";
import { Core, CoreState, initSync } from "../build/npm/featheredge.js";
import { compare, race } from "./measure.mjs";
import { originOf, workload } from "./workload.mjs";

const SHAPES = [
	{ entities: 1, features: 5 },
	{ entities: 10, features: 20 },
];

/** The goal: learning is at most a tenth of an answer from memory. */
const GOAL = 1 / 1.1;

const SESSIONS = 1_024;

/**
 * All is fetched at one time, on both sides: of a row whose values were fetched at two, each value's age is looked at, which takes an answer
 * three times as long, and it was chance which side had such rows.
 */
const FILLED_AT = Date.now();
const ROUND_MILLIS = 30;
const FEAST = "/get-online-features";

const { memory } = initSync({ module: readFileSync(new URL("../build/npm/featheredge.wasm", import.meta.url)) });

class Learner {
	#core;
	#bodies;
	#input;
	#sessions = Array.from({ length: SESSIONS }, (_, number) => `session-${number}`);
	#served = 0;

	constructor(enabled, workloads) {
		this.#core = new Core(
			{ prefetch: { enabled }, l2: { enabled: false }, l1: { max_entries: 100_000 } },
			1n,
			undefined,
			false,
		);
		this.#bodies = workloads.map(({ body }) => body);
		this.#input = this.#core.input(65_536);
		for (const { body, answer } of workloads) this.#fill(body, originOf({ answer }));
	}

	#begin(body, session, now = Date.now()) {
		new Uint8Array(memory.buffer).set(body, this.#input);
		return this.#core.begin("POST", FEAST, "", body.length, false, true, false, "", "", session, now);
	}

	#fill(body, origin) {
		let state = this.#begin(body, undefined, FILLED_AT);
		for (const { number, kind, body } of this.#core.take_effects(Date.now())) {
			if (kind === "fetch" || kind === "synthesize")
				state = this.#core.complete_fetch(number, 200, "application/json", origin(body), FILLED_AT);
		}
		if (state === CoreState.Waiting || this.#core.reply_status() !== 200) throw new Error("the core did not answer");
		this.#core.take_effects(Date.now());
	}

	serve() {
		const number = this.#served++;
		const body = this.#bodies[Math.floor(number / SESSIONS) % this.#bodies.length];
		const state = this.#begin(body, this.#sessions[number % SESSIONS]);
		if (state === CoreState.RepliedWithEffects) this.#settle();
		else if (state !== CoreState.Replied) throw new Error("memory had not all of it");
	}

	/** Does what is ordered in the background: looks into predictions, all of whose rows are in memory. */
	#settle() {
		for (const { number, timeout, kind } of this.#core.take_effects(Date.now())) {
			if (kind === "ingest") setTimeout(() => this.#core.ingest_telemetry(Date.now(), 0), timeout).unref();
			else if (kind === "delay" && timeout === 0) this.#core.complete_wait(number, Date.now());
		}
		this.#core.take_effects(Date.now());
	}
}

/** @returns rows for each shape that `isWanted` */
export async function measureLearning(isWanted) {
	const rows = [];
	for (const shape of SHAPES) {
		const name = `learning ${shape.entities} × ${shape.features}`;
		if (!isWanted(name)) continue;
		const workloads = [workload(shape), workload({ ...shape, features: shape.features + 1 })];
		const [ours, theirs] = await race(
			[true, false].map((enabled) => {
				const learner = new Learner(enabled, workloads);
				return { serve: () => learner.serve() };
			}),
			ROUND_MILLIS,
		);
		rows.push(compare({ name, unit: "µs", peerName: "without prefetch", goal: GOAL }, ours, theirs));
	}
	return rows;
}
