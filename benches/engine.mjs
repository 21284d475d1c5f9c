// The core in this process, over the module that `node scripts/build.mjs npm` builds.

import { readFileSync } from "node:fs";
import { Core, CoreState, initSync } from "../build/npm/featheredge.js";

const { memory } = initSync({ module: readFileSync(new URL("../build/npm/featheredge.wasm", import.meta.url)) });

/** How much memory the module has by now, in bytes: that of all engines. */
export const memoryBytes = () => memory.buffer.byteLength;

export class Engine {
	#core;
	#input = 0;
	#capacity = 0;
	/** The module's memory as it stands; of no length once it has grown. */
	#memory = new Uint8Array(memory.buffer);

	constructor(config) {
		this.#core = new Core(config, 1n, undefined, false);
	}

	/** Fills L1 by letting `origin` answer what the core asks it. */
	fill(body, origin) {
		let state = this.#begin(body);
		while (state === CoreState.Waiting) {
			const effects = this.#core.take_effects(Date.now());
			const calls = effects.filter(({ kind }) => kind === "fetch" || kind === "synthesize");
			// Its timers, which it needs no more once the origin has answered.
			for (const { number } of effects.filter(({ kind }) => kind === "wait")) this.#core.forget(number);
			if (calls.length === 0) throw new Error("the core waits for nothing");
			for (const { number, body } of calls) {
				state = this.#core.complete_fetch(number, 200, "application/json", origin(body), Date.now());
			}
		}
		const hasReplied = state === CoreState.Replied || state === CoreState.RepliedWithEffects;
		if (!hasReplied || this.#core.reply_status() !== 200) throw new Error("the core did not answer");
		this.#settle(state);
	}

	/**
	 * @param {Uint8Array} body
	 * @returns {Uint8Array | undefined} the answer, where L1 has all of it; copied as the package copies it
	 */
	serve(body) {
		const state = this.#begin(body);
		if (state !== CoreState.Replied && state !== CoreState.RepliedWithEffects) return undefined;
		const at = this.#core.reply_at();
		const length = this.#core.reply_length();
		const answer = this.#bytes().slice(at, at + length);
		this.#settle(state);
		return answer;
	}

	/** Takes what the core tells of requests when it says so, as a host does. */
	#settle(state) {
		if (state !== CoreState.RepliedWithEffects) return;
		for (const { kind, timeout } of this.#core.take_effects(Date.now())) {
			if (kind === "ingest") setTimeout(() => this.#core.ingest_telemetry(Date.now(), 0), timeout).unref();
		}
	}

	#bytes() {
		if (this.#memory.length === 0) this.#memory = new Uint8Array(memory.buffer);
		return this.#memory;
	}

	#begin(body) {
		if (body.length > this.#capacity) {
			this.#capacity = Math.max(body.length * 2, 65_536);
			this.#input = this.#core.input(this.#capacity);
		}
		this.#bytes().set(body, this.#input);
		return this.#core.begin_feast(body.length, true, Date.now());
	}
}
