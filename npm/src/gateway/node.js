// Requests and replies of Node's HTTP server, as plain values.
//
// It creates neither `Request` nor `Response`, and no promise for a reply from memory. Invariants: every
// body is read to its end within a limit, so that the next request on its connection is intact; a streamed
// reply goes out at its reader's pace; the work for a caller ends when it disconnects.

import { MAX_DISCARDED_BYTES } from "../runtime/body.js";
import { BodyReservation } from "./body_memory.js";
import { badTarget, unknownCoding } from "./reply.js";
import { targetOf } from "./target.js";

/** How much of a forwarded body is buffered before its sender is paused, in bytes. */
const BUFFERED_BYTES = 64 * 1024;

/** In place of a malformed target. */
const EMPTY_TARGET = { path: "", query: "" };

/** @implements {import("./handler.js").PlainRequest} */
class NodeRequest {
	#incoming;
	#outgoing;
	#controller;
	/** Detaches the body's stream from its connection, if there is a stream. */
	#release;
	/** The chunks that were read of a body over its limit. @type {Uint8Array[] | undefined} */
	#chunks;
	isShed = false;

	/**
	 * @param {import("node:http").IncomingMessage} incoming
	 * @param {import("node:http").ServerResponse} outgoing
	 * @param {{ path: string, query: string }} target
	 */
	constructor(incoming, outgoing, { path, query }) {
		this.#incoming = incoming;
		this.#outgoing = outgoing;
		this.path = path;
		this.query = query;
	}

	get method() {
		return this.#incoming.method;
	}

	get headers() {
		const { rawHeaders } = this.#incoming;
		return Array.from({ length: rawHeaders.length >> 1 }, (_, at) => [rawHeaders[at * 2], rawHeaders[at * 2 + 1]]);
	}

	get address() {
		return this.#incoming.socket.remoteAddress ?? "";
	}

	/** TLS ends at a proxy. */
	get scheme() {
		return "http";
	}

	get authority() {
		const { url, headers } = this.#incoming;
		// A target in absolute form has priority over `Host` (RFC 9112, 3.2.2).
		return url.startsWith("/") ? headers.host : new URL(url).host;
	}

	get isDisconnected() {
		return this.#outgoing.closed && !this.#outgoing.writableFinished;
	}

