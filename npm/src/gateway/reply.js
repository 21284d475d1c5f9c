// Replies over HTTP in plain values, and those that the gateway words itself.

/**
 * @typedef {readonly (readonly [name: string, value: string])[]} HeaderPairs
 *
 * @typedef {object} Reply
 * @property {number} status
 * @property {HeaderPairs} headers frozen where many replies share them
 * @property {Uint8Array | ReadableStream<Uint8Array> | null} body
 * @property {boolean} [isUnsent] whether the request that it stands for was certainly never sent
 */

const encoder = new TextEncoder();

/** Whether a reply of this status can be sent: `Response` takes no other, and HTTP has no class for them. */
export const isSendable = (status) => status >= 200 && status <= 599;

/** Whether a reply of this status has no body, whoever words it (RFC 9110, 6.4.1). */
export const isBodyless = (status) => status === 204 || status === 205 || status === 304;

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
	problem(405, "method-not-allowed", "The method is not allowed here", `this path answers ${allow}`, { allow });

export const notFound = (detail) => problem(404, "not-found", "There is nothing at this path", detail);

export const badTarget = () =>
	problem(400, "invalid-request", "The request is malformed", "its target is neither a path nor a URL");

export const brokenBody = () =>
	problem(
		400,
		"invalid-request",
		"The request is malformed",
		"its body breaks off, or is not in the form that HTTP has",
	);

export const noRoom = () =>
	problem(503, "overloaded", "Too many requests wait", "more bodies are being read than there is room for", {
		"retry-after": "1",
	});

export const unknownCoding = () =>
	problem(501, "invalid-request", "The request is malformed", "the only transfer coding that is read is `chunked`");

export const originProblem = (detail) => problem(502, "origin-unreachable", "The origin could not answer", detail);
export const originUnreachable = () => originProblem("the origin cannot be reached");

const originTimeout = (detail) => problem(504, "origin-timeout", "The origin did not answer in time", detail);
export const originLate = () => originTimeout("the origin did not answer within `deadlines.default_ms`");
export const writeLate = () => originTimeout("the origin did not answer in time; whether it has written is not known");
/**
 * In place of the origin's answer to a write.
 *
 * @param {boolean} isUnsent whether the origin certainly never got it
 * @returns {Reply}
 */
export const writeLost = (isUnsent) => ({
	...originProblem(
		isUnsent
			? "the origin cannot be reached, and nothing was written"
			: "the origin has not answered, and whether it has written is not known",
	),
	isUnsent,
});

export const originStatus = (status) => originProblem(`the origin's status ${status} cannot be passed on`);

/** What is answered where the core met a fault. */
export const fault = () =>
	problem(500, "internal", "Internal error", "the request met a fault and was given up; the next is served");
