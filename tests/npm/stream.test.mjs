import assert from "node:assert/strict";
import { test } from "node:test";
import { range } from "../support/features.mjs";
import { until } from "../support/wait.mjs";
import { engineFor, namingOrigin } from "./harness.mjs";

const request = (ids) => ({ entity_ids: ids, feature_names: ["score"] });

test("an entity is streamed as soon as it is complete, and the metadata last", async (t) => {
	const calls = [];
	const naming = namingOrigin();
	const origin = (entities, features) =>
		new Promise((resolve) => calls.push(() => resolve(naming(entities, features))));
	const config = { views: { features: { join_keys: ["entity_id"] } }, deadlines: { default_ms: 20_000 } };
	const engine = await engineFor(t, { origin, config });
	const warm = engine.serve(request(["warm"]));
	await until(() => calls.length === 1);
	calls.pop()();
	await warm;
	const lines = engine.stream(request(["cold", "warm"]));
	const first = await lines.next();
	assert.deepEqual(first.value, { entity: "warm", features: { score: "score of warm" } });
	await until(() => calls.length === 1);
	calls.pop()();
	assert.deepEqual((await lines.next()).value, { entity: "cold", features: { score: "score of cold" } });
	const last = (await lines.next()).value;
	assert.equal(last.metadata.serving_strategy, "streaming_serving");
	assert.equal(last.quality_metrics.completeness, 1);
	assert.equal((await lines.next()).done, true);
});

test("thousands of entities come, each once", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin() });
	for (const _ of range(2)) {
		const seen = new Set();
		for await (const { entity } of engine.stream(request(range(5_000)))) if (entity !== undefined) seen.add(entity);
		assert.equal(seen.size, 5_000);
	}
});

test("a reader who stops ends the request, and the engine goes on", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin() });
	for await (const line of engine.stream(request(range(5_000)))) {
		assert.ok(line.features);
		break;
	}
	assert.equal((await engine.serve(request(["a"]))).features.a.score, "score of a");
});

test("a request that is at fault is refused before the first line", async (t) => {
	const engine = await engineFor(t);
	await assert.rejects(engine.stream(request([])).next(), { code: "invalid-field" });
	const off = await engineFor(t, { config: { routing: { streaming: false } } });
	await assert.rejects(off.stream(request(["a"])).next(), { code: "invalid-configuration" });
});

test("the handler streams to whoever accepts lines", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin() });
	const response = await engine.fetch(
		new Request("http://localhost/v1/features", {
			method: "POST",
			headers: { accept: "application/x-ndjson" },
			body: JSON.stringify(request(range(300))),
		}),
	);
	assert.equal(response.headers.get("content-type"), "application/x-ndjson");
	const lines = (await response.text())
		.trimEnd()
		.split("\n")
		.map((line) => JSON.parse(line));
	assert.equal(lines.length, 301);
});
