// Replies over HTTP in plain values, and the gateway's own replies.

/**
 * @typedef {readonly (readonly [name: string, value: string])[]} HeaderPairs
 *
 * @typedef {object} Reply
 * @property {number} status
 * @property {HeaderPairs} headers frozen if many replies share them
 * @property {Uint8Array | ReadableStream<Uint8Array> | null} body
 * @property {boolean} [isUnsent] whether the forwarded request was certainly never sent
 */

const encoder = new TextEncoder();

/** Whether a reply can have this status: `Response` accepts no other. */
export const isSendable = (status) => status >= 200 && status <= 599;

/** Whether a reply of this status has no body (RFC 9110, 6.4.1). */
export const hasNoBody = (status) => status === 204 || status === 205 || status === 304;

/**
 * A problem (RFC 9457) of the native API.
 *
 * @returns {Reply}
 */
export function problem(status, name, title, detail, headers = {}) {
	const body = { type: `urn:featheredge:problem:${name}`, title, status, detail };
	return {
		status,
		headers: [["content-type", "application/problem+json"], ["cache-control", "no-store"], ...Object.entries(headers)],
		body: encoder.encode(JSON.stringify(body)),
	};
}

export const notAllowed = (allow) =>
	problem(405, "method-not-allowed", "The method is not allowed here", `this path allows ${allow}`, { allow });

export const notFound = (detail) => problem(404, "not-found", "There is nothing at this path", detail);

export const badTarget = () =>
	problem(400, "invalid-request", "The request is malformed", "its target is neither a path nor a URL");

export const malformedBody = () =>
	problem(400, "invalid-request", "The request is malformed", "its body breaks off, or is not valid HTTP");

export const tooManyPendingBodies = () =>
	problem(503, "overloaded", "Too many requests are pending", "there is no memory for another body", {
		"retry-after": "1",
	});

export const unknownCoding = () =>
	problem(501, "invalid-request", "The request is malformed", "the only supported transfer coding is `chunked`");

export const originProblem = (detail) => problem(502, "origin-unreachable", "The origin could not answer", detail);
/** In place of a response of an origin that is a function, which threw. */
export const originFailed = () =>
	problem(500, "origin-error", "The origin could not answer", "the origin's function failed");
export const originUnreachable = () => originProblem("the origin cannot be reached");

const originTimeout = (detail) => problem(504, "origin-timeout", "The origin did not respond in time", detail);
export const originTimedOut = () => originTimeout("the origin did not respond within `deadlines.default_ms`");
export const writeTimedOut = () => originTimeout("the origin did not respond in time; it is unknown whether it wrote");
/**
 * In place of the origin's response to a write.
 *
 * @param {boolean} isUnsent whether the origin certainly never received it
 * @returns {Reply}
 */
export const writeFailed = (isUnsent) => ({
	...originProblem(
		isUnsent
			? "the origin cannot be reached, and nothing was written"
			: "the origin did not respond; it is unknown whether it wrote",
	),
	isUnsent,
});

export const invalidOriginStatus = (status) => originProblem(`the origin's status ${status} cannot be forwarded`);

/** In place of a reply of a core that failed. */
export const internalError = () =>
	problem(500, "internal", "Internal error", "the core failed and was replaced; the next request is served");
