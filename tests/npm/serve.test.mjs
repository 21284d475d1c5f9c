// `featheredge serve` as a server: callers who go, lines, slow readers, its end, and what it refuses to start with.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startProgram } from "../support/program.mjs";
import { openRaw, requestTarget, startRawOrigin } from "../support/raw.mjs";
import { startRedis } from "../support/redis.mjs";
import { paths } from "../support/root.mjs";
import { refuseServe, startServe } from "../support/serve.mjs";
import { gate, until } from "../support/wait.mjs";

const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };
const OPEN = { anonymous_scopes: ["read", "write"] };

/** A server before an origin that ends with its test. */
async function serve(t, script, options = {}) {
	const origin = await startOrigin(script);
	t.after(() => origin.stop());
	const host = await startServe({ origin, vars: { views: VIEWS, auth: OPEN }, ...options });
	t.after(() => host.stop());
	return { origin, host };
}

const post = (path, body, ...headers) => [
	`POST ${path} HTTP/1.1`,
	"host: features.example.com",
	"content-type: application/json",
	`content-length: ${body.length}`,
	...headers,
];

test("a reader who hangs up is asked for no longer, by its own path or by one that is passed on", async (t) => {
	const asked = [];
	let wake = () => {};
	const origin = createServer((request, response) => {
		if (request.url === "/health") return response.end();
		asked.push(response);
		wake();
	}).listen(0, "127.0.0.1");
	await once(origin, "listening");
	t.after(() => origin.close());
	const host = await startServe({ origin: `http://127.0.0.1:${origin.address().port}`, vars: { views: VIEWS } });
	t.after(() => host.stop());
	const body = JSON.stringify(ask(["a"], [1]));
	const native = JSON.stringify({ entities: { driver_id: [2] }, feature_names: ["stats:a"] });
	for (const [lines, sent] of [
		[post(FEAST, body), body],
		[post("/v1/features", native, "accept: application/x-ndjson"), native],
		[["GET /registry HTTP/1.1", "host: x"], ""],
	]) {
		const came = new Promise((resolve) => {
			wake = resolve;
		});
		const raw = await openRaw(host.port);
		raw.send(lines, sent);
		await came;
		raw.close();
		const response = asked.at(-1);
		await once(response, "close");
		assert.equal(response.writableFinished, false);
	}
	assert.equal((await fetch(`${host.url}/health`)).status, 200);
});

test("a line of a stream is sent as soon as it is complete", async (t) => {
	const second = gate();
	const { host } = await serve(t, async (request) => {
		if (request.json.entities.driver_id.includes(2)) await second.wait();
		return answerFeatures(request);
	});
	const request = (ids) => ({ entities: { driver_id: ids }, feature_names: ["stats:a"] });
	await host.post("/v1/features", request([1]));
	const reply = await host.post("/v1/features", request([1, 2]), { accept: "application/x-ndjson" });
	const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = "";
	const more = async () => {
		const { done, value = "" } = await reader.read();
		text += value;
		return done;
	};
	while (!text.includes("\n")) assert.equal(await more(), false);
	assert.equal(JSON.parse(text.split("\n")[0]).entity, 1);
	await second.reached;
	second.open();
	while (!(await more()));
	assert.ok(text.trim().split("\n").length >= 2, text);
});

test("a slow reader holds back the origin, and gets everything", async (t) => {
	const total = 64 * 1024 * 1024;
	const chunk = Buffer.alloc(64 * 1024);
	let written = 0;
	const origin = createServer(async (request, response) => {
		if (request.url === "/health") return response.end();
		response.writeHead(200, { "content-length": total });
		while (written < total) {
			written += chunk.length;
			if (!response.write(chunk)) await once(response, "drain");
		}
		response.end();
	}).listen(0, "127.0.0.1");
	await once(origin, "listening");
	t.after(() => origin.close());
	const host = await startServe({ origin: `http://127.0.0.1:${origin.address().port}` });
	t.after(() => host.stop());
	const socket = connect(host.port, "127.0.0.1");
	t.after(() => socket.destroy());
	socket.write("GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
	await once(socket, "readable");
	// Once nothing more is taken, it is the reader who is waited for.
	for (let before = -1; before !== written; ) {
		before = written;
		await new Promise((resolve) => setTimeout(resolve, 500));
	}
	assert.ok(written < total / 2, `${written} bytes were taken from the origin`);
	let length = 0;
	for await (const part of socket) length += part.length;
	assert.ok(length > total, `${length} bytes came`);
});

test("a body without an end that nobody wants ends its connection", async (t) => {
	const { host, origin } = await serve(t, { json: null });
	const raw = await openRaw(host.port);
	t.after(() => raw.close());
	raw.send(["POST /registry HTTP/1.1", "host: x", "transfer-encoding: chunked"]);
	assert.equal((await raw.answer()).status, 403);
	raw.socket.on("error", () => {});
	// `once` would reject by the reset.
	const happens = (name) => new Promise((resolve) => raw.socket.once(name, resolve));
	const ended = happens("close");
	const megabyte = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(1024 * 1024), Buffer.from("\r\n")]);
	let isEnded = false;
	ended.then(() => {
		isEnded = true;
	});
	let sent = 0;
	while (!isEnded && sent < 1_000) {
		sent += 1;
		if (!raw.socket.write(megabyte)) await Promise.race([happens("drain"), ended]);
	}
	await ended;
	assert.ok(sent < 1_000, `${sent} megabytes were taken`);
	assert.deepEqual(origin.requests, []);
});

