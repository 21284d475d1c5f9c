// The `fetch` by which `featheredge serve` asks the origin: what it has in common with the platform's, and which connections it uses again.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { nodeFetch } from "../../npm/src/gateway/node_fetch.js";
import { freePort } from "../support/workerd.mjs";

const TEXT = JSON.stringify({ text: "x".repeat(10_000) });

let url;
let connections = 0;
let answering;
const server = createServer((request, response) => answering(request, response));
server.on("connection", () => {
	connections += 1;
});
before(async () => {
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	url = `http://127.0.0.1:${server.address().port}`;
});
beforeEach(() => {
	answering = (request, response) => request.resume().on("end", () => response.end(TEXT));
});
after(() => {
	server.close();
	server.closeAllConnections();
});

const call = (init = {}) => nodeFetch(url, { method: "POST", headers: new Headers(), ...init });
const textOf = ({ body }) => new Response(body).text();

test("a coded answer is decoded, and one in a coding that nobody asked for is left as it is", async () => {
	for (const [coding, bytes] of Object.entries({
		gzip: gzipSync(TEXT),
		"x-gzip": gzipSync(TEXT),
		deflate: deflateSync(TEXT),
		br: brotliCompressSync(TEXT),
		GZIP: gzipSync(TEXT),
		identity: TEXT,
		odd: TEXT,
	})) {
		answering = (_, response) => response.writeHead(200, { "content-encoding": coding }).end(bytes);
		assert.equal(await textOf(await call()), TEXT, coding);
	}
	answering = (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(TEXT);
	await assert.rejects(textOf(await call()), "what is no gzip");
});

test("a body goes with its length, a stream in chunks, and none as nothing", async () => {
	answering = async (request, response) => {
		let text = "";
		for await (const chunk of request) text += chunk;
		const { "content-length": length = null, "transfer-encoding": coding = null } = request.headers;
		response.end(JSON.stringify([text, length, coding]));
	};
	const bytes = new TextEncoder().encode("bytes");
	assert.deepEqual(JSON.parse(await textOf(await call({ body: bytes }))), ["bytes", "5", null]);
	const stream = new Blob([bytes]).stream();
	assert.deepEqual(JSON.parse(await textOf(await call({ body: stream }))), ["bytes", null, "chunked"]);
	assert.deepEqual(JSON.parse(await textOf(await call())), ["", "0", null]);
	assert.deepEqual(JSON.parse(await textOf(await call({ method: "GET" }))), ["", null, null]);
});

test("a connection serves request after request, until it has answered an error", async () => {
	await textOf(await call());
	const first = connections;
	for (let turn = 0; turn < 3; turn++) await textOf(await call());
	assert.equal(connections, first);
	for (const status of [400, 404, 500, 503]) {
		const well = answering;
		answering = (_, response) => response.writeHead(status).end("no");
		assert.equal(await textOf(await call()), "no");
		answering = well;
		const before = connections;
		await textOf(await call());
		assert.equal(connections, before + 1, `behind ${status}`);
	}
});

test("an abort signal ends a request, before its response and within it", async () => {
	for (const begin of [() => {}, (response) => response.write("x")]) {
		let isClosed;
		answering = (request, response) => {
			isClosed = new Promise((resolve) => request.socket.on("close", resolve));
			begin(response);
			response.flushHeaders();
			controller.abort();
		};
		const controller = new AbortController();
		await assert.rejects(async () => textOf(await call({ signal: controller.signal })));
		await isClosed;
	}
});

test("an error says why, as the platform's does", async () => {
	const free = `http://127.0.0.1:${await freePort()}`;
	for (const ask of [nodeFetch, fetch]) {
		const asked = ask(free, { method: "GET", headers: new Headers() });
		await assert.rejects(asked, ({ message, cause }) => message === "fetch failed" && cause.code === "ECONNREFUSED");
		for (const method of ["CONNECT", "TRACE"]) {
			await assert.rejects(ask(url, { method, headers: new Headers() }), TypeError);
		}
	}
});
