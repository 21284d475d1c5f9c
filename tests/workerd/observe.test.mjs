// The Worker watches itself on the real runtime: an origin that becomes slow is a violation, an alert that a webhook hears of, and
// resolved; windows of isolates meet in an object; traces go through; figures read as what their readers expect.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { answerFeatures, ask, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

const FEAST = "/get-online-features";
const VIEWS = { stats: { join_keys: ["driver_id"] } };
/** Windows that are short enough for a test. */
const SLA = { window_seconds: 5, burn_rate_hour_seconds: 30, burn_rate_min_requests: 5 };
const PATIENCE_MS = 60_000;
const wait = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

let nextDriver = 0;
const freshDriver = () => {
	nextDriver += 1;
	return [nextDriver];
};

/** Repeats `act` until it gives something. */
async function eventually(what, act) {
	const deadline = Date.now() + PATIENCE_MS;
	for (;;) {
		const found = await act();
		if (found) return found;
		assert.ok(Date.now() < deadline, `${what}: not within ${PATIENCE_MS} ms`);
		await wait(100);
	}
}

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/origin.mjs").Origin} */
let hook;
/** @type {import("../support/origin.mjs").Origin} */
let collector;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
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

describe("a slow origin", () => {
	const told = (type, status) => () =>
		hook.requests.map(({ json }) => json.alert).find((alert) => alert.type === type && alert.status === status);

	test("is a violation within one window, burns the budget, and the webhook hears of both", async () => {
		origin.answer(async (request) => ({ ...(await answerFeatures(request)), delayMs: 600 }));
		const began = Date.now();
		for (const _ of range(8)) await (await worker.post(FEAST, ask(["a"], freshDriver()))).arrayBuffer();
		const sla = await json("/v1/sla");
		assert.equal(sla.status, "violation");
		assert.ok(Date.now() - began < 2 * SLA.window_seconds * 1_000, "within the window");
		assert.ok(sla.details.current_p99 >= 600, JSON.stringify(sla.details));
		assert.equal(sla.burn_rates[0].is_burning, true);
		for (const type of ["high_latency", "sla_violation", "sla_burn_1h"]) {
			const alert = await eventually(type, told(type, "open"));
			assert.equal(alert.severity, "high");
			assert.match(alert.opened_at, /^\d{4}-.*Z$/);
		}
		assert.equal(hook.requests[0].path, "/alerts");
		const request = { entities: { driver_id: [1] }, feature_names: ["stats:a"], priority: "critical" };
		const { metadata } = await (await worker.post("/v1/features", request)).json();
		assert.deepEqual([metadata.sla_status, metadata.slo.target_ms], ["violation", 20]);
	});

	test("is resolved when it is fast again, and that is told too", async () => {
		origin.answer(answerFeatures);
		for (const type of ["high_latency", "sla_violation", "sla_burn_1h"]) {
			const alert = await eventually(`${type} resolved`, async () => {
				await (await worker.post(FEAST, ask(["a"], [1]))).arrayBuffer();
				return told(type, "resolved")();
			});
			assert.ok(alert.resolved_at > alert.opened_at);
		}
		const { open, resolved } = await json("/v1/alerts");
		assert.ok(!open.some(({ type }) => type === "sla_violation"));
		assert.ok(resolved.some(({ type }) => type === "sla_violation"));
	});

	test("costs no answer when the webhook is down", async () => {
		hook.answer({ hang: true });
		origin.answer(async (request) => ({ ...(await answerFeatures(request)), delayMs: 600 }));
		await (await worker.post(FEAST, ask(["a"], freshDriver()))).arrayBuffer();
		origin.answer(answerFeatures);
		const began = Date.now();
		assert.equal((await worker.post(FEAST, ask(["a"], [1]))).status, 200);
		assert.ok(Date.now() - began < 1_000, `${Date.now() - began} ms`);
		hook.answer({ json: {} });
	});
});

test("the deployment's windows are those that isolates sent, and say whose they are", async () => {
	const sla = await eventually("merged", async () => {
		await (await worker.post(FEAST, ask(["a"], [1]))).arrayBuffer();
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
	const reply = await worker.post(FEAST, ask(["a"], freshDriver()), { traceparent });
	await reply.arrayBuffer();
	const own = reply.headers.get("traceparent");
	assert.match(own, /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
	assert.equal(origin.requests[0].headers.traceparent, own);
	const [{ path, json: body }] = await eventually("spans", async () => {
		await (await worker.post(FEAST, ask(["a"], [1]))).arrayBuffer();
		return collector.requests.length > 0 && collector.requests;
	});
	assert.equal(path, "/v1/traces");
	const { spans } = body.resourceSpans[0].scopeSpans[0];
	assert.deepEqual(
		spans.map(({ name }) => name),
		[FEAST, "l2 read", "origin"],
	);
	assert.equal(spans[0].parentSpanId, "00f067aa0ba902b7");
});

test("a reply of memory begins no trace where none is asked for", async () => {
	const reply = await worker.post(FEAST, ask(["a"], [1]));
	await reply.arrayBuffer();
	assert.equal(reply.headers.get("traceparent"), null);
});
