// What an origin's function threw: for its caller, or for the operator and for callers in this process.
//
// Invariant: the text of an exception that is not meant for callers leaves the process by the operator's log alone. The core passes its
// number on to all requests that the failure reaches.

import { messageOf, RequestError } from "../errors.js";
import { redacted } from "./redact.js";

/** How many are kept. A request that learns of an older one has none. */
const MAX_KEPT = 64;

const encoder = new TextEncoder();

export class Exceptions {
	/** @type {Map<number, unknown>} */
	#kept = new Map();
	#last = 0;
	#log;
	#isRedacted;

	/**
	 * @param {import("./error_log.js").ErrorLog} log
	 * @param {boolean} isRedacted whether no text of an exception may leave the function
	 */
	constructor(log, isRedacted) {
		this.#log = log;
		this.#isRedacted = isRedacted;
	}

	/**
	 * Takes an exception: a `RequestError` becomes a response to its caller; any other is logged, and gets a number, 0 if it is redacted.
	 *
	 * @returns {{ response: { status: number, contentType: string, body: Uint8Array } } | { number: number }}
	 */
	take(exception) {
		if (exception instanceof RequestError) {
			const status = exception.status >= 400 && exception.status < 500 ? exception.status : 422;
			const text = { contentType: "text/plain", body: encoder.encode(messageOf(exception)) };
			return { response: { status, ...(this.#isRedacted ? redacted() : text) } };
		}
		this.#log.log(
			"the origin's function",
			this.#isRedacted ? "the error is redacted: `pseudonymize_keys` is set" : exception,
		);
		if (this.#isRedacted) return { number: 0 };
		this.#last = (this.#last % 0xffff_ffff) + 1;
		this.#kept.set(this.#last, exception);
		if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value);
		return { number: this.#last };
	}

	/** The exception of a number; `undefined` if there is none, or if it was forgotten. */
	of(number) {
		return this.#kept.get(number);
	}
}
