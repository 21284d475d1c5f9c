// The package's errors: a class and a code for each that a caller can handle.

/** Any error of this package. Its `code` names it for programs. */
export class FeatheredgeError extends Error {
	constructor(code, message, options) {
		super(message, options);
		this.name = new.target.name;
		this.code = code;
	}
}

/** The configuration, or another option of `createEngine`, is invalid. */
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

/** The core failed and was replaced; the next request is served by a new one, whose L1 is empty. */
export class FaultError extends FeatheredgeError {
	constructor(options) {
		super("internal", "the core failed and was replaced; the request was aborted", options);
	}
}

/** The response has a status other than 200; `status` and `body` are those of the HTTP API. */
export class ResponseError extends FeatheredgeError {
	constructor(code, message, status = 422, body = new Uint8Array(), options = undefined) {
		super(code, message, options);
		this.status = status;
		this.body = body;
	}
}

/** The request is at fault. An origin's function may throw one, to tell the caller so. */
export class RequestError extends ResponseError {}

/**
 * The origin failed, and no tier had the values; `cause` is the exception of an origin that is a function.
 */
export class OriginError extends ResponseError {}

/** The request was shed; `retryAfterSeconds` says when to retry. */
export class OverloadedError extends ResponseError {}

/** The message of anything that was thrown. */
export function messageOf(error) {
	try {
		return String(error?.message ?? error);
	} catch {
		return "an error without a message";
	}
}

const PROBLEM = "urn:featheredge:problem:";
const decoder = new TextDecoder();

/**
 * The error of a reply.
 *
 * @param {{ status: number, headers: [string, string][], body: Uint8Array }} reply
 * @param {unknown} [cause] the exception of an origin that is a function
 */
export function errorOf({ status, headers, body }, cause) {
	const text = decoder.decode(body);
	let problem = {};
	try {
		problem = JSON.parse(text);
	} catch {
		// Some origins respond in plain text.
	}
	const header = (name) => headers.find(([known]) => known === name)?.[1];
	const isProblem = typeof problem?.type === "string" && problem.type.startsWith(PROBLEM);
	const code = isProblem ? problem.type.slice(PROBLEM.length) : codeOf(status);
	const told = isProblem ? (problem.detail ?? problem.title) : text || `status ${status}`;
	const message = cause === undefined ? told : `${told}: ${messageOf(cause)}`;
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

/** The codes for Feast's forms of errors, which have none. */
function codeOf(status) {
	if (status === 429) return "overloaded";
	if (status === 502) return "origin-unreachable";
	if (status === 504) return "origin-timeout";
	if (status === 413) return "over-limit";
	return status < 500 ? "invalid-request" : "origin-error";
}
