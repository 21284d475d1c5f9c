// `fetch` over Node's HTTP client, with what the origin is asked by: a method, headers, a body, a signal.
//
// Node's own `fetch` does not say which connection is used next, and this must: a server that closes a connection behind an error says so
// to nobody (uvicorn does, up to a tenth of a second later), and the request that is sent on it meanwhile is lost. Its invariant: a connection
// that has answered an error is never used again. Redirects are never followed.

import { once } from "node:events";
import { Agent as PlainAgent, request as plainRequest } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { pipeline, Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from "node:zlib";

/** How long a connection may rest, in milliseconds: less than servers let it, since one that is closed just as it is used loses a request. */
const IDLE_MILLIS = 4_000;

/** Methods that `fetch` refuses too: they are for the connection, or show the credentials that a request came with. */
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);

const CODINGS = { gzip: createGunzip, "x-gzip": createGunzip, deflate: inflateOf, br: createBrotliDecompress };

/** What undoes `deflate`: some servers leave out zlib's frame, which begins so. */
async function inflateOf(incoming) {
	if (incoming.readableLength === 0) await once(incoming, "readable");
	const first = incoming.read();
	if (first === null) return createInflate();
	incoming.unshift(first);
	return (first[0] & 0x0f) === 8 ? createInflate() : createInflateRaw();
}

/** Connections that have answered an error. @type {WeakSet<import("node:net").Socket>} */
const failed = new WeakSet();

function agentOf(Agent) {
	const agent = new Agent({ keepAlive: true, timeout: IDLE_MILLIS });
	const { keepSocketAlive } = agent;
	agent.keepSocketAlive = (socket) => !failed.has(socket) && keepSocketAlive.call(agent, socket);
	return agent;
}

const CLIENTS = {
	"http:": { request: plainRequest, agent: agentOf(PlainAgent) },
	"https:": { request: secureRequest, agent: agentOf(SecureAgent) },
};

/**
 * @param {string} url
 * @param {{ method: string, headers: Headers, body?: Uint8Array | ReadableStream<Uint8Array>, signal?: AbortSignal, isCoded?: boolean }} init
 *   `isCoded`: the body of the answer is left in the coding that the headers ask for
 * @returns {Promise<{ status: number, headers: Headers, body: ReadableStream<Uint8Array> }>} rejects where there is no answer
 */
export async function nodeFetch(url, { method, headers, body, signal, isCoded = false }) {
	const { protocol } = new URL(url);
	if (FORBIDDEN.has(method)) throw new TypeError(`the method ${method} is not passed on`);
	const { request, agent } = CLIENTS[protocol];
	const fields = isCoded ? {} : { "accept-encoding": "gzip, deflate, br" };
	for (const [name, value] of headers) fields[name] = value;
	if (body instanceof Uint8Array) fields["content-length"] = body.length;
	// Node frames no body of `DELETE` or `OPTIONS` by itself, and what it sends bare would be taken for the next request.
	else if (body !== undefined) fields["transfer-encoding"] = "chunked";
	const outgoing = request(url, { method, agent, headers: fields, signal });
	const answered = new Promise((resolve, reject) => {
		// As `fetch` words it: why there is no answer is the cause.
		outgoing.on("error", (cause) => reject(new TypeError("fetch failed", { cause })));
		// Of an answer that changes the protocol nothing else is heard.
		outgoing.on("close", () => reject(new Error("the connection was closed without an answer")));
		outgoing.on("response", resolve);
	});
	if (body instanceof ReadableStream) pipeline(Readable.fromWeb(body), outgoing, () => {});
	else outgoing.end(body);
	const incoming = await answered;
	if (incoming.statusCode >= 400) failed.add(incoming.socket);
	return answerOf(incoming, isCoded);
}

async function answerOf(incoming, isCoded) {
	const { statusCode: status, rawHeaders } = incoming;
	const headers = new Headers();
	for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at], rawHeaders[at + 1]);
	const decode = CODINGS[headers.get("content-encoding")?.toLowerCase()];
	const isLeft = isCoded || headers.get("content-length") === "0";
	// Who stops reading it ends the connection, whose rest is of no use.
	const body = decode === undefined || isLeft ? incoming : pipeline(incoming, await decode(incoming), () => {});
	return { status, headers, body: Readable.toWeb(body) };
}
