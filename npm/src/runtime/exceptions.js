// What an origin's function threw, by number: the core passes the number on to all requests that the failure reaches.

/** How many are kept. A request that is told of an older one has none. */
const MAX_KEPT = 64;

export class Exceptions {
	/** @type {Map<number, unknown>} */
	#kept = new Map();
	#last = 0;

	/** Keeps an exception; returns its number, which is never 0. */
	keep(exception) {
		this.#last = (this.#last % 0xffff_ffff) + 1;
		this.#kept.set(this.#last, exception);
		if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value);
		return this.#last;
	}

	/** The exception of a number; `undefined` if there is none, or if it was forgotten. */
	of(number) {
		return this.#kept.get(number);
	}
}
