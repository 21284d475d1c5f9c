// The Worker watches itself on the real runtime: an origin that becomes slow is a violation, an alert that a webhook hears of, and
// resolved; windows of isolates meet in an object; traces go through; figures read as what their readers expect.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { answerFeatures, ask, FEAST, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const VIEWS = { stats: { join_keys: ["driver_id"] } };
/** Windows that are short enough for a test. */
const SLA = { window_seconds: 5, burn_rate_hour_seconds: 30, burn_rate_min_requests: 5 };
const PATIENCE_MS = 60_000;
let nextDriver = 0;
const freshDriver = () => {
	nextDriver += 1;
	return [nextDriver];
};

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/origin.mjs").Origin} */
let hook;
/** @type {import("../support/origin.mjs").Origin} */
let collector;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
const serve = async (drivers, headers) => {
	const reply = await worker.post(FEAST, ask(["a"], drivers), headers);
	await reply.arrayBuffer();
	assert.equal(reply.status, 200);
	return reply.headers;
};
/** Waits until `look` sees something; what is due is evaluated and sent after responses, so rows are served meanwhile. */
const eventually = (what, look) =>
	until(
		async () => {
			await serve([1]);
			return look();
		},
		{ what, withinMs: PATIENCE_MS, everyMs: 100 },
	);
const json = async (path) => (await fetch(`${worker.url}${path}`)).json();

before(async () => {
	[origin, hook, collector] = await Promise.all([startOrigin(answerFeatures), startOrigin(), startOrigin()]);
	worker = await startWorker({
		origin,
		vars: {
			views: VIEWS,
			sla: SLA,
			alerts: { webhook_url: `${hook.url}/alerts`, keep_firing_seconds: 1, min_requests: 5 },
			telemetry: { aggregate: true, traces_url: `${collector.url}/v1/traces`, trace_sampling_percent: 0 },
		},
	});
});
after(() => Promise.all([worker, origin, hook, collector].map((server) => server?.stop())));

/** Serves so many rows from an origin that takes longer than the SLO permits. */
async function serveSlowly() {
	origin.answer((request) => ({ ...answerFeatures(request), delayMs: 600 }));
	for (const _ of range(8)) await serve(freshDriver());
	origin.answer(answerFeatures);
}

describe("a slow origin", () => {
	const ALERTS = ["high_latency", "sla_violation", "sla_burn_1h"];
	const sent = (type, status) =>
		hook.requests.map(({ json }) => json.alert).find((alert) => alert.type === type && alert.status === status);

	test("violates the SLO at once, and opens alerts at the webhook that are resolved once it is fast", async () => {
		await serveSlowly();
		const sla = await json("/v1/sla");
		assert.equal(sla.status, "violation");
		assert.ok(sla.details.current_p99 >= 600, JSON.stringify(sla.details));
		assert.equal(sla.burn_rates[0].is_burning, true);
		const request = { entities: { driver_id: [1] }, feature_names: ["stats:a"], priority: "critical" };
		const { metadata } = await (await worker.post("/v1/features", request)).json();
		assert.deepEqual([metadata.sla_status, metadata.slo.target_ms], ["violation", 20]);
		for (const type of ALERTS) {
			const alert = await until(() => sent(type, "open"), { what: `${type} is open`, withinMs: PATIENCE_MS });
			assert.equal(alert.severity, "high");
			assert.match(alert.opened_at, /^\d{4}-.*Z$/);
		}
		assert.equal(hook.requests[0].path, "/alerts");
		for (const type of ALERTS) {
			const alert = await eventually(`${type} is resolved`, () => sent(type, "resolved"));
			assert.ok(alert.resolved_at > alert.opened_at);
		}
		const { open, resolved } = await json("/v1/alerts");
		assert.ok(!open.some(({ type }) => type === "sla_violation"));
		assert.ok(resolved.some(({ type }) => type === "sla_violation"));
	});

	test("costs no response when the webhook hangs", async () => {
		hook.reset();
		hook.answer({ hang: true });
		await serveSlowly();
		await eventually("a call of the webhook", () => hook.requests.length > 0);
		const began = Date.now();
		await serve([1]);
		assert.ok(Date.now() - began < 1_000, `${Date.now() - began} ms`);
		hook.answer({ json: {} });
	});
});

test("the deployment's windows are those that isolates sent, and say whose they are", async () => {
	const sla = await eventually("windows of an isolate", async () => {
		const merged = await json("/v1/sla?scope=deployment");
		return merged.requests > 0 && merged;
	});
	assert.equal(sla.scope, "deployment");
	assert.equal((await json("/v1/sla")).scope, "isolate");
	assert.match(await (await fetch(`${worker.url}/metrics?scope=deployment`)).text(), /featheredge_requests_total \d+/);
});

test("a caller's trace reaches the origin, comes back, and its spans are exported", async () => {
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	origin.reset();
	const own = (await serve(freshDriver(), { traceparent })).get("traceparent");
	assert.match(own, /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
	assert.equal(origin.requests[0].headers.traceparent, own);
	const { path, json: body } = await eventually("spans", () => collector.requests[0]);
	assert.equal(path, "/v1/traces");
	const { spans } = body.resourceSpans[0].scopeSpans[0];
	assert.deepEqual(
		spans.map(({ name }) => name),
		[FEAST, "l2 read", "origin"],
	);
	assert.equal(spans[0].parentSpanId, "00f067aa0ba902b7");
});

test("a response from memory begins no trace unless its caller has one", async () => {
	await serve([1]);
	assert.equal((await serve([1])).get("traceparent"), null);
});
