// Requests and replies of hosts that have `Request` and `Response`, as plain values.

import { cancel, discard, readWithin, rejoin } from "../runtime/body.js";
import { BodyReservation } from "./body_memory.js";
import { hasNoBody } from "./reply.js";

/** @implements {import("./handler.js").PlainRequest} */
export class WebRequest {
	#request;
	#isFromPlatform;
	isShed = false;
	/** Whether its body broke off, which happens only when its caller disconnects. */
	#isBroken = false;
	/** The parts that were read of a body over its limit. @type {Uint8Array[] | undefined} */
	#parts;
	/** Whether the body is read as a stream. */
	#isStreamed = false;

	/**
	 * @param {Request} request
	 * @param {{ path: string, query: string }} target
	 * @param {object} [options]
	 * @param {string} [options.address]
	 * @param {string} [options.mount]
	 * @param {AbortSignal} [options.signal]
	 * @param {(done: Promise<void>) => void} [options.waitUntil]
	 * @param {boolean} [options.isFromPlatform] whether the platform created it, so that its declared length is enforced and its body is unshared
	 */
	constructor(request, { path, query }, { address = "", mount, signal, waitUntil, isFromPlatform = false } = {}) {
		this.#request = request;
		this.#isFromPlatform = isFromPlatform;
		this.path = path;
		this.query = query;
		this.address = address;
		this.mount = mount;
		this.signal = signal;
		this.waitUntil = waitUntil;
	}

	get method() {
		return this.#request.method;
	}

	get headers() {
		return this.#request.headers;
	}

	get scheme() {
		return new URL(this.#request.url).protocol.slice(0, -1);
	}

	get authority() {
		return new URL(this.#request.url).host;
	}

	get isDisconnected() {
		return this.#isBroken || this.signal?.aborted === true;
	}

	header(name) {
		return this.#request.headers.get(name) ?? undefined;
	}

	get isOverLimit() {
		return this.#parts !== undefined;
	}

	stream() {
		const { body } = this.#request;
		if (!this.#isPartlyRead) return body ?? undefined;
		this.#isStreamed = true;
		return rejoin(this.#parts, body);
	}

	async read(limit) {
		const reservation = new BodyReservation();
		const count = (length) => {
			this.isShed = !reservation.reserve(length);
			if (this.isShed) throw new Error("there is no memory for the body");
		};
		try {
			const { bytes, parts } = await readWithin(this.#request, limit, this.#isFromPlatform, count);
			this.#parts = parts;
			return bytes;
		} catch (error) {
			if (this.isShed) return undefined;
			this.#isBroken = true;
			throw error;
		} finally {
			reservation.release();
		}
	}

	/** Whether some of a body over its limit was read. */
	get #isPartlyRead() {
		return this.#parts?.length > 0;
	}

	/** Discards or cancels an unread body, before the reply is sent. */
	async release() {
		const { bodyUsed, body } = this.#request;
		// Its sender may be slow, so the reply does not wait.
		if (this.isShed) return void this.waitUntil?.(discard(body));
		if (body === null || (this.#isPartlyRead ? this.#isStreamed : bodyUsed)) return;
		if (this.#isFromPlatform) await discard(body);
		// An untouched body stays with the creator of the request.
		else if (this.#isPartlyRead) cancel(body);
	}
}

/** Shared headers as `Headers`. @type {WeakMap<import("./reply.js").HeaderPairs, Headers>} */
const sharedHeaders = new WeakMap();

/** Shared pairs become shared `Headers`, which must not be changed; others stay pairs. */
function headersOf(pairs) {
	if (!Object.isFrozen(pairs)) return pairs;
	let headers = sharedHeaders.get(pairs);
	if (headers === undefined) {
		headers = new Headers(pairs);
		sharedHeaders.set(pairs, headers);
	}
	return headers;
}

/** @param {import("./reply.js").Reply} reply */
export function responseOf({ status, headers, body }) {
	return new Response(hasNoBody(status) ? null : body, { status, headers: headersOf(headers) });
}

/**
 * A response as a reply.
 *
 * @param {Response} response
 * @returns {import("./reply.js").Reply}
 */
export const replyOf = ({ status, headers, body }) => ({ status, headers: [...headers], body });
