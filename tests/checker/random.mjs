// Numbers by chance from a seed, so that a plan can be made again.

const MASK = 0xffff_ffffn;

/** FNV-1a of a text, in 32 bits. */
function hash(text) {
	let hash = 0x811c_9dc5n;
	for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x0100_0193n) & MASK;
	// Texts that differ in one letter are to have nothing in common.
	let mixed = Number(hash);
	mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
	mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
	return (mixed ^ (mixed >>> 16)) >>> 0;
}

export class Chance {
	#state;

	/** @param {string} seed any text: streams of different seeds have nothing in common */
	constructor(seed) {
		this.#state = hash(seed);
	}

	/** A number in [0, 1): mulberry32. */
	next() {
		this.#state = (this.#state + 0x6d2b_79f5) | 0;
		let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
	}

	/** A whole number from 0 to `end`, which is left out. */
	below(end) {
		return Math.floor(this.next() * end);
	}

	/** A whole number from `first` to `last`. */
	between(first, last) {
		return first + this.below(last - first + 1);
	}

	happens(percent) {
		return this.next() * 100 < percent;
	}

	pick(items) {
		return items[this.below(items.length)];
	}

	/** One of the names of `weights`, each as often as its weight says. */
	weighted(weights) {
		const entries = Object.entries(weights);
		let at = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
		for (const [name, weight] of entries) {
			at -= weight;
			if (at < 0) return name;
		}
		return entries.at(-1)[0];
	}

	/** Some of the items, one at the least, in their order. */
	some(items, percent = 50) {
		const chosen = items.filter(() => this.happens(percent));
		return chosen.length > 0 ? chosen : [this.pick(items)];
	}
}
