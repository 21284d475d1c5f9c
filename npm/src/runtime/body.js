// Bodies of requests and responses, read within a limit.

/** How much of a body that nobody wants is read, so that its sender hears the answer before the connection ends, in bytes. */
const LINGER_BYTES = 32 * 1024 * 1024;

/** A body is longer than its limit. */
export class TooLargeError extends Error {
	/** @param {boolean} isRead whether some of it was read, so that the rest is to be cancelled or read on */
	constructor(isRead) {
		super("the body is too long");
		this.isRead = isRead;
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
 * @param {boolean} [isLengthTrue] whether the platform holds the message to the length that it announces
 */
export async function readBytes(message, limit, isLengthTrue = false) {
	const { headers } = message;
	const announced = headers.get("content-length");
	if (Number(announced) > limit) throw new TooLargeError(false);
	// What is announced is the length before it is unpacked. Before `body` is looked at: that makes a stream of it.
	if (isLengthTrue && announced !== null && !headers.has("content-encoding") && !headers.has("transfer-encoding")) {
		return new Uint8Array(await message.arrayBuffer());
	}
	if (message.body === null) return new Uint8Array();
	const chunks = [];
	let length = 0;
	// Not by `for await`, which Safari's streams lack.
	const reader = message.body.getReader();
	for (;;) {
		const { done, value } = await reader.read();
		if (done) break;
		length += value.length;
		if (length > limit) {
			reader.releaseLock();
			throw new TooLargeError(true);
		}
		chunks.push(value);
	}
	if (chunks.length === 1) return chunks[0];
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const chunk of chunks) {
		bytes.set(chunk, at);
		at += chunk.length;
	}
	return bytes;
}