	get signal() {
		if (this.#controller === undefined) {
			this.#controller = new AbortController();
			onDisconnect(this.#outgoing, () => this.#controller.abort());
		}
		return this.#controller.signal;
	}

	header(name) {
		return this.#incoming.headers[name];
	}

	get isOverLimit() {
		return this.#chunks !== undefined;
	}

	stream() {
		if (!hasBody(this.#incoming)) return undefined;
		const { stream, release } = streamOf(this.#incoming, this.#chunks);
		this.#release = release;
		return stream;
	}

	/** Whether the body may be read until the reply is sent. */
	get isStreamed() {
		return this.#release !== undefined;
	}

	/** Reads the rest of the body, so that the next request on the connection can be read. */
	release() {
		if (this.#release !== undefined) this.#release();
		else if (this.isOverLimit || (!this.#incoming.complete && hasBody(this.#incoming))) drain(this.#incoming);
	}

	read(limit) {
		return new Promise((resolve) => {
			this.collect(limit, resolve);
		});
	}

	/** Passes the body to `onBody`, as `read` does, without a promise. */
	collect(limit, onBody) {
		const incoming = this.#incoming;
		const declared = Number(incoming.headers["content-length"]);
		const chunks = [];
		let length = 0;
		let reservation;
		const passLimit = () => {
			this.#chunks = chunks;
			onBody();
		};
		if (declared > limit) return passLimit();
		const stop = () => {
			reservation?.release();
			incoming.off("data", onData).off("end", onEnd).pause();
		};
		const onData = (chunk) => {
			chunks.push(chunk);
			length += chunk.length;
			if (length > limit) {
				stop();
				return passLimit();
			}
			// Most bodies have one chunk.
			if (length === declared) return;
			if (reservation === undefined) {
				reservation = new BodyReservation();
				incoming.once("close", () => reservation.release());
			}
			if (reservation.reserve(chunk.length)) return;
			stop();
			this.isShed = true;
			onBody();
		};
		const onEnd = () => {
			reservation?.release();
			onBody(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length));
		};
		incoming.on("data", onData).on("end", onEnd);
	}
}

/** Calls `act` once if the caller disconnects before it has the whole reply. */
function onDisconnect(outgoing, act) {
	const notify = () => {
		if (!outgoing.writableFinished) act();
	};
	if (outgoing.closed) notify();
	else outgoing.once("close", notify);
}

const hasBody = ({ headers }) =>
	headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/**
 * A body as a stream, of which some chunks may have been read, and a function that ends it early. Both that and a cancellation detach the body
 * only: the connection is needed for the reply.
 */
function streamOf(incoming, chunks = []) {
	let onData;
	let fail;
	const detach = () => {
		incoming.off("data", onData);
		onData = undefined;
		drain(incoming);
	};
	const stream = new ReadableStream(
		{
			start(controller) {
				fail = (why) => controller.error(new Error(why));
				// The event came before this listener.
				if (incoming.destroyed) return fail("the caller has disconnected");
				for (const chunk of chunks) controller.enqueue(chunk);
				onData = (chunk) => {
					controller.enqueue(chunk);
					if (controller.desiredSize <= 0) incoming.pause();
				};
				const settle = (act) => () => {
					if (onData !== undefined) act();
					onData = undefined;
				};
				incoming.on(
					"end",
					settle(() => controller.close()),
				);
				incoming.on(
					"close",
					settle(() => fail("the caller has disconnected")),
				);
				incoming.on("data", onData).pause();
			},
			pull: () => void incoming.resume(),
			cancel: detach,
		},
		new ByteLengthQueuingStrategy({ highWaterMark: BUFFERED_BYTES }),
	);
	const release = () => {
		if (onData === undefined) return;
		// A regular end would look like a complete body.
		fail("the reply was sent before the body was read");
		detach();
	};
	return { stream, release };
}

/** Discards the rest of a body, and closes the connection if the body is too long. */
function drain(incoming) {
	let length = 0;
	incoming.on("data", (chunk) => {
		length += chunk.length;
		if (length > MAX_DISCARDED_BYTES) incoming.destroy();
	});
	incoming.resume();
}

/**
 * Shared headers in Node's form, names and values alternating.
 *
 * @type {WeakMap<import("./reply.js").HeaderPairs, string[]>}
 */
const sharedHeaders = new WeakMap();

function flat(pairs) {
	if (!Object.isFrozen(pairs)) return pairs.flat();
	let headers = sharedHeaders.get(pairs);
	if (headers === undefined) {
		headers = pairs.flat();
		sharedHeaders.set(pairs, headers);
	}
	return headers;
}

/** Sends a stream with backpressure. */
async function pump(stream, outgoing) {
	const reader = stream.getReader();
	onDisconnect(outgoing, () => reader.cancel().catch(() => {}));
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done || outgoing.destroyed) break;
			// An error of the stream must end the reply even while its client does not read.
			if (!outgoing.write(value)) await Promise.race([drained(outgoing), reader.closed]);
		}
		outgoing.end();
	} catch {
		// Only the connection's end shows that the reply is incomplete.
		outgoing.destroy();
	}
}

/** Resolves when the reply can be written to again, or its caller has disconnected. */
function drained(outgoing) {
	return new Promise((resolve) => {
		const end = () => {
			outgoing.off("drain", end).off("close", end);
			resolve();
		};
		outgoing.on("drain", end).on("close", end);
	});
}

/**
 * The request listener of a server.
 *
 * @param {import("./gateway.js").Gateway} gateway
 * @returns {(this: import("node:http").Server, incoming: import("node:http").IncomingMessage, outgoing: import("node:http").ServerResponse) => void}
 */
export function listenerOf(gateway) {
	return function serve(incoming, outgoing) {
		const target = targetOf(incoming.url);
		const request = new NodeRequest(incoming, outgoing, target ?? EMPTY_TARGET);
		const send = (reply) => {
			try {
				sendReply(reply, request, outgoing, this.listening);
			} catch (error) {
				// Such as an invalid header of the origin's response, which must not harm other requests.
				console.error(error);
				outgoing.destroy();
			}
		};
		if (target === undefined) return send(badTarget());
		// Node decodes `chunked` only, and would pass other codings on as the body.
		const { "transfer-encoding": coding = "chunked" } = incoming.headers;
		if (coding.toLowerCase() !== "chunked") return send(unknownCoding());
		const limit = gateway.uncheckedBodyLimit(request);
		if (limit === undefined) return void gateway.handle(request).then(send);
		request.collect(limit, (body) => {
			const reply = gateway.serve(request, body);
			if (reply instanceof Promise) reply.then(send);
			else send(reply);
		});
	};
}

/**
 * @param {import("./reply.js").Reply} reply
 * @param {NodeRequest} request
 * @param {import("node:http").ServerResponse} outgoing
 * @param {boolean} isListening whether the connection may serve further requests
 */
function sendReply({ status, headers, body }, request, outgoing, isListening) {
	if (outgoing.destroyed) return void (body instanceof ReadableStream && body.cancel().catch(() => {}));
	// A forwarded body may be read until the reply ends.
	if (request.isStreamed) outgoing.once("finish", () => request.release());
	else request.release();
	const lines = flat(headers);
	const head = isListening ? lines : lines.concat("connection", "close");
	if (body instanceof ReadableStream) {
		outgoing.writeHead(status, head);
		outgoing.flushHeaders();
		if (request.method !== "HEAD") return void pump(body, outgoing);
		body.cancel().catch(() => {});
		return outgoing.end();
	}
	if (body === null) {
		const needsNoLength =
			status === 204 ||
			status === 304 ||
			request.method === "HEAD" ||
			lines.some((line, at) => at % 2 === 0 && line === "content-length");
		return outgoing.writeHead(status, needsNoLength ? head : head.concat("content-length", "0")).end();
	}
	outgoing.writeHead(status, head.concat("content-length", String(body.length)));
	outgoing.end(body);
}
