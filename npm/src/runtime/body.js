// Bodies of requests and responses, read within a limit.

/** How much of a body that nobody wants is read, so that its sender hears the answer before the connection ends, in bytes. */
const LINGER_BYTES = 32 * 1024 * 1024;

/** A body is longer than its limit. */
export class TooLargeError extends Error {
	constructor() {
		super("the body is too long");
	}
}

/** Lets go of a body, whatever its source makes of that; nobody waits for it. */
export function cancel(body) {
	body?.cancel().catch(() => {});
}

/** Reads on and keeps nothing: a connection that is closed on a client that still sends loses the answer (RFC 9112, 9.6). */
export async function discard(body) {
	let length = 0;
	try {
		// Ends, and so cancels the body, past the bound.
		for await (const chunk of body) {
			length += chunk.length;
			if (length > LINGER_BYTES) return;
		}
	} catch {
		// It is gone already.
	}
}

/**
 * A body's bytes, at most `limit` of them; where there are more, a `TooLargeError`, and the body can be read on or cancelled.
 *
 * @param {Request | Response} message
 * @param {number} limit
 * @param {boolean} [isLengthTrue] as of `readWithin`
 */
export async function readBytes(message, limit, isLengthTrue) {
	const { bytes } = await readWithin(message, limit, isLengthTrue);
	if (bytes === undefined) throw new TooLargeError();
	return bytes;
}

/**
 * Reads a body within a limit, and no further than the chunk that passes it.
 *
 * @param {Request | Response} message
 * @param {number} limit in bytes
 * @param {boolean} [isLengthTrue] whether the platform holds the message to the length that it announces
 * @returns {Promise<{ bytes: Uint8Array, chunks?: undefined } | { bytes?: undefined, chunks: Uint8Array[] }>} all of it, or the chunks that were
 *   read of one that is longer; its rest can be read on or cancelled
 */
export async function readWithin(message, limit, isLengthTrue = false) {
	const { headers } = message;
	const announced = headers.get("content-length");
	if (Number(announced) > limit) return { chunks: [] };
	// What is announced is the length before it is unpacked. Before `body` is looked at: that makes a stream of it.
	if (isLengthTrue && announced !== null && !headers.has("content-encoding") && !headers.has("transfer-encoding")) {
		return { bytes: new Uint8Array(await message.arrayBuffer()) };
	}
	if (message.body === null) return { bytes: new Uint8Array() };
	const chunks = [];
	let length = 0;
	// Not by `for await`, which Safari's streams lack.
	const reader = message.body.getReader();
	for (;;) {
		const { done, value } = await reader.read();
		if (done) break;
		chunks.push(value);
		length += value.length;
		if (length > limit) {
			reader.releaseLock();
			return { chunks };
		}
	}
	if (chunks.length === 1) return { bytes: chunks[0] };
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const chunk of chunks) {
		bytes.set(chunk, at);
		at += chunk.length;
	}
	return { bytes };
}

/**
 * A body of which some chunks were read, as one stream.
 *
 * @param {Uint8Array[]} chunks
 * @param {ReadableStream<Uint8Array>} rest
 */
export function rejoin(chunks, rest) {
	const reader = rest.getReader();
	return new ReadableStream(
		{
			async pull(controller) {
				const chunk = chunks.shift() ?? (await reader.read()).value;
				if (chunk === undefined) controller.close();
				else controller.enqueue(chunk);
			},
			cancel: (reason) => reader.cancel(reason),
		},
		{ highWaterMark: 0 },
	);
}
