// Bodies that go on to the origin by `featheredge serve`, as they come.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { test } from "node:test";
import { startServe } from "../support/serve.mjs";

const MEBIBYTE = 1 << 20;

test("a body that goes on to the origin is not held in memory", async (t) => {
	const origin = createServer(async (incoming, outgoing) => {
		let length = 0;
		for await (const chunk of incoming) length += chunk.length;
		outgoing.end(String(length));
	}).listen(0, "127.0.0.1");
	t.after(() => {
		origin.closeAllConnections();
		origin.close();
	});
	await once(origin, "listening");
	const url = `http://127.0.0.1:${origin.address().port}`;
	const host = await startServe({ origin: url, vars: { auth: { anonymous_scopes: ["read", "write", "admin"] } } });
	t.after(() => host.stop());
	/** The most memory that the process has had, in bytes. */
	const peak = () => {
		const status = readFileSync(`/proc/${host.program.pid}/status`, "utf8");
		return Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) * 1024;
	};
	const chunk = Buffer.alloc(MEBIBYTE, "x");
	const send = async (path, chunks) => {
		const outgoing = request(`${host.url}${path}`, { method: "POST" });
		const answered = once(outgoing, "response");
		for (let sent = 0; sent < chunks; sent++) if (!outgoing.write(chunk)) await once(outgoing, "drain");
		outgoing.end();
		const [reply] = await answered;
		let text = "";
		for await (const part of reply) text += part;
		assert.deepEqual([reply.statusCode, text], [200, String(chunks * MEBIBYTE)]);
	};
	for (const path of ["/get-online-features", "/push", "/unknown"]) {
		await send(path, 20);
		const before = peak();
		await send(path, 400);
		const grown = peak() - before;
		assert.ok(grown < 200 * MEBIBYTE, `${path}: ${Math.round(grown / MEBIBYTE)} MiB more`);
	}
});
