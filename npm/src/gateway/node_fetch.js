// `fetch` over Node's HTTP client, with the options that requests to the origin use: a method, headers, a
// body, a signal.
//
// Node's own `fetch` does not let its caller choose a connection. Some servers close a connection after an
// error response without announcing it (uvicorn, up to 100 ms later), and a request that is sent on it
// meanwhile is lost. Invariants: a connection that has carried an error response is never reused; redirects
// are never followed.

import { once } from "node:events";
import { Agent as PlainAgent, request as plainRequest } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { pipeline, Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from "node:zlib";
import { codingOf, FETCH_CODINGS } from "../runtime/content_codings.js";

/**
 * How long a connection may be idle, in milliseconds: less than servers' own timeouts, which would lose a
 * request.
 */
const IDLE_MS = 4_000;

/** Methods that `fetch` refuses too: they address the connection, or echo the request's credentials. */
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);

/** A decoder for each of `FETCH_CODINGS`. */
const DECODERS = { gzip: createGunzip, deflate: inflateFor, br: createBrotliDecompress };

/** The decoder of a `deflate` body: some servers omit zlib's header. */
async function inflateFor(incoming) {
	if (incoming.readableLength === 0) await once(incoming, "readable");
	const first = incoming.read();
	if (first === null) return createInflate();
	incoming.unshift(first);
	return (first[0] & 0x0f) === 8 ? createInflate() : createInflateRaw();
}

/** Connections that have carried an error response. @type {WeakSet<import("node:net").Socket>} */
const erredSockets = new WeakSet();

function agentOf(Agent) {
	const agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
	const { keepSocketAlive } = agent;
	agent.keepSocketAlive = (socket) => !erredSockets.has(socket) && keepSocketAlive.call(agent, socket);
	return agent;
}

const CLIENTS = {
	"http:": { request: plainRequest, agent: agentOf(PlainAgent) },
	"https:": { request: secureRequest, agent: agentOf(SecureAgent) },
};

/**
 * @param {string} url
 * @param {{ method: string, headers: Headers, body?: Uint8Array | ReadableStream<Uint8Array>, signal?: AbortSignal, keepsCoding?: boolean }} init
 *   `keepsCoding`: the response's body is not decoded
 * @returns {Promise<{ status: number, headers: Headers, body: ReadableStream<Uint8Array> }>} rejects if there is no response
 */
export async function nodeFetch(url, { method, headers, body, signal, keepsCoding = false }) {
	const { protocol } = new URL(url);
	if (FORBIDDEN.has(method)) throw new TypeError(`the method ${method} is not forwarded`);
	const { request, agent } = CLIENTS[protocol];
	const fields = keepsCoding ? {} : { "accept-encoding": [...FETCH_CODINGS].join(", ") };
	for (const [name, value] of headers) fields[name] = value;
	if (body instanceof Uint8Array) fields["content-length"] = body.length;
	// Node does not frame a body of `DELETE` or `OPTIONS` by itself; unframed, it would be read as the next
	// request.
	else if (body !== undefined) fields["transfer-encoding"] = "chunked";
	const outgoing = request(url, { method, agent, headers: fields, signal });
	const responded = new Promise((resolve, reject) => {
		// The same error as of `fetch`, whose cause tells why there is no response.
		outgoing.on("error", (cause) => reject(new TypeError("fetch failed", { cause })));
		// A protocol upgrade emits no other event.
		outgoing.on("close", () => reject(new Error("the connection was closed without a response")));
		outgoing.on("response", resolve);
	});
	if (body instanceof ReadableStream) pipeline(Readable.fromWeb(body), outgoing, () => {});
	else outgoing.end(body);
	const incoming = await responded;
	if (incoming.statusCode >= 400) erredSockets.add(incoming.socket);
	return responseFrom(incoming, keepsCoding);
}

async function responseFrom(incoming, keepsCoding) {
	const { statusCode: status, rawHeaders } = incoming;
	const headers = new Headers();
	for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at], rawHeaders[at + 1]);
	const decode = DECODERS[codingOf(headers.get("content-encoding") ?? "")];
	const keepsBody = keepsCoding || headers.get("content-length") === "0";
	// A reader that stops early closes the connection.
	const body = decode === undefined || keepsBody ? incoming : pipeline(incoming, await decode(incoming), () => {});
	return { status, headers, body: Readable.toWeb(body) };
}
