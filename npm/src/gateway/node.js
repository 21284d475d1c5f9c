// Requests and replies of Node's HTTP server. It makes neither `Request` nor `Response`, and no promise for what memory answers.
//
// Its invariants: a body is read within a limit, whether anybody wants it or not, so that what follows on its connection is not harmed; a
// reply in parts goes out at the pace at which it is read; what belongs to a caller who has gone ends with it.

import { LINGER_BYTES } from "../runtime/body.js";
import { ReadingShare } from "./reading.js";
import { badTarget, unknownCoding } from "./reply.js";
import { targetOf } from "./target.js";

/** How much of a body waits to be passed on before its sender is held back, in bytes. */
const BUFFERED_BYTES = 64 * 1024;

/** What stands for the target of a request that is refused for it. */
const NOWHERE = { path: "", query: "" };

/** @implements {import("./handler.js").PlainRequest} */
class NodeRequest {
	#incoming;
	#outgoing;
	#controller;
	/** What lets go of the body, where it is a stream. */
	#release;
	/** What was read of a body that is longer than was to be read. @type {Uint8Array[] | undefined} */
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

	/** Who has TLS has it before us. */
	get scheme() {
		return "http";
	}

	get authority() {
		const { url, headers } = this.#incoming;
		// A target that is a whole URL goes before `Host` (RFC 9112, 3.2.2).
		return url.startsWith("/") ? headers.host : new URL(url).host;
	}

	get isGone() {
		return this.#outgoing.closed && !this.#outgoing.writableFinished;
	}

	get signal() {
		if (this.#controller === undefined) {
			this.#controller = new AbortController();
			onceGone(this.#outgoing, () => this.#controller.abort());
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

	/** Whether somebody may read on its body until the reply is sent. */
	get isStreamed() {
		return this.#release !== undefined;
	}

	/** Reads what nobody has read of its body: what follows on the connection comes after it. */
	release() {
		if (this.#release !== undefined) this.#release();
		else if (this.isOverLimit || (!this.#incoming.complete && hasBody(this.#incoming))) drain(this.#incoming);
	}

	read(limit) {
		return new Promise((resolve) => {
			this.collect(limit, resolve);
		});
	}

	/** Gives the body to `take`, as `read` does, and without a promise. */
	collect(limit, take) {
		const incoming = this.#incoming;
		const announced = Number(incoming.headers["content-length"]);
		const chunks = [];
		let length = 0;
		let share;
		const tooLong = () => {
			this.#chunks = chunks;
			take();
		};
		if (announced > limit) return tooLong();
		const stop = () => {
			share?.end();
			incoming.off("data", onData).off("end", onEnd).pause();
		};
		const onData = (chunk) => {
			chunks.push(chunk);
			length += chunk.length;
			if (length > limit) {
				stop();
				return tooLong();
			}
			// Most come in one piece.
			if (length === announced) return;
			if (share === undefined) {
				share = new ReadingShare();
				incoming.once("close", () => share.end());
			}
			if (share.take(chunk.length)) return;
			stop();
			this.isShed = true;
			take();
		};
		const onEnd = () => {
			share?.end();
			take(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length));
		};
		incoming.on("data", onData).on("end", onEnd);
	}
}

/** Calls back once, if the caller goes before it has the whole reply. */
function onceGone(outgoing, act) {
	const look = () => {
		if (!outgoing.writableFinished) act();
	};
	if (outgoing.closed) look();
	else outgoing.once("close", look);
}

const hasBody = ({ headers }) =>
	headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/**
 * A body as a stream, of which some chunks may have been read, and what ends it before the body does. Whoever does that, or cancels it, lets go of the body alone: the connection is
 * needed for the reply.
 */
function streamOf(incoming, chunks = []) {
	let onData;
	let fail;
	const letGo = () => {
		incoming.off("data", onData);
		onData = undefined;
		drain(incoming);
	};
	const stream = new ReadableStream(
		{
			start(controller) {
				fail = (why) => controller.error(new Error(why));
				// Its end was told before anybody listened.
				if (incoming.destroyed) return fail("the caller has gone");
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
					settle(() => fail("the caller has gone")),
				);
				incoming.on("data", onData).pause();
			},
			pull: () => void incoming.resume(),
			cancel: letGo,
		},
		new ByteLengthQueuingStrategy({ highWaterMark: BUFFERED_BYTES }),
	);
	const release = () => {
		if (onData === undefined) return;
		// To end it would tell whoever reads on that this was all.
		fail("nobody reads the rest");
		letGo();
	};
	return { stream, release };
}

/** Reads the rest of a body, and ends the connection where it does not end. */
function drain(incoming) {
	let length = 0;
	incoming.on("data", (chunk) => {
		length += chunk.length;
		if (length > LINGER_BYTES) incoming.destroy();
	});
	incoming.resume();
}

/** Headers of many replies, names and values by turns. @type {WeakMap<import("./reply.js").HeaderPairs, string[]>} */
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

/** Sends a stream at the pace at which it is read. */
async function pump(stream, outgoing) {
	const reader = stream.getReader();
	onceGone(outgoing, () => reader.cancel().catch(() => {}));
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done || outgoing.destroyed) break;
			// What fails meanwhile ends the reply, though its reader does not read.
			if (!outgoing.write(value)) await Promise.race([roomIn(outgoing), reader.closed]);
		}
		outgoing.end();
	} catch {
		// That it was not all is told by the connection's end.
		outgoing.destroy();
	}
}

/** Resolves once a reply takes more, or its caller has gone. */
function roomIn(outgoing) {
	return new Promise((resolve) => {
		const end = () => {
			outgoing.off("drain", end).off("close", end);
			resolve();
		};
		outgoing.on("drain", end).on("close", end);
	});
}

/**
 * What serves the requests of a server.
 *
 * @param {import("./gateway.js").Gateway} gateway
 * @returns {(this: import("node:http").Server, incoming: import("node:http").IncomingMessage, outgoing: import("node:http").ServerResponse) => void}
 */
export function listenerOf(gateway) {
	return function serve(incoming, outgoing) {
		const target = targetOf(incoming.url);
		const request = new NodeRequest(incoming, outgoing, target ?? NOWHERE);
		const send = (reply) => {
			try {
				sendReply(reply, request, outgoing, this.listening);
			} catch (error) {
				// Such as a header of the origin's that HTTP does not have: nobody else is to be harmed by it.
				console.error(error);
				outgoing.destroy();
			}
		};
		if (target === undefined) return send(badTarget());
		// Node takes off `chunked` alone, and would give what is beneath for the body.
		const { "transfer-encoding": coding = "chunked" } = incoming.headers;
		if (coding.toLowerCase() !== "chunked") return send(unknownCoding());
		const limit = gateway.openBodyLimit(request);
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
	// Who was passed a body may go on with it until the reply has ended, and then does no more.
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
		const isAnnounced =
			status === 204 ||
			status === 304 ||
			request.method === "HEAD" ||
			lines.some((line, at) => at % 2 === 0 && line === "content-length");
		return outgoing.writeHead(status, isAnnounced ? head : head.concat("content-length", "0")).end();
	}
	outgoing.writeHead(status, head.concat("content-length", String(body.length)));
	outgoing.end(body);
}
