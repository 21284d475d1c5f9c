// The pipeline of a request through a server, over plain values: checks its caller, then serves it, reports
// telemetry, or forwards it. The Worker and `featheredge serve` share it.
//
// It knows no host. Invariants: access is decided by the same normalized path that is served and forwarded;
// an exception's message reaches the operator's log, and no caller.

import { Core } from "featheredge-core";
import { FaultError } from "../errors.js";
import { TELEMETRY_PATHS } from "../runtime/telemetry_paths.js";
import { ANONYMOUS } from "./grant.js";
import { isFeatureRequest } from "./handler.js";
import { internalError, malformedBody, problem, tooManyPendingBodies } from "./reply.js";

export class Gateway {
	#access;
	#handler;
	#fault;
	#onError;
	#bodyLimit;

	/**
	 * @param {object} parts
	 * @param {import("./access.js").Access} parts.access
	 * @param {import("./handler.js").Handler} [parts.handler] omitted if there is a fault
	 * @param {string} [parts.fault] why the configuration is invalid
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
	 * The body limit of a request that needs no check of its caller, and whose reply needs no further headers; `undefined` for any other. Most
	 * requests are of this kind where anonymous callers may read. Once a host has the body it may call `serve` directly.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 */
	uncheckedBodyLimit(request) {
		const isReadUnchecked = this.#fault === undefined && this.#access.isReadUnchecked;
		return isReadUnchecked && isFeatureRequest(request) && request.header("authorization") === undefined
			? this.#bodyLimit
			: undefined;
	}

	/**
	 * Serves an admitted request, synchronously if memory has its response.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {Uint8Array} [body]
	 * @param {import("./grant.js").Grant} [grant]
	 * @returns {import("./reply.js").Reply | Promise<import("./reply.js").Reply>}
	 */
	serve(request, body, grant = ANONYMOUS) {
		if (request.isShed) return tooManyPendingBodies();
		try {
			const reply = this.#handler.serve(request, grant, body);
			return reply instanceof Promise ? reply.catch((error) => this.#failed(error, request)) : reply;
		} catch (error) {
			return this.#failed(error, request);
		}
	}

	/** The reply in place of one that failed. */
	#failed(error, request) {
		// A disconnected caller receives nothing, but a caller whose body is malformed may still be there.
		if (request.isDisconnected) return malformedBody();
		// The runtime has logged the core's exceptions.
		if (!(error instanceof FaultError)) this.#onError(error);
		return internalError();
	}

	/**
	 * Serves any request.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @returns {Promise<import("./reply.js").Reply>}
	 */
	async handle(request) {
		const limit = this.uncheckedBodyLimit(request);
		try {
			if (limit !== undefined) return await this.serve(request, await request.read(limit));
			const preflight = this.#fault === undefined ? this.#access.preflight(request) : undefined;
			if (preflight !== undefined) return this.#access.withCors(request, preflight, true);
			return this.#access.withCors(request, await this.#authorizeAndServe(request));
		} catch (error) {
			return this.#access.withCors(request, this.#failed(error, request));
		}
	}

	/** Serves a request whose caller has the scope for it. */
	async #authorizeAndServe(request) {
		const { method, path } = request;
		// Any caller learns that the configuration is invalid.
		const scope = this.#fault === undefined ? Core.auth_scope(method, path) : 0;
		const { grant, refusal } = await this.#access.admit(request, scope);
		if (refusal !== undefined || this.#fault !== undefined || TELEMETRY_PATHS.has(path)) {
			if (refusal !== undefined) return refusal;
			if (this.#fault === undefined) return this.#handler.report(request);
			return problem(503, "invalid-configuration", "The configuration cannot be used", this.#fault);
		}
		const limit = this.#handler.bodyLimit(request);
		return this.serve(request, limit > 0 ? await request.read(limit) : undefined, grant);
	}
}
