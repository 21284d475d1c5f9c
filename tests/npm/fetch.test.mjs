import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { getRequestListener } from "@hono/node-server";
import { feastOrigin } from "../../build/package/dist/node.js";
import { answerFeatures, ask, column } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { engineFor, namingOrigin } from "./harness.mjs";

const post = (path, body, headers = {}) =>
	new Request(`http://localhost${path}`, {
		method: "POST",
		headers: { "content-type": "application/json", ...headers },
		body: JSON.stringify(body),
	});

test("the handler serves both APIs with their headers", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin() });
	const native = { entity_ids: ["a"], feature_names: ["score"] };
	await (await engine.fetch(post("/v1/features", native))).json();
	const response = await engine.fetch(post("/v1/features", native));
	assert.equal(response.status, 200);
	assert.equal(response.headers.get("cache-status"), "featheredge-l1; hit");
	assert.equal((await response.json()).features.a.score, "score of a");
	const feast = await engine.fetch(post("/get-online-features", ask(["rate"], [7])));
	assert.deepEqual(column(await feast.json(), "rate"), ["stats:rate of 7"]);
});

test("a path that the API does not know is passed to the origin, streamed and with the caller's headers", async (t) => {
	const origin = await startOrigin(() => ({ status: 418, headers: { "x-of": "origin" }, chunks: ["a", "b"] }));
	t.after(() => origin.stop());
	const engine = await engineFor(t, { origin: feastOrigin(origin.url) });
	const response = await engine.fetch(post("/materialize?x=1", { y: 2 }, { "x-caller": "me" }));
	assert.equal(response.status, 418);
	assert.equal(response.headers.get("x-of"), "origin");
	assert.equal(await response.text(), "ab");
	assert.equal(origin.requests[0].path, "/materialize?x=1");
	assert.equal(origin.requests[0].headers["x-caller"], "me");
	assert.deepEqual(origin.requests[0].json, { y: 2 });
});

test("a redirect of the origin leads to where its client finds it, or nowhere", async (t) => {
	let location;
	const origin = await startOrigin(() => ({ status: 307, headers: { location } }));
	t.after(() => origin.stop());
	const engine = await engineFor(t, { origin: feastOrigin(`${origin.url}/base`), basePath: "/api" });
	for (const [given, mapped] of [
		[`${origin.url}/base/x?y`, "/api/x?y"],
		["/base/x", "/api/x"],
		["/other", null],
		[`${origin.url}/based`, null],
		["https://id.example.com/login", "https://id.example.com/login"],
		[`${origin.url}/base//evil.example/x`, "/api/evil.example/x"],
	]) {
		location = given;
		const response = await engine.fetch(new Request("http://localhost/api/registry"));
		assert.deepEqual([response.status, response.headers.get("location")], [307, mapped], given);
	}
	assert.equal(origin.requests[0].path, "/base/registry");
	assert.equal(origin.requests[0].headers["x-forwarded-host"], "localhost");
});

test("an operator's token goes no further than the engine", async (t) => {
	const origin = await startOrigin((request) =>
		request.path === "/materialize" ? { json: null } : answerFeatures(request),
	);
	t.after(() => origin.stop());
	const engine = await engineFor(t, { origin: feastOrigin(origin.url), operatorToken: "s3cret" });
	const token = { authorization: "Bearer s3cret" };
	await (await engine.fetch(post("/get-online-features", ask(["rate"], [7]), token))).text();
	await (await engine.fetch(post("/materialize", {}, token))).text();
	assert.deepEqual(
		origin.requests.map(({ path, headers }) => [path, headers.authorization]),
		[
			["/get-online-features", undefined],
			["/materialize", undefined],
		],
	);
});

test("credentials for the origin go to its own base URL alone", async (t) => {
	const asked = [];
	const fetch = async (url, { headers }) => {
		asked.push([String(url), new Headers(headers).get("authorization")]);
		return new Response("{}");
	};
	const options = { headers: { authorization: "Bearer ours" }, registry: { url: "http://registry.example" }, fetch };
	const engine = await engineFor(t, { origin: feastOrigin("http://origin.example", options) });
	await engine.fetch(post("/get-online-features", ask(["rate"], [7])));
	for (const [url, shown] of asked)
		assert.equal(shown, url.startsWith("http://origin.example/") ? "Bearer ours" : null, url);
	assert.ok(asked.some(([url]) => url.startsWith("http://registry.example/")));
});

