// The errors that a caller can do something about, each a class with a code.

/** Any error of this package. Its `code` names it for programs. */
export class FeatheredgeError extends Error {
	constructor(code, message, options) {
		super(message, options);
		this.name = new.target.name;
		this.code = code;
	}
}

/** The configuration, or another option of `createEngine`, cannot be used. */
export class ConfigError extends FeatheredgeError {
	constructor(message, options) {
		super("invalid-configuration", message, options);
	}
}

/** The engine was closed. */
export class ClosedError extends FeatheredgeError {
	constructor() {
		super("closed", "the engine is closed");
	}
}

/** The core met a fault and was replaced; the next request is served by a new one, whose L1 is empty. */
export class FaultError extends FeatheredgeError {
	constructor(options) {
		super("internal", "the core met a fault and was replaced: the request was given up", options);
	}
}

/** The engine answered with a status other than 200; `status` and `body` are what its HTTP API would have sent. */
export class ResponseError extends FeatheredgeError {
	constructor(code, message, status, body, options) {
		super(code, message, options);
		this.status = status;
		this.body = body;
	}
}

/** The request is at fault. */
export class RequestError extends ResponseError {}

/** The origin failed, and no tier could help; where it was a function that threw, that is the `cause`. */
export class OriginError extends ResponseError {}

/** Too many requests wait: `retryAfterSeconds` says when to come back. */
export class OverloadedError extends ResponseError {}

const PROBLEM = "urn:featheredge:problem:";
const decoder = new TextDecoder();

/**
 * The error that a reply is.
 *
 * @param {{ status: number, headers: [string, string][], body: Uint8Array }} reply
 * @param {unknown} [cause] what an origin of ours has thrown
 */
export function errorOf({ status, headers, body }, cause) {
	const text = decoder.decode(body);
	let problem = {};
	try {
		problem = JSON.parse(text);
	} catch {
		// Some origins answer in plain text.
	}
	const header = (name) => headers.find(([known]) => known === name)?.[1];
	const isProblem = typeof problem?.type === "string" && problem.type.startsWith(PROBLEM);
	const code = isProblem ? problem.type.slice(PROBLEM.length) : codeOf(status);
	const message = isProblem ? (problem.detail ?? problem.title) : text || `status ${status}`;
	const retryAfter = header("retry-after");
	const options = cause === undefined ? undefined : { cause };
	if (code === "overloaded") {
		const error = new OverloadedError(code, message, status, body, options);
		error.retryAfterSeconds = Number(retryAfter ?? 1);
		return error;
	}
	const Class = code.startsWith("origin-") ? OriginError : status < 500 ? RequestError : ResponseError;
	return new Class(code, message, status, body, options);
}

/** What Feast's own forms of errors, which bear no code, are called here. */
function codeOf(status) {
	if (status === 429) return "overloaded";
	if (status === 502) return "origin-unreachable";
	if (status === 504) return "origin-timeout";
	if (status === 413) return "over-limit";
	return status < 500 ? "invalid-request" : "origin-error";
}
