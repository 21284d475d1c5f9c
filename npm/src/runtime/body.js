// Bodies of requests and responses, read within a limit.

/** How much of a body that nobody wants is read, so that its sender hears the answer before the connection ends, in bytes. */
export const LINGER_BYTES = 32 * 1024 * 1024;

/** A body is longer than its limit. */
export class TooLargeError extends Error {
	/** @param {Uint8Array} [part] the part that passes the limit, where one was read */
	constructor(part) {
		super("the body is too long");
		this.part = part;
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
export const STREAMS = { gzip: "gzip", "x-gzip": "gzip", deflate: "deflate" };

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

/** Whether zlib has failed, by which Node's streams undo a coding. */
const isOfCoding = (error) => /^Z_/.test(error?.code ?? error?.cause?.code ?? "");

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
	if (Number(message.headers.get("content-length")) > limit) throw new TooLargeError();
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
			throw isOurs || isOfCoding(error) ? new EncodedError(coding) : error;
		});
		if (done) return;
		const expected = Math.max(0, (announced ?? 0) - length);
		length += value.length;
		if (length > limit) {
			reader.releaseLock();
			throw new TooLargeError(value);
		}
		try {
			take(value, expected);
		} catch (error) {
			reader.releaseLock();
			throw error;
		}
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
	const { bytes } = await readWithin(message, limit, isLengthTrue);
	if (bytes === undefined) throw new TooLargeError();
	return bytes;
}

/**
 * Reads a body within a limit, and no further than the part that passes it.
 *
 * @param {Request | Response} message
 * @param {number} limit in bytes
 * @param {boolean} [isLengthTrue] as of `readParts`
 * @param {(length: number) => void} [count] told of each part before it is kept; what it throws ends the reading
 * @returns {Promise<{ bytes: Uint8Array, parts?: undefined } | { bytes?: undefined, parts: Uint8Array[] }>} all of it, or the parts that were
 *   read of one that is longer; its rest can be read on or cancelled
 */
export async function readWithin(message, limit, isLengthTrue, count) {
	const parts = [];
	const take = (part) => {
		count?.(part.length);
		parts.push(part);
	};
	try {
		await readParts(message, limit, take, { isLengthTrue });
	} catch (error) {
		if (!(error instanceof TooLargeError)) throw error;
		return { parts: error.part === undefined ? parts : [...parts, error.part] };
	}
	return { bytes: joined(parts) };
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
	if (parts.length === 1) return parts[0];
	const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}

/**
 * A body of which some parts were read, as one stream.
 *
 * @param {Uint8Array[]} parts
 * @param {ReadableStream<Uint8Array>} rest
 */
export function rejoin(parts, rest) {
	const reader = rest.getReader();
	return new ReadableStream(
		{
			async pull(controller) {
				const part = parts.shift() ?? (await reader.read()).value;
				if (part === undefined) controller.close();
				else controller.enqueue(part);
			},
			cancel: (reason) => reader.cancel(reason),
		},
		{ highWaterMark: 0 },
	);
}