test("an answer that the origin gives before it has the body comes, and the connection goes on", async (t) => {
	const origin = createServer((request, response) => {
		if (request.url === "/health") return response.end();
		response.writeHead(400, { connection: "close", "content-length": 2 }).end("no");
	}).listen(0, "127.0.0.1");
	await once(origin, "listening");
	t.after(() => origin.close());
	const operatorToken = "of-the-operator";
	const host = await startServe({ origin: `http://127.0.0.1:${origin.address().port}`, operatorToken });
	t.after(() => host.stop());
	const raw = await openRaw(host.port);
	t.after(() => raw.close());
	const part = "x".repeat(100_000);
	const head = [
		"PUT /registry HTTP/1.1",
		"host: x",
		`authorization: Bearer ${operatorToken}`,
		"content-length: 300000",
	];
	raw.send(head, part);
	const { status, body } = await raw.answer();
	assert.deepEqual([status, body], [400, "no"]);
	raw.socket.write(part);
	raw.socket.write(part);
	raw.send(["GET /health HTTP/1.1", "host: x"]);
	assert.equal((await raw.answer()).status, 200);
});

describe("a body that the origin does not take", () => {
	const operatorToken = "of-the-operator";
	/** On one connection a body, its answer, and what comes after it. */
	async function follow(t, origin, length) {
		const host = await startServe({ origin, operatorToken });
		t.after(() => host.stop());
		const raw = await openRaw(host.port);
		t.after(() => raw.close());
		const own = [`authorization: Bearer ${operatorToken}`, `content-length: ${length}`];
		raw.send(["PUT /registry HTTP/1.1", "host: x", ...own], "x".repeat(length));
		const { status } = await raw.answer();
		raw.send(["GET /health HTTP/1.1", "host: x"]);
		const next = await Promise.race([raw.answer(), new Promise((resolve) => setTimeout(resolve, 10_000))]);
		return [status, next?.status];
	}
	for (const length of [300_000, 3_000_000]) {
		test(`is no hindrance to its connection: unreachable, ${length} bytes`, async (t) => {
			const closed = createServer().listen(0, "127.0.0.1");
			await once(closed, "listening");
			const { port } = closed.address();
			closed.close();
			assert.deepEqual(await follow(t, `http://127.0.0.1:${port}`, length), [502, 200]);
		});
	}

	test("is no hindrance to its connection: answered unread", async (t) => {
		const origin = createServer((request, response) => {
			if (request.url === "/health") return response.end();
			response.writeHead(401, { "content-length": 2 }).end("no");
		}).listen(0, "127.0.0.1");
		await once(origin, "listening");
		t.after(() => {
			origin.closeAllConnections();
			origin.close();
		});
		assert.deepEqual(await follow(t, `http://127.0.0.1:${origin.address().port}`, 8_000_000), [401, 200]);
	});
});

test("serve that is stopped answers what is under way, and accepts nothing new", async (t) => {
	const held = gate();
	const origin = await startOrigin(async (request) => {
		await held.wait();
		return answerFeatures(request);
	});
	t.after(() => origin.stop());
	const host = await startServe({ origin, vars: { views: VIEWS } });
	const raw = await openRaw(host.port);
	const body = JSON.stringify(ask(["a"], [1]));
	raw.send(post(FEAST, body), body);
	await held.reached;
	const stopped = host.stop();
	await until(() =>
		fetch(`${host.url}/health`).then(
			() => false,
			() => true,
		),
	);
	held.open();
	const { status, headers } = await raw.answer();
	assert.deepEqual([status, headers.connection], [200, "close"]);
	await once(raw.socket, "close");
	assert.equal(await stopped, 0);
});

test("serve that is stopped ends though a body of the origin does not come", async (t) => {
	const origin = await startRawOrigin(() => "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n");
	t.after(() => origin.stop());
	const host = await startServe({ origin });
	const reply = await fetch(`${host.url}/registry`, { headers: { "if-none-match": '"1"' } });
	assert.equal(reply.status, 304);
	assert.equal(await host.stop(), 0);
});

