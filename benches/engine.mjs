// The core in this process, over the module that `node scripts/build.mjs npm` builds.

import { readFileSync } from "node:fs";
import { Core, initSync, State } from "../build/npm/featheredge.js";

const { memory } = initSync({ module: readFileSync(new URL("../build/npm/featheredge.wasm", import.meta.url)) });

export class Engine {
	#core;
	#input = 0;
	#capacity = 0;

	constructor(config) {
		this.#core = new Core(config, 1n);
	}

	/** Fills L1 by letting `origin` answer what the core asks it. */
	fill(body, origin) {
		let state = this.#begin(body);
		while (state === State.Waiting) {
			const [order] = this.#core.take_orders();
			if (order === undefined) throw new Error("the core waits for nothing");
			state = order.keys
				? this.#core.complete_read(order.number, undefined, Date.now())
				: this.#core.complete_fetch(order.number, 200, "application/json", origin(order.body), Date.now());
		}
		if (state !== State.Replied || this.#core.reply_status() !== 200) throw new Error("the core did not answer");
		this.#core.take_orders();
	}

	/**
	 * @param {Uint8Array} body
	 * @returns {Uint8Array | undefined} the answer, where L1 has all of it
	 */
	serve(body) {
		if (this.#begin(body) !== State.Replied) return undefined;
		const at = this.#core.reply_at();
		return new Uint8Array(memory.buffer.slice(at, at + this.#core.reply_length()));
	}

	#begin(body) {
		if (body.length > this.#capacity) {
			this.#capacity = Math.max(body.length * 2, 65_536);
			this.#input = this.#core.input(this.#capacity);
		}
		new Uint8Array(memory.buffer, this.#input, body.length).set(body);
		return this.#core.begin_feast(body.length, Date.now());
	}
}
