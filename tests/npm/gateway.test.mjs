// What the gateway decides by plain values.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { DEFAULTS } from "../../npm/src/gateway/access.js";
import { networkOf } from "../../npm/src/gateway/address.js";
import { ANONYMOUS } from "../../npm/src/gateway/grant.js";
import { listenerOf } from "../../npm/src/gateway/node.js";
import { endToEndHeaders, HttpOrigin } from "../../npm/src/gateway/origin.js";
import { rateLimiter } from "../../npm/src/gateway/rate_limit.js";
import { targetOf } from "../../npm/src/gateway/target.js";
import { WebRequest } from "../../npm/src/gateway/web.js";
import { retryLostConnection } from "../../npm/src/runtime/retry.js";
import { documentedKeys } from "../support/configuration.mjs";
import { openRaw } from "../support/raw.mjs";
import { until } from "../support/wait.mjs";

test("access takes the defaults that the documentation has", () => {
	const set = [...documentedKeys()].filter(([key, value]) => key.startsWith("auth.") && value !== undefined);
	assert.deepEqual(Object.fromEntries(set.map(([key, value]) => [key.slice("auth.".length), value])), DEFAULTS);
});

test("a reply that fails ends its connection though its reader does not read", async (t) => {
	let fail;
	const body = new ReadableStream({
		start(controller) {
			fail = () => controller.error(new Error("the deadline"));
		},
		pull: (controller) => controller.enqueue(new Uint8Array(1 << 20)),
	});
	const gateway = { uncheckedBodyLimit: () => undefined, handle: async () => ({ status: 200, headers: [], body }) };
	const server = createServer(listenerOf(gateway)).listen(0, "127.0.0.1");
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	await once(server, "listening");
	const connected = once(server, "connection");
	const raw = await openRaw(server.address().port);
	t.after(() => raw.close());
	raw.socket.pause();
	raw.send(["GET / HTTP/1.1", "host: x"]);
	const [held] = await connected;
	await until(() => held.writableLength > 0);
	const closed = once(held, "close");
	fail();
	await closed;
});

test("a target has one normal form", () => {
	for (const [target, path, query = ""] of [
		["/push", "/push"],
		["/push/", "/push"],
		["/docs/", "/docs/"],
		["/", "/"],
		["/push?a=/../b", "/push", "a=/../b"],
		["http://host/push", "/push"],
		["HTTPS://user@host:1/push?x", "/push", "x"],
		["http://host", "/"],
		["//host/push", "/host/push"],
		["/%70u%73h", "/push"],
		["/a%2fb%c3%a9", "/a%2Fb%C3%A9"],
		["/a%252e%252e/b", "/a%252e%252e/b"],
		["/a/%2E%2e/b", "/b"],
		["/..\\..\\b", "/b"],
		["/a#b", "/a"],
		["/é", "/%C3%A9"],
	]) {
		assert.deepEqual(targetOf(target), { path, query }, target);
		assert.deepEqual(targetOf(path), { path, query: "" }, "what is in it already stays");
	}
	for (const target of ["/..%2fb", "/%2e%2e%5Cb", "/a/..;x/b", "/.%2Fb"])
		assert.equal(targetOf(target), undefined, target);
	for (const target of ["*", "host:443", "push", "", "file:///push", "http://"])
		assert.equal(targetOf(target), undefined);
});

test("a header of one connection belongs to no other", () => {
	const kept = endToEndHeaders([
		["Connection", "close, X-Hop"],
		["connection", "x-other"],
		["X-Hop", "1"],
		["x-other", "1"],
		["Proxy-Authorization", "Basic x"],
		["Expect", "100-continue"],
		["Set-Cookie", "a=1"],
		["Set-Cookie", "b=2"],
	]);
	assert.deepEqual(kept, [
		["set-cookie", "a=1"],
		["set-cookie", "b=2"],
	]);
});

test("a caller is told apart by the network that is its own", () => {
	for (const [address, network] of [
		["192.0.2.1", "192.0.2.1"],
		["::ffff:192.0.2.1", "192.0.2.1"],
		["2001:db8:0:1::5", "2001:db8:0:1::/64"],
		["2001:DB8:0:1:a:b:c:d", "2001:db8:0:1::/64"],
		["fe80::1%eth0", "fe80:0:0:0::/64"],
		["::1", "0:0:0:0::/64"],
		["", ""],
	]) {
		assert.equal(networkOf(address), network, address);
	}
});

