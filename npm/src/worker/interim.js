// Waits past interim answers (RFC 9110, 15.2). workerd takes one for the answer, and what follows on the connection, the answer, for its body.
// To `HEAD` it gives no body, so nothing can be seen behind the interim answer there: `WorkerOrigin` asks by `GET` in its place.
//
// Its invariant: a body is as long as it was announced to be, or breaks off.

import { isBodyless } from "../gateway/reply.js";
import { EncodedError, STREAMS } from "../runtime/body.js";

/** One character for each byte, so that a place in the text is one in the bytes. */
const latin1 = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** How long the heads before an answer may be, in bytes. */
const MAX_HEAD_BYTES = 64 * 1024;

const HEAD_END = "\r\n\r\n";

/** Reads a stream by lengths that are not those of its chunks. */
class ByteReader {
	#reader;
	#bytes = new Uint8Array();

	/** @param {ReadableStream<Uint8Array>} stream */
	constructor(stream) {
		this.#reader = stream.getReader();
	}

	/** Waits for more; gives whether there is any. */
	async #fill() {
		const { done, value } = await this.#reader.read();
		if (done) return false;
		const bytes = new Uint8Array(this.#bytes.length + value.length);
		bytes.set(this.#bytes);
		bytes.set(value, this.#bytes.length);
		this.#bytes = bytes;
		return true;
	}

	/** The text before `end`, which is taken too. */
	async until(end) {
		for (;;) {
			const at = latin1(this.#bytes.subarray(0, MAX_HEAD_BYTES)).indexOf(end);
			if (at >= 0) return latin1(this.#take(at + end.length)).slice(0, -end.length);
			if (this.#bytes.length >= MAX_HEAD_BYTES || !(await this.#fill()))
				throw new Error("the answer breaks off, or its head is too long");
		}
	}

	/** Some bytes, at most `limit`; `undefined` at the end. */
	async some(limit) {
		if (this.#bytes.length === 0 && !(await this.#fill())) return undefined;
		return this.#take(Math.min(limit, this.#bytes.length));
	}

	#take(length) {
		const taken = this.#bytes.subarray(0, length);
		this.#bytes = this.#bytes.subarray(length);
		return taken;
	}

	cancel(reason) {
		return this.#reader.cancel(reason);
	}
}

/** The parts of a body, as its head announces it (RFC 9112, 6.3). */
async function* partsOf(reader, headers) {
	if (/chunked\s*$/i.test(headers.get("transfer-encoding") ?? "")) {
		for (;;) {
			const length = Number.parseInt(await reader.until("\r\n"), 16);
			if (!(length >= 0)) throw new Error("a chunk has no length");
			yield* exactly(reader, length);
			// Behind the last, trailers may stand, which nobody reads.
			if (length === 0) return;
			await reader.until("\r\n");
		}
	}
	const length = headers.get("content-length");
	if (length !== null && !/^\d+$/.test(length)) throw new Error("the answer's length is none");
	yield* exactly(reader, length === null ? Number.POSITIVE_INFINITY : Number(length));
}

async function* exactly(reader, length) {
	for (let left = length; left > 0; ) {
		const part = await reader.some(left);
		if (part === undefined && left === Number.POSITIVE_INFINITY) return;
		if (part === undefined) throw new Error("the answer breaks off");
		left -= part.length;
		yield part;
	}
}

/** @returns {ReadableStream<Uint8Array>} */
function streamOf(parts, reader) {
	return new ReadableStream({
		async pull(controller) {
			const { done, value } = await parts.next();
			if (!done) return controller.enqueue(value);
			// The connection is in the middle of this answer for the platform, and of no use to another.
			await reader.cancel();
			controller.close();
		},
		cancel: (reason) => reader.cancel(reason),
	});
}

/**
 * The answer behind interim ones.
 *
 * @param {Response} response
 * @returns {Promise<Response>}
 */
export async function finalResponse(response) {
	if (response.status >= 200 || response.status === 101 || response.body === null) return response;
	const reader = new ByteReader(response.body);
	for (;;) {
		const [start, ...lines] = (await reader.until(HEAD_END)).split("\r\n");
		const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(start)?.[1]);
		if (status < 200) continue;
		const headers = new Headers();
		for (const line of lines)
			headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim());
		const isBare = isBodyless(status);
		const body = isBare ? null : streamOf(partsOf(reader, headers), reader);
		if (isBare) await reader.cancel();
		const coding = headers.get("content-encoding");
		if (body === null || coding === null) return new Response(body, { status, headers });
		const format = STREAMS[coding.toLowerCase()];
		// What the platform has not read it cannot undo.
		if (format === undefined) throw new EncodedError(coding);
		headers.delete("content-encoding");
		headers.delete("content-length");
		return new Response(body.pipeThrough(new DecompressionStream(format)), { status, headers });
	}
}