test("a write goes to the origin, and what it touched is fetched again", async (t) => {
	const origin = await startOrigin((request) =>
		request.path === "/push" ? { status: 200, json: {} } : answerFeatures(request),
	);
	t.after(() => origin.stop());
	let now = 1_000_000_000_000;
	const engine = await engineFor(t, { clock: () => now, origin: feastOrigin(origin.url) });
	await engine.fetch(post("/get-online-features", ask(["rate"], [7])));
	now += 10;
	const pushed = await engine.fetch(post("/push", { push_source_name: "p", df: { driver_id: [7] }, to: "online" }));
	assert.equal(pushed.status, 200);
	now += 10;
	await engine.fetch(post("/get-online-features", ask(["rate"], [7])));
	assert.deepEqual(
		origin.requests.map(({ path }) => path),
		["/get-online-features", "/push", "/get-online-features"],
	);
});

test("a caller's own credentials are judged by the origin alone, unless it has its own", async (t) => {
	const origin = await startOrigin(answerFeatures);
	t.after(() => origin.stop());
	const shared = await engineFor(t, { origin: feastOrigin(origin.url, { headers: { authorization: "Bearer ours" } }) });
	const open = await engineFor(t, { origin: feastOrigin(origin.url) });
	for (const engine of [shared, shared, open, open]) {
		await (
			await engine.fetch(post("/get-online-features", ask(["rate"], [7]), { authorization: "Bearer mine" }))
		).text();
	}
	const shown = origin.requests.map(({ headers }) => headers.authorization);
	assert.deepEqual(shown, ["Bearer ours", "Bearer mine", "Bearer mine"]);
});

test("operations over HTTP need the operator's token, and there is none by default", async (t) => {
	const closed = await engineFor(t);
	const open = await engineFor(t, { operatorToken: "s3cret" });
	const call = async (engine, token) =>
		(await engine.fetch(post("/v1/invalidate", { everything: true }, { authorization: `Bearer ${token}` }))).status;
	assert.equal(await call(closed, "s3cret"), 403);
	assert.equal(await call(open, "other"), 403);
	assert.equal(await call(open, "s3cret"), 200);
});

test("a handler below the root sees its own part of the path", async (t) => {
	const engine = await engineFor(t, { basePath: "/api/features" });
	assert.equal((await engine.fetch(new Request("http://localhost/api/features/health"))).status, 200);
	assert.equal((await engine.fetch(new Request("http://localhost/api/features/nowhere"))).status, 404);
});

test("a base path ends where a segment does, and no other host is asked", async (t) => {
	const asked = [];
	const fetch = async (url, { headers }) => {
		asked.push([String(url), new Headers(headers).get("authorization")]);
		return new Response("{}");
	};
	const origin = feastOrigin("https://feast.internal", { headers: { authorization: "Bearer ours" }, fetch });
	const engine = await engineFor(t, { origin, basePath: "/api" });
	for (const path of ["/api.evil.example/x", "/apiary", "/api@evil.example/x", "/api/x"]) {
		await engine.fetch(new Request(`http://localhost${path}`));
	}
	assert.deepEqual(
		asked.filter(([url]) => !url.endsWith("/health")),
		["/api.evil.example/x", "/apiary", "/api@evil.example/x", "/x"].map((path) => [
			`https://feast.internal${path}`,
			"Bearer ours",
		]),
	);
	for (const basePath of ["/", "/api/", "api", "/api?x", "/a/../b"]) {
		await assert.rejects(engineFor(t, { basePath }), /`basePath`/, basePath);
	}
});

test("credentials for the origin go nowhere else with what is passed on", async () => {
	const asked = [];
	const fetch = async (url, { headers }) => {
		asked.push([String(url), headers.get("authorization")]);
		return new Response("{}");
	};
	const origin = feastOrigin("https://feast.internal", { headers: { authorization: "Bearer ours" }, fetch });
	const request = { method: "GET", path: "/x", query: "", headers: [] };
	const anyone = { caller: "", isOperator: false, credentials: "caller" };
	await origin.forward("https://feast.internal", request, undefined, anyone);
	await origin.forward("https://feast.internal.evil.example", request, undefined, anyone);
	const refused = await origin.forward(
		"https://feast.internal",
		{ ...request, path: ".evil.example/x" },
		undefined,
		anyone,
	);
	assert.equal(refused.status, 400);
	assert.deepEqual(asked, [
		["https://feast.internal/x", "Bearer ours"],
		["https://feast.internal.evil.example/x", null],
	]);
});

