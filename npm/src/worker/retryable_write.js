// A write on a connection that the origin may be closing, sent so that it can be repeated.
//
// The last byte of the body is delayed until a closed connection would have been noticed. A request that is
// lost before that byte is incomplete, so no origin can have acted on it (RFC 9112, 8), and it is sent
// again. Invariant: a complete request is never repeated.

import { deferred } from "../runtime/deferred.js";
import { retry } from "../runtime/retry.js";

/** The most retries of a write: each may meet another connection that is being closed. */
const MAX_RETRIES = 5;

/**
 * @param {(body: ReadableStream<Uint8Array>) => Promise<Response>} send
 * @param {Uint8Array} bytes at least one
 * @param {number} delayMs the delay of the last byte
 * @param {AbortSignal} [signal]
 */
export function sendRetryableWrite(send, bytes, delayMs, signal) {
	let latest = { isComplete: false };
	const attempt = async () => {
		// The length is declared: not every origin accepts chunks.
		const { readable, writable } = new FixedLengthStream(bytes.length);
		const { promise: hasFailed, resolve: end } = deferred();
		const attempted = { isComplete: false };
		latest = attempted;
		const write = async () => {
			const writer = writable.getWriter();
			const timer = setTimeout(() => end(false), delayMs);
			await writer.write(bytes.subarray(0, -1));
			if (await hasFailed) return clearTimeout(timer);
			attempted.isComplete = true;
			await writer.write(bytes.subarray(-1));
			await writer.close();
		};
		// An error of the stream is the request's error too.
		write().catch(() => {});
		try {
			return await send(readable);
		} catch (error) {
			end(true);
			throw error;
		}
	};
	return retry(attempt, { maxRetries: MAX_RETRIES, signal, mayRetry: () => !latest.isComplete });
}
