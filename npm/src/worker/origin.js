// The origin through workerd's `fetch`, with workarounds for it.
//
// It knows nothing of features. Invariants: no request is lost on a connection that the origin closes after
// an error response; no interim response is taken for the final one; a forwarded body ends by its signal.

import { HttpOrigin } from "../gateway/origin.js";
import { cancel } from "../runtime/body.js";
import { finalResponse } from "./interim_responses.js";
import { sendRetryableWrite } from "./retryable_write.js";

/**
 * How long the body of an error response is left unread, in milliseconds. Some servers close the connection after an error without announcing
 * it (uvicorn does), mostly within this time. An unread body keeps the connection from reuse until the close is noticed.
 */
const ERROR_BODY_DELAY_MS = 20;

/**
 * The time within which nearly all such connections are closed: of overloaded Feast 0.67, 99 of 100 within
 * 71 ms and all within 102.
 */
const CLOSING_MS = 100;

const fetchFinal = async (url, init) => finalResponse(await fetch(url, init));

export class WorkerOrigin extends HttpOrigin {
	/** Until when the origin may be closing a connection. */
	#mayBeClosingUntil = 0;

	/**
	 * @param {string | undefined} url
	 * @param {Pick<import("../gateway/origin.js").OriginOptions, "headers" | "redactsErrors">} options
	 */
	constructor(url, options) {
		super(url, { ...options, fetch: fetchFinal, isWorker: true });
	}

	async send(url, { ...init }, isRead) {
		const { method, body, signal } = init;
		// After an interim response to `HEAD`, the final one would be taken for the next request's.
		if (method === "HEAD") {
			const response = await super.send(url, { ...init, method: "GET" }, isRead);
			cancel(response.body);
			return new Response(null, response);
		}
		if (init.isLengthUnknown) Object.assign(init, abortingOnError(body, signal));
		const closingMs = this.#mayBeClosingUntil - Date.now();
		const isRetryable = !isRead && closingMs > 0 && body instanceof Uint8Array && body.length > 0;
		const response = isRetryable
			? await sendRetryableWrite((body) => super.send(url, { ...init, body }, false), body, closingMs, signal)
			: await super.send(url, init, isRead);
		if (response.status >= 400) {
			this.#mayBeClosingUntil = Date.now() + CLOSING_MS;
			await new Promise((resolve) => setTimeout(resolve, ERROR_BODY_DELAY_MS));
		}
		return response;
	}

	async forwardTo(url, request, bytes, grant, options) {
		const reply = await super.forwardTo(url, request, bytes, grant, options);
		return reply.body instanceof ReadableStream ? endingBySignal(reply, request, options.signal) : reply;
	}
}

/**
 * A body of unknown length that aborts its request on an error. workerd would end the chunks as if the body were complete.
 *
 * @param {ReadableStream<Uint8Array>} source
 * @param {AbortSignal} signal of the request
 */
function abortingOnError(source, signal) {
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
				// Closing or failing the stream would end the chunks.
				await new Promise(() => {});
			}
		},
		cancel: (reason) => reader.cancel(reason),
	});
	return { body, signal: AbortSignal.any([signal, broken.signal]) };
}

/**
 * A reply whose body ends by the signal. workerd runs no timer of a request of which only the body is left, but it watches a pipe to its end.
 * A pipe would decode an encoded body, so the request waits for the signal in place of a pipe.
 */
function endingBySignal(reply, { waitUntil }, signal) {
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
