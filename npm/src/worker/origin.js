// The origin as workerd's `fetch` reaches it: with what that does not do by itself.
//
// Its invariants: no request is lost on a connection that the origin closes behind another's error; no interim answer is taken for the answer;
// what is passed back ends by its signal.

import { HttpOrigin } from "../gateway/origin.js";
import { cancel } from "../runtime/body.js";
import { sendHeldBack } from "./held_write.js";
import { finalResponse } from "./interim.js";

/**
 * A server that closes the connection behind an error (uvicorn does, and tells nobody) has mostly done so after this, in milliseconds. So long
 * an error's body is left unread: until it is read its connection serves nothing else, and then it is seen to be closed.
 */
const MOSTLY_CLOSED_MILLIS = 20;

/** The same, of nearly all: Feast 0.67 under more load than it can take was seen to close 99 of 100 within 71 ms, and all within 102. */
const CLOSED_MILLIS = 100;

const fetchFinal = async (url, init) => finalResponse(await fetch(url, init));

export class WorkerOrigin extends HttpOrigin {
	/** Until when a connection to it may be one that it is about to close. */
	#doubtfulUntil = 0;

	/**
	 * @param {string | undefined} url
	 * @param {Pick<import("../gateway/origin.js").OriginOptions, "headers" | "isPrivate">} options
	 */
	constructor(url, options) {
		super(url, { ...options, fetch: fetchFinal, isWorker: true });
	}

	async call(url, { ...init }, isRead) {
		const { method, body, signal } = init;
		// Of an interim answer to `HEAD` nothing is seen but that there was one, and the answer would be taken for the next request's.
		if (method === "HEAD") {
			const answer = await super.call(url, { ...init, method: "GET" }, isRead);
			cancel(answer.body);
			return new Response(null, answer);
		}
		if (init.isLengthUnknown) Object.assign(init, breakingOff(body, signal));
		const doubtMillis = this.#doubtfulUntil - Date.now();
		const isHeldBack = !isRead && doubtMillis > 0 && body instanceof Uint8Array && body.length > 0;
		const answer = isHeldBack
			? await sendHeldBack((body) => super.call(url, { ...init, body }, false), body, doubtMillis, signal)
			: await super.call(url, init, isRead);
		if (answer.status >= 400) {
			this.#doubtfulUntil = Date.now() + CLOSED_MILLIS;
			await new Promise((resolve) => setTimeout(resolve, MOSTLY_CLOSED_MILLIS));
		}
		return answer;
	}

	async passTo(url, request, bytes, pass, options) {
		const reply = await super.passTo(url, request, bytes, pass, options);
		return reply.body instanceof ReadableStream ? watched(reply, request, options.signal) : reply;
	}
}

/**
 * A body of unknown length whose request breaks off with it. workerd would end its chunks as if it had been whole.
 *
 * @param {ReadableStream<Uint8Array>} source
 * @param {AbortSignal} signal of the request
 */
function breakingOff(source, signal) {
	const broken = new AbortController();
	const reader = source.getReader();
	const body = new ReadableStream({
		async pull(controller) {
			try {
				const { done, value } = await reader.read();
				if (done) controller.close();
				else controller.enqueue(value);
			} catch {
				broken.abort();
				// Whatever ended it would be taken for its end.
				await new Promise(() => {});
			}
		},
		cancel: (reason) => reader.cancel(reason),
	});
	return { body, signal: AbortSignal.any([signal, broken.signal]) };
}

/**
 * A reply whose body ends by the signal, though workerd looks at no timer once nothing but the body is left of a request.
 *
 * A pipe is looked after until it ends. It would undo the body's coding, so a coded body is left alone, and the request waits for the signal.
 */
function watched(reply, { waitUntil }, signal) {
	const headers = new Headers(reply.headers);
	if (headers.has("content-encoding")) {
		const ended = new Promise((resolve) => {
			if (signal.aborted) resolve();
			else signal.addEventListener("abort", resolve, { once: true });
		});
		waitUntil?.(ended);
		return reply;
	}
	const length = headers.get("content-length");
	const { readable, writable } =
		length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
	reply.body.pipeTo(writable, { signal }).catch(() => {});
	return { ...reply, body: readable };
}
