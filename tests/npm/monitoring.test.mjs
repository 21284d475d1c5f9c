// An engine watches itself in JavaScript hosts: reports as objects and over HTTP, alerts to a real server, traces, and nothing of it
// costs an answer.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConfigError, createEngine, feastOrigin } from "../../build/package/dist/node.js";
import { answerFeatures, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";

const ask = (...ids) => ({ entities: { driver_id: ids }, feature_names: ["stats:rate"] });

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/origin.mjs").Origin} */
let places;
before(async () => {
	[origin, places] = await Promise.all([startOrigin(answerFeatures), startOrigin()]);
});
after(() => Promise.all([origin, places].map((server) => server?.stop())));

const BEGAN = Date.now();

async function engineOf(t, config = {}, more = {}) {
	const engine = await createEngine({ origin: feastOrigin(origin.url), config, ...more });
	t.after(() => engine.close());
	return engine;
}

test("stats gives all figures as one object", async (t) => {
	const engine = await engineOf(t);
	for (const id of [1, 1, 2]) await engine.serve(ask(id));
	const stats = await engine.stats();
	assert.equal(stats.scope, "isolate");
	assert.deepEqual(
		[stats.overall.requests, stats.routes["/v1/features"].requests, stats.views.stats.requests],
		[3, 3, 3],
	);
	assert.deepEqual([stats.tiers.l1.hits, stats.tiers.l1.misses, stats.tiers.origin.hits], [1, 2, 2]);
	assert.deepEqual([stats.quality.values_served, stats.isolate.l1_rows, stats.isolate.records_dropped], [3, 2, 0]);
	const sla = await engine.sla();
	assert.equal(sla.requests, 3);
	assert.ok(["compliant", "violation"].includes(sla.status));
	assert.deepEqual((await engine.alerts()).resolved, []);
	assert.match(await engine.metrics(), /^featheredge_requests_total 3$/m);
});

test("an answer says how the engine's service level stands, and its own", async (t) => {
	const engine = await engineOf(t, { sla: { p50_ms: 60_000, p95_ms: 60_000, p99_ms: 60_000 } });
	const metadata = async () => (await engine.serve({ ...ask(1), priority: "high" })).metadata;
	const { sla_status: status, serving_strategy: strategy, slo } = await metadata();
	assert.deepEqual([status, strategy, slo], ["no_data", "real_time_serving", { target_ms: 60_000, met: true }]);
	await engine.stats();
	assert.equal((await metadata()).sla_status, "compliant");
	const strict = await engineOf(t, { sla: { p50_ms: 1, availability_per_million: 1_000_000 } });
	const lost = { ...ask(1), deadline_ms: 1 };
	origin.answer({ hang: true });
	await assert.rejects(strict.serve(lost));
	origin.answer(answerFeatures);
	await strict.stats();
	assert.equal((await strict.serve(ask(1))).metadata.sla_status, "violation");
});

test("a flood of answers from memory is counted to the last", async (t) => {
	const engine = await engineOf(t);
	const body = new TextEncoder().encode(JSON.stringify(ask(1)));
	await engine.serveBytes(body);
	for (const _ of range(20_000)) engine.serveBytes(body);
	const { overall, isolate } = await engine.stats();
	assert.equal(overall.requests + isolate.records_dropped, 20_001);
	// Those that came after it had been told are not lost again.
	await engine.serveBytes(body);
	assert.equal((await engine.stats()).overall.requests, overall.requests + 1);
});

test("reports are read over HTTP", async (t) => {
	const engine = await engineOf(t, {}, { basePath: "/api" });
	await engine.serve(ask(1));
	const get = (path, init) => engine.fetch(new Request(`http://localhost/api${path}`, init));
	const metrics = await get("/metrics");
	assert.match(metrics.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
	assert.match(await metrics.text(), /^featheredge_tier_hits_total\{tier="l1"\} 0$/m);
	assert.equal((await (await get("/v1/sla")).json()).requests, 1);
	assert.equal((await get("/v1/stats", { method: "POST" })).status, 405);
	assert.equal(await (await get("/v1/stats", { method: "HEAD" })).text(), "");
	assert.equal((await get("/v1/sla?scope=galaxy")).status, 400);
	assert.equal((await get("/v1/sla?scope=deployment")).status, 503);
});

for (const [name, clock] of [
	["the clock", undefined],
	// Timers end before it shows their time.
	["a slow clock", () => BEGAN + Math.floor((Date.now() - BEGAN) * 0.9)],
]) {
	test(`a slow origin is told to the webhook by ${name}, without an answer waiting for it`, async (t) => {
		places.reset();
		places.answer({ hang: true });
		origin.answer(async (request) => ({ ...(await answerFeatures(request)), delayMs: 250 }));
		t.after(() => origin.answer(answerFeatures));
		const config = { alerts: { webhook_url: `${places.url}/alerts`, webhook_timeout_ms: 300 } };
		const engine = await engineOf(t, config, { authorizations: { webhook: "Bearer of-the-hook" }, clock });
		await engine.serve(ask(1));
		const began = performance.now();
		await engine.serve(ask(1));
		assert.ok(performance.now() - began < 200);
		await until(() => places.requests.length > 0);
		places.answer({ json: {} });
		const [{ path, headers, json }] = await until(() => places.requests.length > 1 && places.requests);
		assert.deepEqual([path, headers.authorization], ["/alerts", "Bearer of-the-hook"]);
		assert.deepEqual([json.alert.type, json.alert.status], ["high_latency", "open"]);
		assert.equal((await engine.alerts()).open[0].type, "high_latency");
	});
}

test("a report does not wait for the webhook", async (t) => {
	places.reset();
	places.answer({ hang: true });
	origin.answer(async (request) => ({ ...(await answerFeatures(request)), delayMs: 250 }));
	t.after(() => origin.answer(answerFeatures));
	const config = { alerts: { webhook_url: `${places.url}/alerts`, webhook_timeout_ms: 2_000 } };
	const engine = await engineOf(t, config);
	await engine.serve(ask(1));
	const began = performance.now();
	assert.equal((await engine.alerts()).open[0].type, "high_latency");
	assert.ok(performance.now() - began < 1_000);
	await until(() => places.requests.length > 0);
});

test("a request that the origin refuses as its caller's fault counts as no error", async (t) => {
	origin.answer({ status: 404, json: { detail: "no such view" } });
	t.after(() => origin.answer(answerFeatures));
	const engine = await engineOf(t);
	for (const id of range(5)) await engine.serve({ ...ask(id), feature_names: [`junk${id}:x`] }).catch(() => {});
	const { overall, views, quality } = await engine.stats();
	assert.deepEqual([overall.requests, overall.errors, quality.values_failed], [0, 0, 0]);
	assert.deepEqual(views, {});
});

test("a caller's trace reaches the origin, comes back, and its spans are posted", async (t) => {
	places.reset();
	places.answer({ json: {} });
	origin.reset();
	const engine = await engineOf(t, { telemetry: { traces_url: `${places.url}/v1/traces`, trace_sampling_percent: 0 } });
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	const request = new Request("http://localhost/v1/features", {
		method: "POST",
		body: JSON.stringify(ask(9)),
		headers: { traceparent },
	});
	const own = (await engine.fetch(request)).headers.get("traceparent");
	assert.match(own, /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
	assert.equal(origin.requests[0].headers.traceparent, own);
	await engine.close();
	// What was told is posted before the engine is gone.
	const { spans } = places.requests[0].json.resourceSpans[0].scopeSpans[0];
	assert.deepEqual(
		spans.map(({ name }) => name),
		["/v1/features", "origin"],
	);
});

test("a service level that cannot be used is an error of the configuration, which says which key", async () => {
	await assert.rejects(createEngine({ config: { sla: { p50_ms: "fast" } } }), /sla\.p50_ms/);
	await assert.rejects(createEngine({ config: { telemetry: { aggregate: true } } }), ConfigError);
});

test("an engine without telemetry counts no request", async (t) => {
	const engine = await engineOf(t, { telemetry: { enabled: false } });
	await engine.serve(ask(1));
	assert.equal((await engine.stats()).overall.requests, 0);
});

test("an idle engine closes at once, though requests were measured", async () => {
	const engine = await createEngine({ origin: feastOrigin(origin.url) });
	await engine.serve(ask(1));
	await engine.serve(ask(1));
	const began = performance.now();
	await engine.close();
	assert.ok(performance.now() - began < 500);
});
