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

/** A body is in a content coding that cannot be undone here. */
export class EncodedError extends Error {
	/** @param {string} coding */
	constructor(coding) {
		super("the body is in a coding that cannot be undone");
		this.coding = coding;
	}
}

/** Bodies up to this length are read in one piece where that is known, in bytes: a promise for each part would be dearer. */
const ONE_PIECE_BYTES = 256 * 1024;

/** Codings that a `DecompressionStream` undoes, by their names in HTTP (RFC 9110, 8.4.1). */
const STREAMS = { gzip: "gzip", "x-gzip": "gzip", deflate: "deflate" };

/** The longest name of a coding that is quoted. */
const MAX_CODING = 40;

/**
 * A body without its content coding.
 *
 * @param {Response} message
 * @param {string} coding
 * @param {(coding: string) => boolean} isUndone whether the platform undoes a coding by itself
 * @returns {ReadableStream<Uint8Array> | null}
 */
function decoded({ body }, coding, isUndone) {
	if (body === null || coding === "" || coding === "identity" || isUndone(coding)) return body;
	const format = STREAMS[coding.toLowerCase()];
	if (format === undefined) throw new EncodedError(coding);
	return body.pipeThrough(new DecompressionStream(format));
}

/** How long a body is, where its message tells; `undefined` where it is the length before a coding is undone, or none. */
function announcedOf({ headers }) {
	const length = headers.get("content-length");
	const isKnown = length !== null && !headers.has("content-encoding") && !headers.has("transfer-encoding");
	return isKnown ? Number(length) : undefined;
}

/**
 * Reads a body part by part, at most `limit` bytes of it; where there are more, a `TooLargeError`, and the body can be read on or cancelled.
 *
 * @param {Request | Response} message
 * @param {number} limit
 * @param {(part: Uint8Array, expected: number) => void} take takes a part; `expected` is how many bytes are still to come with it, or 0 where that
 *   is not known
 * @param {object} [options]
 * @param {boolean} [options.isLengthTrue] whether the platform holds the message to the length that it announces
 * @param {(coding: string) => boolean} [options.isUndone] whether it undoes a coding by itself; without it, no coding is looked at
 */
export async function readParts(message, limit, take, { isLengthTrue = false, isUndone = () => true } = {}) {
	if (Number(message.headers.get("content-length")) > limit) throw new TooLargeError(false);
	const announced = announcedOf(message);
	// Before `body` is looked at: that makes a stream of it.
	if (isLengthTrue && announced <= ONE_PIECE_BYTES) {
		return take(new Uint8Array(await message.arrayBuffer()), announced);
	}
	const coding = (message.headers.get("content-encoding") ?? "").trim().slice(0, MAX_CODING);
	const body = decoded(message, coding, isUndone);
	if (body === null) return;
	const isOurs = body !== message.body;
	let length = 0;
	// Not by `for await`, which Safari's streams lack.
	const reader = body.getReader();
	for (;;) {
		const { done, value } = await reader.read().catch((error) => {
			throw isOurs ? new EncodedError(coding) : error;
		});
		if (done) return;
		const expected = Math.max(0, (announced ?? 0) - length);
		length += value.length;
		if (length > limit) {
			reader.releaseLock();
			throw new TooLargeError(true);
		}
		take(value, expected);
	}
}

/**
 * A body's bytes, at most `limit` of them, as by `readParts`.
 *
 * @param {Request | Response} message
 * @param {number} limit
 * @param {boolean} [isLengthTrue]
 */
export async function readBytes(message, limit, isLengthTrue) {
	const parts = [];
	let length = 0;
	const take = (part) => {
		parts.push(part);
		length += part.length;
	};
	await readParts(message, limit, take, { isLengthTrue });
	if (parts.length === 1) return parts[0];
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}
