// Skips interim responses (RFC 9110, 15.2). workerd takes an interim response for the final one, and the
// final one for its body. For `HEAD` it has no body, so the final response is lost: `WorkerOrigin` sends
// `GET` instead.
//
// It knows nothing of the origin. Invariant: a body has its declared length, or breaks off.

import { hasNoBody } from "../gateway/reply.js";
import { decompressionStream } from "../runtime/body.js";

/** Bytes as a text of one character each, so that offsets are equal in both. */
const latin1 = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** The longest head of a response, in bytes. */
const MAX_HEAD_BYTES = 64 * 1024;

const HEAD_END = "\r\n\r\n";

/** Reads a stream by lengths that are independent of its chunks. */
class ByteReader {
	#reader;
	#bytes = new Uint8Array();

	/** @param {ReadableStream<Uint8Array>} stream */
	constructor(stream) {
		this.#reader = stream.getReader();
	}

	/** Reads the next chunk; returns whether there was one. */
	async #fill() {
		const { done, value } = await this.#reader.read();
		if (done) return false;
		const bytes = new Uint8Array(this.#bytes.length + value.length);
		bytes.set(this.#bytes);
		bytes.set(value, this.#bytes.length);
		this.#bytes = bytes;
		return true;
	}

	/** The text before `end`, which is consumed too. */
	async until(end) {
		for (;;) {
			const at = latin1(this.#bytes.subarray(0, MAX_HEAD_BYTES)).indexOf(end);
			if (at >= 0) return latin1(this.#take(at + end.length)).slice(0, -end.length);
			if (this.#bytes.length >= MAX_HEAD_BYTES || !(await this.#fill()))
				throw new Error("the response breaks off, or its head is too long");
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

/** The chunks of a body, as its head frames it (RFC 9112, 6.3). */
async function* bodyChunks(reader, headers) {
	if (/chunked\s*$/i.test(headers.get("transfer-encoding") ?? "")) {
		for (;;) {
			const length = Number.parseInt(await reader.until("\r\n"), 16);
			if (!(length >= 0)) throw new Error("a chunk has no length");
			yield* exactly(reader, length);
			// Trailers may follow the last chunk; they are ignored.
			if (length === 0) return;
			await reader.until("\r\n");
		}
	}
	const length = headers.get("content-length");
	if (length !== null && !/^\d+$/.test(length)) throw new Error("the response's length is invalid");
	yield* exactly(reader, length === null ? Number.POSITIVE_INFINITY : Number(length));
}

async function* exactly(reader, length) {
	for (let left = length; left > 0; ) {
		const part = await reader.some(left);
		if (part === undefined && left === Number.POSITIVE_INFINITY) return;
		if (part === undefined) throw new Error("the response breaks off");
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
			// To the platform the connection is in the middle of a response, so it cannot be reused.
			await reader.cancel();
			controller.close();
		},
		cancel: (reason) => reader.cancel(reason),
	});
}

/**
 * The final response after interim ones.
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
		const isBare = hasNoBody(status);
		const body = isBare ? null : streamOf(bodyChunks(reader, headers), reader);
		if (isBare) await reader.cancel();
		const coding = headers.get("content-encoding");
		if (body === null || coding === null) return new Response(body, { status, headers });
		// The platform has not parsed this head, so it has not decoded the body.
		const decoder = decompressionStream(coding);
		headers.delete("content-encoding");
		headers.delete("content-length");
		return new Response(body.pipeThrough(decoder), { status, headers });
	}
}
