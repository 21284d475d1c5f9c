// How much of requests' bodies this process, or isolate, holds while they are read. Once they are whole they count in the core's account of
// memory; those that come slowly would count in none.

/**
 * The most that all of them hold together, in bytes: with the core's account, `memory.max_bytes`, it fits an isolate of 128 MB. One alone may hold
 * more, as much as its own limit allows.
 */
const MAX_BYTES = 32 * 1024 * 1024;

let held = 0;

/** What one body holds. */
export class ReadingShare {
	#bytes = 0;

	/** Counts so many bytes more; gives whether there is room for them. */
	take(length) {
		const others = held - this.#bytes;
		if (others > 0 && held + length > MAX_BYTES) return false;
		held += length;
		this.#bytes += length;
		return true;
	}

	/** Counts none of it any more. */
	end() {
		held -= this.#bytes;
		this.#bytes = 0;
	}
}
