// A write on a connection that may be one no more, sent so that its loss is certain to have changed nothing.
//
// The last byte of its body is held back until a connection that is being closed would have been seen to be. A request that is lost before
// was never whole, so no origin can have acted on it (RFC 9112, 8), and it is sent again; one that is lost later may have been acted on, and
// is not.

import { deferred } from "../runtime/deferred.js";

/** How often a write is sent again: each time another's error may have been on the connection. */
const MAX_RETRIES = 5;

/**
 * @param {(body: ReadableStream<Uint8Array>) => Promise<Response>} call
 * @param {Uint8Array} bytes at least one
 * @param {number} millis for how long the last byte is held back
 * @param {AbortSignal} [signal]
 */
export async function sendHeldBack(call, bytes, millis, signal) {
	for (let retries = 0; ; retries++) {
		// With a length that is known: not every origin takes chunks.
		const { readable, writable } = new FixedLengthStream(bytes.length);
		const { promise: isOver, resolve: end } = deferred();
		let isWhole = false;
		const writing = (async () => {
			const writer = writable.getWriter();
			const timer = setTimeout(() => end(false), millis);
			await writer.write(bytes.subarray(0, -1));
			if (await isOver) return clearTimeout(timer);
			isWhole = true;
			await writer.write(bytes.subarray(-1));
			await writer.close();
		})();
		// Whatever it meets, the call meets too.
		writing.catch(() => {});
		try {
			return await call(readable);
		} catch (error) {
			end(true);
			if (isWhole || retries === MAX_RETRIES || signal?.aborted) throw error;
		}
	}
}
