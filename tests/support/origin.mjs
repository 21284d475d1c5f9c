// A scripted double of an origin: an HTTP server in this process that records what it is asked, and answers, waits or breaks as told.

import { once } from "node:events";
import { createServer } from "node:http";

/**
 * @typedef {object} OriginRequest
 * @property {string} method
 * @property {string} path with the query
 * @property {import("node:http").IncomingHttpHeaders} headers
 * @property {Buffer} body
 * @property {any} json the body parsed, or undefined when it is not JSON
 *
 * @typedef {object} OriginAnswer
 * @property {number} [status] 200 without it
 * @property {Record<string, string>} [headers]
 * @property {unknown} [json] sent as JSON
 * @property {string | Uint8Array} [body] sent as it is
 * @property {Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>} [chunks] sent one by one, `chunkDelayMs` apart
 * @property {number} [chunkDelayMs]
 * @property {number} [delayMs] wait before answering
 * @property {boolean} [drop] close the connection without an answer; after `chunks`, in the middle of one
 * @property {boolean} [hang] never answer
 *
 * @typedef {(request: OriginRequest, index: number) => OriginAnswer | Promise<OriginAnswer>} Script
 *
 * @typedef {object} Origin
 * @property {string} url without a slash at the end
 * @property {OriginRequest[]} requests in order of arrival, `GET /health` left out
 * @property {(script: Script | OriginAnswer) => void} answer replaces the script
 * @property {number} healthStatus what `GET /health` answers, 200 at first
 * @property {() => void} reset forgets the requests
 * @property {() => Promise<void>} stop closes the port and all connections
 */

async function bytes(stream) {
	const chunks = [];
	for await (const chunk of stream) chunks.push(chunk);
	return Buffer.concat(chunks);
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function parsed(body) {
	try {
		return JSON.parse(body.toString());
	} catch {
		return undefined;
	}
}

/**
 * @param {Script | OriginAnswer} [script] by default, 200 and an empty object
 * @param {{ port?: number }} [options]
 * @returns {Promise<Origin>}
 */
export async function startOrigin(script = { json: {} }, { port = 0 } = {}) {
	let current = script;
	/** @type {OriginRequest[]} */
	const requests = [];

	const server = createServer(async (incoming, outgoing) => {
		const body = await bytes(incoming);
		const request = {
			method: incoming.method,
			path: incoming.url,
			headers: incoming.headers,
			body,
			json: parsed(body),
		};
		if (request.path === "/health") return outgoing.writeHead(origin.healthStatus).end();
		requests.push(request);
		const answer = typeof current === "function" ? await current(request, requests.length - 1) : current;
		if (answer.hang) return;
		if (answer.delayMs) await wait(answer.delayMs);
		if (answer.drop && !answer.chunks) return outgoing.destroy();
		const isJson = answer.json !== undefined;
		outgoing.writeHead(answer.status ?? 200, {
			...((isJson || answer.body !== undefined) && { "content-type": "application/json" }),
			...answer.headers,
		});
		for await (const chunk of answer.chunks ?? []) {
			outgoing.write(chunk);
			await wait(answer.chunkDelayMs ?? 0);
		}
		if (answer.drop) return outgoing.destroy();
		outgoing.end(isJson ? JSON.stringify(answer.json) : answer.body);
	});
	server.listen(port, "127.0.0.1");
	await once(server, "listening");

	const origin = {
		url: `http://127.0.0.1:${server.address().port}`,
		healthStatus: 200,
		requests,
		answer(next) {
			current = next;
		},
		reset() {
			requests.length = 0;
		},
		async stop() {
			server.closeAllConnections();
			server.close();
			await once(server, "close");
		},
	};
	return origin;
}