test("a read that is lost with its connection is made again twice, and not a third time", async () => {
	for (const [losses, calls] of [
		[0, 1],
		[2, 3],
		[3, 3],
	]) {
		let asked = 0;
		const call = async () => {
			asked += 1;
			if (asked <= losses) throw new TypeError("lost");
			return "answer";
		};
		const answer = await retryLostConnection(call).catch(({ message }) => message);
		assert.deepEqual([answer, asked], [losses === 3 ? "lost" : "answer", calls]);
	}
});

test("a write is sent again where it certainly was not, and else is not", async () => {
	const lost = (code, socket) =>
		new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code, socket }) });
	const several = (...codes) =>
		new TypeError("fetch failed", {
			cause: new AggregateError(codes.map((code) => Object.assign(new Error(), { code }))),
		});
	for (const [error, isSentAgain] of [
		[lost("ECONNREFUSED"), true],
		[lost("ENOTFOUND"), true],
		[several("ECONNREFUSED", "EHOSTUNREACH"), true],
		[several("ECONNREFUSED", "ECONNRESET"), false],
		[lost("UND_ERR_SOCKET", { bytesWritten: 0 }), true],
		[lost("UND_ERR_SOCKET", { bytesWritten: 120 }), false],
		[lost("ECONNRESET"), false],
		[lost("UND_ERR_HEADERS_TIMEOUT"), false],
		[new TypeError("Network connection lost."), false],
	]) {
		let calls = 0;
		const fetch = async () => {
			calls += 1;
			if (calls === 1) throw error;
			return new Response("{}");
		};
		const request = { method: "POST", path: "/push", query: "", headers: [] };
		const passed = new HttpOrigin("http://origin.example", { fetch }).forward(
			"http://origin.example",
			request,
			new Uint8Array(2),
			ANONYMOUS,
			undefined,
			false,
		);
		assert.equal((await passed.catch(() => ({ status: 502 }))).status, isSentAgain ? 200 : 502, error.cause?.message);
		assert.equal(calls, isSentAgain ? 2 : 1);
	}
});

test("a write that the origin's host refused at first is sent again by Node's own fetch", async (t) => {
	const server = createServer((_, reply) => reply.end("{}"));
	t.after(() => server.close());
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address();
	server.close();
	await once(server, "close");
	let calls = 0;
	const fetch = async (...args) => {
		calls += 1;
		if (calls === 2) {
			server.listen(port, "127.0.0.1");
			await once(server, "listening");
		}
		return globalThis.fetch(...args);
	};
	const url = `http://127.0.0.1:${port}`;
	const request = { method: "POST", path: "/push", query: "", headers: [] };
	const reply = await new HttpOrigin(url, { fetch }).forward(
		url,
		request,
		new Uint8Array(2),
		ANONYMOUS,
		undefined,
		false,
	);
	assert.deepEqual([reply.status, calls], [200, 2]);
	await new Response(reply.body).text();
	server.closeAllConnections();
});

test("a rate limit counts each key for itself in each period, and keeps no more keys than it may", async () => {
	let now = 0;
	const limiter = rateLimiter({ limit: 2, period: 10 }, () => now);
	const ask = async (key) => (await limiter.limit({ key })).success;
	assert.deepEqual([await ask("a"), await ask("a"), await ask("a"), await ask("b")], [true, true, false, true]);
	now = 10_000;
	assert.equal(await ask("a"), true);
	for (let number = 0; number < 19_999; number++) await ask(`address:${number}`);
	const late = [await ask("address:l1"), await ask("address:l2"), await ask("address:l3"), await ask("a")];
	assert.deepEqual(late, [true, true, false, true], "counted together");
	assert.equal(await ask("origin:l1"), true, "by kind");
	for (const key of ["operator", "token:x", "subject:y"]) {
		assert.deepEqual([await ask(key), await ask(key), await ask(key)], [true, true, false], key);
	}
	now = 20_000;
	assert.equal(await ask("address:l4"), true);
});

test("a body that breaks off is its caller's going, and no fault of ours", async () => {
	const body = new ReadableStream({ start: (controller) => controller.error(new Error("broken off")) });
	const request = new Request("http://localhost/x", { method: "POST", body, duplex: "half" });
	const plain = new WebRequest(request, { path: "/x", query: "" });
	assert.equal(plain.isDisconnected, false);
	await assert.rejects(plain.read(10), /broken off/);
	assert.equal(plain.isDisconnected, true);
});
