// Bodies of requests and responses, read within a limit.

import { codingOf, STREAM_CODINGS } from "./content_codings.js";

/**
 * The most of an unwanted body that is read and discarded, in bytes, so that its sender receives the
 * response (RFC 9112, 9.6).
 */
export const MAX_DISCARDED_BYTES = 32 * 1024 * 1024;

/** A body is longer than its limit. */
export class TooLargeError extends Error {
	/** @param {Uint8Array} [part] the part that exceeds the limit, if one was read */
	constructor(part) {
		super("the body is too long");
		this.part = part;
	}
}

/** Cancels a body in the background, and ignores its errors. */
export function cancel(body) {
	body?.cancel().catch(() => {});
}

/**
 * Reads the rest of a body: closing a connection whose client still sends loses the response (RFC 9112,
 * 9.6).
 */
export async function discard(body) {
	let length = 0;
	try {
		// Leaving the loop cancels the body.
		for await (const chunk of body) {
			length += chunk.length;
			if (length > MAX_DISCARDED_BYTES) return;
		}
	} catch {
		// The client has disconnected.
	}
}

/** A body has a content coding that cannot be decoded. */
export class UnsupportedCodingError extends Error {
	/** @param {string} coding */
	constructor(coding) {
		super("the body has an unsupported content coding");
		this.coding = coding;
	}
}

/**
 * Bodies of a known length up to this one are read at once, in bytes: a promise for each part would cost
 * more.
 */
const MAX_SINGLE_READ_BYTES = 256 * 1024;

/** The longest name of a coding that an error quotes. */
const MAX_CODING_LENGTH = 40;

/**
 * A body, decoded.
 *
 * @param {Response} message
 * @param {string} coding
 * @param {(coding: string) => boolean} isDecodedByFetch whether `fetch` has decoded a coding
 * @returns {ReadableStream<Uint8Array> | null}
 */
function withoutCoding({ body }, coding, isDecodedByFetch) {
	if (body === null || coding === "" || coding === "identity" || isDecodedByFetch(coding)) return body;
	return body.pipeThrough(decompressionStream(coding));
}

/** A stream that decodes a content coding. */
export function decompressionStream(name) {
	const coding = codingOf(name);
	if (!STREAM_CODINGS.has(coding)) throw new UnsupportedCodingError(name);
	return new DecompressionStream(coding);
}

/** Whether an error is zlib's, which decodes for Node's streams. */
const isZlibError = (error) => /^Z_/.test(error?.code ?? error?.cause?.code ?? "");

/** The length of a decoded body, if its message declares it. */
function declaredLength({ headers }) {
	const length = headers.get("content-length");
	const isKnown = length !== null && !headers.has("content-encoding") && !headers.has("transfer-encoding");
	return isKnown ? Number(length) : undefined;
}

/**
 * Reads a body part by part, at most `limit` bytes of it. If there are more it throws a `TooLargeError`, after which the body can be read
 * on or cancelled.
 *
 * @param {Request | Response} message
 * @param {number} limit
 * @param {(part: Uint8Array, expected: number) => void} onPart receives a part; `expected` is how many bytes are still to come with
 *   it, or 0 if unknown
 * @param {object} [options]
 * @param {boolean} [options.isLengthEnforced] whether the platform enforces the declared length
 * @param {(coding: string) => boolean} [options.isDecodedByFetch] whether `fetch` has decoded a coding; if omitted, nothing is decoded here
 */
export async function readParts(
	message,
	limit,
	onPart,
	{ isLengthEnforced = false, isDecodedByFetch = () => true } = {},
) {
	if (Number(message.headers.get("content-length")) > limit) throw new TooLargeError();
	const declared = declaredLength(message);
	// Before `body` is accessed, which would create its stream.
	if (isLengthEnforced && declared <= MAX_SINGLE_READ_BYTES) {
		return onPart(new Uint8Array(await message.arrayBuffer()), declared);
	}
	const coding = (message.headers.get("content-encoding") ?? "").trim().slice(0, MAX_CODING_LENGTH);
	const body = withoutCoding(message, coding, isDecodedByFetch);
	if (body === null) return;
	const isDecodedHere = body !== message.body;
	let length = 0;
	// Safari's streams have no `for await`.
	const reader = body.getReader();
	for (;;) {
		const { done, value } = await reader.read().catch((error) => {
			throw isDecodedHere || isZlibError(error) ? new UnsupportedCodingError(coding) : error;
		});
		if (done) return;
		const expected = Math.max(0, (declared ?? 0) - length);
		length += value.length;
		if (length > limit) {
			reader.releaseLock();
			throw new TooLargeError(value);
		}
		try {
			onPart(value, expected);
		} catch (error) {
			reader.releaseLock();
			throw error;
		}
	}
}

/**
 * Reads a body of at most `limit` bytes; throws a `TooLargeError` if it is longer.
 *
 * @param {Request | Response} message
 * @param {number} limit
 * @param {boolean} [isLengthEnforced]
 */
export async function readBytes(message, limit, isLengthEnforced) {
	const { bytes } = await readWithin(message, limit, isLengthEnforced);
	if (bytes === undefined) throw new TooLargeError();
	return bytes;
}

/**
 * Reads a body within a limit, and no further than the part that exceeds it.
 *
 * @param {Request | Response} message
 * @param {number} limit in bytes
 * @param {boolean} [isLengthEnforced] as of `readParts`
 * @param {(length: number) => void} [count] receives each part's length before it is kept; an exception ends the reading
 * @returns {Promise<{ bytes: Uint8Array, parts?: undefined } | { bytes?: undefined, parts: Uint8Array[] }>} the body, or the parts that were
 *   read of a longer one, whose rest can be read on or cancelled
 */
export async function readWithin(message, limit, isLengthEnforced, count) {
	const parts = [];
	const onPart = (part) => {
		count?.(part.length);
		parts.push(part);
	};
	try {
		await readParts(message, limit, onPart, { isLengthEnforced });
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
 * A body whose first parts were read, as one stream again.
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
