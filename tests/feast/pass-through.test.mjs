// All of Feast's paths but the call for features go through Featheredge untouched.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertSameReply } from "./exact.mjs";
import { edgeOnly, getOnlineFeatures, post, send, startWorld } from "./world.mjs";

const TIME = "2026-11-23T09:22:41";
const frame = (driver, trips) => ({
	driver_id: [driver],
	event_timestamp: [TIME],
	created: [TIME],
	conv_rate: [1.5],
	acc_rate: [0.25],
	avg_daily_trips: [trips],
	driver_metadata: [{ vehicle_type: "truck" }],
	driver_config: ['{"max_distance_km": 500}'],
	driver_profile: [{ name: "Zoë", age: "30" }],
});
const push = (driver, trips, source = "driver_stats_push_source") => ({
	push_source_name: source,
	df: frame(driver, trips),
	to: "online",
});

/** Method, path, and the body where there is one. */
const CALLS = [
	["POST", "/push", push(1001, 5)],
	["POST", "/push", push(1001, 5, "no_such_source")],
	["POST", "/push", { ...push(1001, 5), to: "nowhere" }],
	["POST", "/push", {}],
	["POST", "/write-to-online-store", { feature_view_name: "driver_hourly_stats", df: frame(1002, 6) }],
	["POST", "/write-to-online-store", { feature_view_name: "no_such_view", df: frame(1002, 6) }],
	["POST", "/materialize", {}],
	["POST", "/materialize-incremental", {}],
	[
		"POST",
		"/get-online-features?status=true",
		{ features: ["driver_hourly_stats:conv_rate"], entities: { driver_id: [1001] } },
	],
	["POST", "/search", {}],
	["POST", "/retrieve-online-documents", {}],
	["GET", "/docs"],
	["GET", "/redoc"],
	["GET", "/chat"],
	["GET", "/v1/vector_stores"],
	["GET", "/v1/vector_stores?limit=1&after=%C3%A9"],
	["GET", "/no/such/path"],
	["POST", "/no/such/path", { a: 1 }],
	["GET", "/get-online-features"],
	["PUT", "/get-online-features", { entities: {} }],
	["OPTIONS", "/get-online-features"],
	["HEAD", "/push"],
	["DELETE", "/push"],
];

/** @type {import("./world.mjs").World} */
let world;
let edge;
before(async () => {
	world = await startWorld();
	edge = await world.startEdge();
});
after(() => world?.stop());

for (const [method, path, body] of CALLS) {
	test(`${method} ${path} ${body ? JSON.stringify(body).slice(0, 60) : ""}: Feast's own status and body`, async () => {
		const request = body
			? { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
			: { method };
		const expected = await send(world.feast.url, path, request);
		assertSameReply(await send(edge.url, path, request), expected, "through Featheredge");
	});
}

test("what is pushed through Featheredge is in Feast's store", async () => {
	assert.equal((await post(edge.url, "/push", push(1003, 77))).status, 200);
	const written = { feature_view_name: "driver_hourly_stats", df: frame(1003, 78) };
	assert.equal((await post(edge.url, "/write-to-online-store", written)).body, "null");
	const features = ["driver_hourly_stats_fresh:avg_daily_trips", "driver_hourly_stats:avg_daily_trips"];
	for (const [index, trips] of [77, 78].entries()) {
		const { body } = await getOnlineFeatures(world.feast.url, {
			features: [features[index]],
			entities: { driver_id: [1003] },
		});
		assert.ok(body.includes(`"values":[${trips}]`), body);
	}
});

test("what the edge's own description says of a write, Feast does", edgeOnly, async () => {
	const { paths } = JSON.parse((await send(edge.url, "/openapi.json")).body);
	const writes = Object.entries(paths).filter(([, { post: operation }]) => operation?.tags.includes("writes"));
	assert.equal(writes.length, 4);
	for (const [path, { post: operation }] of writes) {
		const { example } = operation.requestBody.content["application/json"];
		const { status, body } = await post(edge.url, path, example);
		assert.equal(status, 200, `${path}: ${body}`);
	}
});

test("Featheredge itself answers for its health and its own paths", edgeOnly, async () => {
	const health = await send(edge.url, "/health");
	assert.deepEqual([health.status, health.body], [200, ""]);
	const ready = await send(edge.url, "/ready");
	assert.equal(ready.status, 200);
	assert.equal(JSON.parse(ready.body).ready, true);
	assert.ok(JSON.parse((await send(edge.url, "/openapi.json")).body).paths["/v1/features"], "its own description");
});
