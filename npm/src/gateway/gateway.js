// The way of a request through a server: looks at its caller, then serves it, reports, or passes it on. The same for the Worker and for
// `featheredge serve`, over plain values.
//
// Its invariants: whatever a request may do is decided by the same path that is served and passed on; an error's own text is for whoever
// operates the server, and no caller's.

import { Core } from "featheredge-core";
import { FaultError } from "../errors.js";
import { TELEMETRY_PATHS } from "../runtime/telemetry_paths.js";
import { isForFeatures } from "./handler.js";
import { ANYONE } from "./pass.js";
import { brokenBody, fault, noRoom, problem } from "./reply.js";

export class Gateway {
	#access;
	#handler;
	#fault;
	#onError;
	#bodyLimit;

	/**
	 * @param {object} parts
	 * @param {import("./access.js").Access} parts.access
	 * @param {import("./handler.js").Handler} [parts.handler] left out where there is a fault
	 * @param {string} [parts.fault] why the configuration cannot be used
	 * @param {(error: unknown) => void} [parts.onError]
	 */
	constructor({ access, handler, fault, onError = console.error }) {
		this.#access = access;
		this.#handler = handler;
		this.#fault = fault ?? access.fault;
		this.#onError = onError;
		this.#bodyLimit = handler?.bodyLimit({ method: "POST", path: "/v1/features" });
	}

	/**
	 * How much of its body is to be read of a request that needs no look at its caller, and whose reply needs nothing added; `undefined` for
	 * any other. Most requests are of this kind where reading is open, and a host that has the body may call `serve` at once.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 */
	openBodyLimit(request) {
		const isOpen = this.#fault === undefined && this.#access.isOpen;
		return isOpen && isForFeatures(request) && request.header("authorization") === undefined
			? this.#bodyLimit
			: undefined;
	}

	/**
	 * Serves a request that has been let in, at once where memory has its answer.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {Uint8Array} [body]
	 * @param {import("./pass.js").Pass} [pass]
	 * @returns {import("./reply.js").Reply | Promise<import("./reply.js").Reply>}
	 */
	serve(request, body, pass = ANYONE) {
		if (request.isShed) return noRoom();
		try {
			const reply = this.#handler.serve(request, pass, body);
			return reply instanceof Promise ? reply.catch((error) => this.#failed(error, request)) : reply;
		} catch (error) {
			return this.#failed(error, request);
		}
	}

	/** In place of a reply that could not be made. */
	#failed(error, request) {
		// Nobody hears this of a caller who has gone, but one may be there whose body cannot be read on.
		if (request.isGone) return brokenBody();
		// The runtime has told of what the core threw.
		if (!(error instanceof FaultError)) this.#onError(error);
		return fault();
	}

	/**
	 * Serves any request.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @returns {Promise<import("./reply.js").Reply>}
	 */
	async handle(request) {
		const limit = this.openBodyLimit(request);
		try {
			if (limit !== undefined) return await this.serve(request, await request.read(limit));
			const preflight = this.#fault === undefined ? this.#access.preflight(request) : undefined;
			if (preflight !== undefined) return this.#access.shared(request, preflight, true);
			return this.#access.shared(request, await this.#guarded(request));
		} catch (error) {
			return this.#access.shared(request, this.#failed(error, request));
		}
	}

	/** Serves a request if its caller may make it. */
	async #guarded(request) {
		const { method, path } = request;
		// Everyone is told that the configuration cannot be used.
		const right = this.#fault === undefined ? Core.right(method, path) : 0;
		const { pass, refusal } = await this.#access.admit(request, right);
		if (refusal !== undefined || this.#fault !== undefined || TELEMETRY_PATHS.has(path)) {
			if (refusal !== undefined) return refusal;
			if (this.#fault === undefined) return this.#handler.report(request);
			return problem(503, "invalid-configuration", "The configuration cannot be used", this.#fault);
		}
		const limit = this.#handler.bodyLimit(request);
		return this.serve(request, limit > 0 ? await request.read(limit) : undefined, pass);
	}
}
