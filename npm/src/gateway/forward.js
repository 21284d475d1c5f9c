// Requests that pass through to the origin: its response, or the reply in place of one.

import { cancel } from "../runtime/body.js";
import { redacted } from "../runtime/redact.js";
import { isUnsent } from "../runtime/retry.js";
import { originFailed, originTimedOut, originUnreachable, writeFailed } from "./reply.js";

/** Headers of an error that cannot quote the request. */
const SAFE_ERROR_HEADERS = new Set(["allow", "retry-after", "www-authenticate"]);

/** A response of the origin, redacted if it is an error or a redirect, which may quote the request. */
function redactReply(reply) {
	const { status, headers, body } = reply;
	// A body in bytes is Featheredge's own.
	if (status < 300 || status === 304 || body instanceof Uint8Array) return reply;
	cancel(body);
	const { contentType, body: text } = redacted();
	const kept = headers.filter(([name]) => SAFE_ERROR_HEADERS.has(name));
	return { status, headers: [["content-type", contentType], ...kept], body: body === null ? null : text };
}

/**
 * Forwards a request to the origin.
 *
 * @param {import("../runtime/runtime.js").Runtime} runtime
 * @param {string} base
 * @param {import("./handler.js").PlainRequest} request
 * @param {Uint8Array | undefined} body
 * @param {import("./grant.js").Grant} grant
 * @param {{ signal: AbortSignal, isRead: boolean }} options
 * @returns {Promise<import("./reply.js").Reply & { cause?: unknown }>} with the `cause` of a failure, for callers in this process
 */
export async function forward(runtime, base, request, body, grant, options) {
	const { origin, exceptions, redactsErrors } = runtime;
	try {
		const reply = await origin.forward(base, request, body, grant, options);
		return redactsErrors ? redactReply(reply) : reply;
	} catch (error) {
		if (!options.isRead) return writeFailed(isUnsent(error));
		if (options.signal.aborted) return originTimedOut();
		if (origin.url !== undefined) return { ...originUnreachable(), cause: redactsErrors ? undefined : error };
		const { response, number } = exceptions.take(error);
		if (response === undefined) return { ...originFailed(), cause: exceptions.of(number) };
		return { status: response.status, headers: [["content-type", response.contentType]], body: response.body };
	}
}