test("a length of what does not come is not passed back", async () => {
	const headers = { "content-length": "4", "content-encoding": "x", "x-kept": "yes" };
	const fetch = async () => new Response(null, { status: 205, headers });
	const origin = feastOrigin("http://origin.example", { fetch });
	const pass = { caller: "", isOperator: false, credentials: "caller" };
	const reply = await origin.forward(
		"http://origin.example",
		{ method: "GET", path: "/x", query: "", headers: [] },
		undefined,
		pass,
	);
	assert.deepEqual(reply, { status: 205, headers: [["x-kept", "yes"]], body: null });
});

test("work after a response is given to the host's waitUntil", async (t) => {
	const l2 = { getMany: async (keys) => keys.map(() => undefined), setMany: async () => {} };
	const engine = await engineFor(t, { l2 });
	const waits = [];
	const context = { waitUntil: (promise) => waits.push(promise) };
	await engine.fetch(post("/v1/features", { entity_ids: ["a"], feature_names: ["score"] }), {}, context);
	assert.equal(waits.length, 1);
});

test("too long a body is refused before it is read", async (t) => {
	const engine = await engineFor(t);
	const response = await engine.fetch(post("/v1/features", { entity_ids: ["a".repeat(3 << 20)] }));
	assert.equal(response.status, 413);
});

test("Node's http serves the handler through a kept adapter", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin() });
	const server = createServer(getRequestListener(engine.fetch)).listen(0, "127.0.0.1");
	t.after(() => server.close());
	await new Promise((resolve) => server.once("listening", resolve));
	const response = await fetch(`http://127.0.0.1:${server.address().port}/v1/features`, {
		method: "POST",
		body: JSON.stringify({ entity_ids: ["a"], feature_names: ["score"] }),
	});
	assert.equal((await response.json()).features.a.score, "score of a");
});

/** A request whose body comes as a stream, under an announced length that need not be true. */
const streamed = (body, length) =>
	new Request("http://localhost/v1/features", {
		method: "POST",
		headers: { "content-type": "application/json", "content-length": String(length) },
		body,
		duplex: "half",
	});

test("a body is counted as it comes, whatever length it announces", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin() });
	let pulls = 0;
	const isCancelled = new Promise((resolve) => {
		const endless = new ReadableStream({
			pull(controller) {
				pulls += 1;
				controller.enqueue(new Uint8Array(65_536));
			},
			cancel: resolve,
		});
		engine.fetch(streamed(endless, 10)).then(({ status }) => assert.equal(status, 413));
	});
	await isCancelled;
	assert.ok(pulls < 100, `${pulls} chunks`);
});

test("a body that announces too much is refused at once, and its source is left alone", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin() });
	const untouched = new ReadableStream({
		pull: () => new Promise(() => {}),
		cancel: () => assert.fail("nobody has read it"),
	});
	assert.equal((await engine.fetch(streamed(untouched, 4_000_000))).status, 413);
	const broken = new ReadableStream({ start: (controller) => controller.error(new Error("the client is gone")) });
	assert.equal((await engine.fetch(streamed(broken, 4_000_000))).status, 413);
});

test("an answer of the origin is counted as it comes, whatever length it announces", async (t) => {
	let pulls = 0;
	const body = () =>
		new ReadableStream({
			pull(controller) {
				pulls += 1;
				controller.enqueue(new Uint8Array(65_536).fill(32));
			},
		});
	const fetch = async () => new Response(body(), { headers: { "content-length": "5" } });
	const config = { limits: { origin_body_bytes: 100_000 } };
	const engine = await engineFor(t, { origin: feastOrigin("http://origin.example", { fetch }), config });
	const answer = await engine.fetch(post("/v1/features", { entity_ids: ["a"], feature_names: ["score"] }));
	assert.match((await answer.json()).detail, /limits\.origin_body_bytes/);
	assert.ok(pulls < 20, `${pulls} chunks`);
});

test("a status that cannot be passed on is an error of the origin's", async (t) => {
	const fetch = async () => Object.defineProperty(new Response("{}"), "status", { value: 600 });
	const engine = await engineFor(t, { origin: feastOrigin("http://origin.example", { fetch }) });
	const answer = await engine.fetch(post("/get-online-features", ask(["rate"], [7])));
	assert.equal(answer.status, 502);
});

test("a request whose caller is gone already is not waited for", async (t) => {
	const engine = await engineFor(t, { origin: () => new Promise(() => {}), config: { origin: { timeout_ms: 2_000 } } });
	const request = { entity_ids: ["a"], feature_names: ["score"] };
	const controller = new AbortController();
	const asked = new Request(post("/v1/features", request), { signal: controller.signal });
	const answer = engine.fetch(asked);
	controller.abort(new Error("hung up"));
	await assert.rejects(answer, /hung up/);
});
