// The commands' client of HTTP. A server may be anybody's: an answer has a time and a size, redirects are not followed, and the operator's
// token goes to the URL that was given and nowhere else.

import { nodeFetch } from "../src/gateway/node_fetch.js";
import { checked, object, parseJson } from "./answer.js";
import { EXIT, Failure } from "./failure.js";
import { bearerOf } from "./token.js";

/** The largest answer, decoded, in bytes. */
const MAX_BYTES = 64 << 20;
/** How much is read of an error response, in bytes, and shown of its reason, in characters. */
const MAX_PROBLEM_BYTES = 64 << 10;
const MAX_REASON = 500;

const OPERATOR_TOKEN = "FEATHEREDGE_OPERATOR_TOKEN";

/** An error response of a server. */
export class ServerError extends Failure {
	constructor(url, status, problem, detail) {
		super(`${url} answered ${status}: ${detail}`, EXIT.refused);
		this.status = status;
		this.problem = problem;
	}
}

/** The URL of a path of a server; what was given may have credentials, which no message repeats. */
function urlOf(server, path) {
	const url = URL.canParse(server) ? new URL(server) : undefined;
	if (!/^https?:$/.test(url?.protocol ?? "")) {
		throw new Failure("`--url` is no URL of a server: write one such as https://features.example.com", EXIT.usage);
	}
	if (url.username !== "" || url.password !== "") {
		throw new Failure(`\`--url\` has credentials: give a token by ${OPERATOR_TOKEN} instead`, EXIT.usage);
	}
	return new URL(`${url.origin}${url.pathname.replace(/\/+$/, "")}${path}`);
}

/** The bytes of a body, or its beginning if `maxBytes` are passed and `isCut`. */
async function readBody(body, { maxBytes, isCut }) {
	const chunks = [];
	let size = 0;
	// Leaving the loop early closes the connection.
	for await (const chunk of body) {
		chunks.push(chunk);
		size += chunk.length;
		if (size > maxBytes) {
			if (isCut) break;
			throw new RangeError(`more than ${maxBytes >> 20} MiB`);
		}
	}
	return Buffer.concat(chunks);
}

function reasonOf(text) {
	let problem;
	try {
		problem = parseJson(text);
	} catch (error) {
		// A proxy may respond in another format.
		return { reason: error.message === "not JSON" ? text.slice(0, MAX_REASON) : error.message };
	}
	const reason = problem?.detail ?? problem?.title;
	return { problem, reason: typeof reason === "string" ? reason.slice(0, MAX_REASON) : "no reason given" };
}

/** The reason why there is no response. */
const causeOf = (error) =>
	error.cause?.errors?.[0]?.message || error.cause?.message || error.cause?.code || error.message;

/** The status, the target of a redirect, and the body of a response, all of it within a time in milliseconds. */
async function answerWithin(timeout, url, init) {
	const controller = new AbortController();
	let timer;
	// A body may ignore the signal, or end by it as if it were whole.
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => {
			reject(new Failure(`${url} did not answer within ${timeout / 1_000} s`));
			controller.abort();
		}, timeout);
	});
	let response;
	const answer = async () => {
		response = await nodeFetch(url.href, { ...init, signal: controller.signal });
		const { status, headers, body } = response;
		const isCut = status !== 200;
		const bytes = await readBody(body, { maxBytes: isCut ? MAX_PROBLEM_BYTES : MAX_BYTES, isCut });
		return { status, location: headers.get("location"), bytes };
	};
	try {
		return await Promise.race([late, answer()]);
	} catch (error) {
		if (error instanceof Failure) throw error;
		if (error instanceof RangeError) throw new Failure(`${url} answered ${error.message}`, EXIT.refused);
		if (response !== undefined) throw new Failure(`the answer of ${url} broke off: ${causeOf(error)}`);
		throw new Failure(`cannot reach ${url}: ${causeOf(error)}`);
	} finally {
		clearTimeout(timer);
	}
}

/**
 * Sends a request to a server, a POST if it has a body.
 *
 * @param {string} server
 * @param {string} path
 * @param {{ body?: string, timeout: number, shape?: Parameters<typeof checked>[1] }} options `timeout` of the whole answer, in
 *   milliseconds; `shape` of its value
 * @returns {Promise<{ text: string, value: any }>} of a successful response
 */
export async function send(server, path, { body, timeout, shape = object({}) }) {
	const url = urlOf(server, path);
	const headers = new Headers({ accept: "application/json" });
	const token = bearerOf(OPERATOR_TOKEN, url);
	if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
	if (body !== undefined) headers.set("content-type", "application/json");
	const method = body === undefined ? "GET" : "POST";
	const { status, location, bytes } = await answerWithin(timeout, url, {
		method,
		headers,
		body: body === undefined ? undefined : Buffer.from(body),
	});
	if (location !== null && status >= 300 && status < 400) {
		const reason = `it redirects to ${location.slice(0, MAX_REASON)}; give the URL of the server itself`;
		throw new ServerError(url, status, undefined, reason);
	}
	if (status !== 200) {
		const { problem, reason } = reasonOf(new TextDecoder().decode(bytes));
		throw new ServerError(url, status, problem, reason);
	}
	const text = textOf(bytes, url);
	return { text, value: checked(valueIn(text, url), shape, url) };
}

function textOf(bytes, url) {
	try {
		return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
	} catch {
		throw new Failure(`${url} gave something else than Featheredge does: it is not UTF-8`, EXIT.refused);
	}
}

function valueIn(text, url) {
	try {
		return parseJson(text);
	} catch (error) {
		throw new Failure(`${url} gave something else than Featheredge does: it is ${error.message}`, EXIT.refused);
	}
}