test("a target may be a whole URL; one that is neither this nor a path is refused", async (t) => {
	const { host, origin } = await serve(t, { json: null });
	assert.equal(await requestTarget(host.port, "POST", `${host.url}/push`), 200);
	assert.equal(await requestTarget(host.port, "POST", `${host.url}/registry`), 403);
	assert.deepEqual(
		origin.requests.map(({ path }) => path),
		["/push"],
	);
	assert.equal(origin.requests[0].headers["x-forwarded-host"], new URL(host.url).host);
	const raw = await openRaw(host.port);
	t.after(() => raw.close());
	raw.send(["GET http://features.example.com/registry HTTP/1.1", "host: other.example.com"]);
	await raw.answer();
	assert.equal(origin.requests[1].headers["x-forwarded-host"], "features.example.com", "it goes before `Host`");
	for (const target of ["*", "ftp://x/push"])
		assert.equal(await requestTarget(host.port, "OPTIONS", target), 400, target);
});

test("a wrangler file says the same as it says to the Worker, its rate limits too", async (t) => {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-wrangler-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	const file = join(folder, "wrangler.toml");
	writeFileSync(
		file,
		`name = "features"
[[ratelimits]]
name = "LIMIT"
namespace_id = "1001"
simple = { limit = 2, period = 60 }
[vars.FEATHEREDGE.origin]
kind = "synthetic"
timeout_ms = 1234
[vars.FEATHEREDGE.auth]
rate_limit_binding = "LIMIT"
retry_after_seconds = 7
`,
	);
	const origin = await startOrigin(answerFeatures);
	t.after(() => origin.stop());
	const program = startProgram(process.execPath, [
		join(paths.package, "cli/featheredge.js"),
		...["serve", "--port", "0", "--json", "--config", file, "--origin", origin.url],
	]);
	t.after(() => program.stop());
	const [, url] = await program.prints(/"url":"([^"]+)"/);
	const read = await fetch(`${url}${FEAST}`, { method: "POST", body: JSON.stringify(ask(["a"], [1])) });
	assert.deepEqual(column(await read.json(), "a"), [valueFor("a", 1)], "from the origin that the option names");
	const replies = [];
	for (let number = 0; number < 6; number++) replies.push(await fetch(`${url}/v1/stats`));
	const refused = replies.filter(({ status }) => status === 429);
	// The period may end among them.
	assert.ok(refused.length >= 2, replies.map(({ status }) => status).join());
	assert.equal(refused[0].headers.get("retry-after"), "7");
});

describe("it refuses to start", () => {
	const refused = (name, options, said) =>
		test(`with ${name}`, async () => assert.match(await refuseServe(options), said));
	refused("a storage tier", { vars: { l3: { enabled: true } } }, /`l3\.enabled`.*--redis/);
	refused(
		"windows of all isolates",
		{ vars: { telemetry: { aggregate: true } } },
		/`telemetry\.aggregate`.*GET \/metrics/,
	);
	refused(
		"Analytics Engine",
		{ vars: { telemetry: { analytics_binding: "POINTS" } } },
		/`telemetry\.analytics_binding`/,
	);
	refused(
		"a rate limit that the file lacks",
		{ vars: { auth: { rate_limit_binding: "L" } } },
		/`L`.*\[\[ratelimits\]\]/,
	);
	refused("a rate limit of nothing", { rateLimits: { L: { simple: { limit: 0, period: 60 } } } }, /`L` needs `simple`/);
	refused("an unknown key", { vars: { auth: { user: "x" } } }, /auth\.user|`user`/);

	test("with rate limits in single brackets", async (t) => {
		const folder = mkdtempSync(join(tmpdir(), "featheredge-limits-"));
		t.after(() => rmSync(folder, { recursive: true, force: true }));
		const file = join(folder, "featheredge.toml");
		writeFileSync(file, '[ratelimits]\nname = "LIMIT"\nsimple = { limit = 2, period = 60 }\n');
		const command = [join(paths.package, "cli/featheredge.js"), "serve", "--port", "0", "--json", "--config", file];
		const program = startProgram(process.execPath, command);
		assert.equal(await program.ends(), 3);
		assert.match(JSON.parse(program.output()).error, /`\[\[ratelimits\]\]`/);
	});

	test("where ids are to be hidden and there is no key for it", async (t) => {
		const redis = await startRedis();
		t.after(async () => {
			await redis.stop();
			redis.remove();
		});
		assert.match(
			await refuseServe({ redis, vars: { pseudonymize_keys: true } }),
			/`pseudonymize_keys`.*FEATHEREDGE_STORE_ENCRYPTION_KEYS/,
		);
	});
});
