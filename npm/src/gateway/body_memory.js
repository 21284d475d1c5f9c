// The memory of request bodies while they are read, limited for the whole process or isolate. A complete
// body counts in the core's `memory.max_bytes`; one that arrives slowly would count nowhere.

/**
 * The limit of all bodies together, in bytes. Together with the core's `memory.max_bytes` it fits an isolate of 128 MB. A single body may
 * exceed it, up to its own limit.
 */
const MAX_BYTES = 32 * 1024 * 1024;

let reservedBytes = 0;

/** The memory of one body. */
export class BodyReservation {
	#bytes = 0;

	/** Reserves more bytes; returns whether there was room for them. */
	reserve(length) {
		const others = reservedBytes - this.#bytes;
		if (others > 0 && reservedBytes + length > MAX_BYTES) return false;
		reservedBytes += length;
		this.#bytes += length;
		return true;
	}

	/** Releases all of them. */
	release() {
		reservedBytes -= this.#bytes;
		this.#bytes = 0;
	}
}
