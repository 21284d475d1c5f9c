// Requests and replies of hosts that have `Request` and `Response`.

import { cancel, discard, readWithin, rejoin } from "../runtime/body.js";
import { ReadingShare } from "./reading.js";
import { isBodyless } from "./reply.js";

/** @implements {import("./handler.js").PlainRequest} */
export class WebRequest {
	#request;
	#isPlatforms;
	isShed = false;
	/** Whether its body broke off, which only its caller's going does. */
	#isBroken = false;
	/** What was read of a body that is longer than was to be read. @type {Uint8Array[] | undefined} */
	#parts;
	/** Whether somebody reads these, and the rest. */
	#isTaken = false;

	/**
	 * @param {Request} request
	 * @param {{ path: string, query: string }} target
	 * @param {object} [options]
	 * @param {string} [options.address]
	 * @param {string} [options.mount]
	 * @param {AbortSignal} [options.signal]
	 * @param {(done: Promise<void>) => void} [options.waitUntil]
	 * @param {boolean} [options.isPlatforms] whether the platform made it, so that its length is true, and its body nobody's else
	 */
	constructor(request, { path, query }, { address = "", mount, signal, waitUntil, isPlatforms = false } = {}) {
		this.#request = request;
		this.#isPlatforms = isPlatforms;
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

	get isGone() {
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
		if (!this.#hasBegun) return body ?? undefined;
		this.#isTaken = true;
		return rejoin(this.#parts, body);
	}

	async read(limit) {
		const share = new ReadingShare();
		const count = (length) => {
			this.isShed = !share.take(length);
			if (this.isShed) throw new Error("there is no room for the body");
		};
		try {
			const { bytes, parts } = await readWithin(this.#request, limit, this.#isPlatforms, count);
			this.#parts = parts;
			return bytes;
		} catch (error) {
			if (this.isShed) return undefined;
			this.#isBroken = true;
			throw error;
		} finally {
			share.end();
		}
	}

	/** Whether some of a body that is too long was read. */
	get #hasBegun() {
		return this.#parts?.length > 0;
	}

	/** Lets go of a body that nobody has read to its end, before its sender is answered. */
	async release() {
		const { bodyUsed, body } = this.#request;
		// Its sender may take for ever, and is answered meanwhile.
		if (this.isShed) return void this.waitUntil?.(discard(body));
		if (body === null || (this.#hasBegun ? this.#isTaken : bodyUsed)) return;
		if (this.#isPlatforms) await discard(body);
		// One that was not begun is left to whoever made the request.
		else if (this.#hasBegun) cancel(body);
	}
}

/** Headers of many replies, as `Response` wants them. @type {WeakMap<import("./reply.js").HeaderPairs, Headers>} */
const sharedHeaders = new WeakMap();

/** The headers that are shared as such, to be changed by nobody; others as they are. */
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
	return new Response(isBodyless(status) ? null : body, { status, headers: headersOf(headers) });
}

/**
 * A response as a reply.
 *
 * @param {Response} response
 * @returns {import("./reply.js").Reply}
 */
export const replyOf = ({ status, headers, body }) => ({ status, headers: [...headers], body });
