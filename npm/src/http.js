// What the engine's handler and the Worker say over HTTP alike.

/** The header by which a client tells the requests of one session or user. */
export const SESSION = "featheredge-session";

/** Whether a caller would have lines: its `Accept` names them, and not with a weight of 0. */
export function acceptsLines(headers) {
	const ranges = headers.get("accept")?.split(",") ?? [];
	return ranges.some(
		(range) => /^\s*application\/x-ndjson\s*(;|$)/i.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/i.test(range),
	);
}

/** A problem (RFC 9457) of the native API. */
export function problem(status, name, title, detail, headers = {}) {
	const body = { type: `urn:featheredge:problem:${name}`, title, status, detail };
	return new Response(JSON.stringify(body), {
		status,
		headers: { "content-type": "application/problem+json", ...headers },
	});
}

export const notAllowed = (allow) =>
	problem(405, "method-not-allowed", "The method is not allowed here", `this path answers ${allow}`, { allow });

export const originProblem = (detail) => problem(502, "origin-unreachable", "The origin could not answer", detail);
export const originUnreachable = () => originProblem("the origin cannot be reached");
export const originStatus = (status) => originProblem(`the origin's status ${status} cannot be passed on`);
