// Rows that are there before anybody asks for them: by the engine's `warm`, which does as `POST /v1/warm` does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { engineFor, namingOrigin, TestStore } from "./harness.mjs";

const CONFIG = { views: { users: { join_keys: ["user_id"] } } };

test("rows are fetched once, and are in the store when warm resolves", async (t) => {
	const origin = namingOrigin();
	const l2 = new TestStore();
	const engine = await engineFor(t, { origin, l2, config: CONFIG });
	const what = { entities: { user_id: [1, 2] }, feature_names: ["users:age"] };
	const { stores, ...report } = await engine.warm(what);
	const none = { rows: 2, fetched: 0, fresh: 0, not_found: 0, loaded: 0, failed: 0, remaining: 0, origin_calls: 0 };
	assert.deepEqual(report, { ...none, fetched: 2, origin_calls: 1 });
	assert.deepEqual([stores.l2_distributed.rows, l2.entries.size], [2, 2]);
	assert.equal((await engine.warm(what)).fresh, 2);
	const answer = await engine.serve(what);
	assert.equal(answer.features[2]["users:age"], "users:age of 2");
	assert.equal(origin.calls.length, 1);
});

test("lines bring their values, exactly as they are, and the origin is not asked", async (t) => {
	const origin = namingOrigin();
	const l2 = new TestStore();
	const engine = await engineFor(t, { origin, l2, config: CONFIG });
	function* lines() {
		for (let id = 0; id < 500; id++) {
			yield {
				entities: { user_id: [id] },
				values: { "users:age": [id], "users:exact": [9_007_199_254_740_993n] },
				event_timestamps: ["2026-01-02T03:04:05Z"],
			};
		}
	}
	const report = await engine.warm(lines());
	assert.deepEqual([report.rows, report.loaded, report.stores.l2_distributed.rows], [500, 500, 500]);
	const body = { entities: { user_id: [499] }, feature_names: ["users:age", "users:exact"] };
	const text = new TextDecoder().decode(await engine.serveBytes(new TextEncoder().encode(JSON.stringify(body))));
	assert.match(text, /"users:age":499,"users:exact":9007199254740993/);
	assert.equal(origin.calls.length, 0);
});

test("a row that cannot be warmed is refused by its line, as over HTTP, and nothing is written", async (t) => {
	const l2 = new TestStore();
	const engine = await engineFor(t, { l2, config: CONFIG });
	const good = { entity_ids: ["a"], values: { score: [1] } };
	await assert.rejects(engine.warm([good, { ...good, values: { score: [1, 2] } }]), (error) => {
		assert.deepEqual([error.name, error.code, error.status], ["RequestError", "invalid-field", 422]);
		assert.match(error.message, /body\.2/);
		return true;
	});
	const many = Array.from({ length: 801 }, (_, id) => ({ entity_ids: [id], values: { score: [1] } }));
	await assert.rejects(engine.warm(many), { code: "over-limit" });
	await assert.rejects(engine.warm([]), { code: "invalid-field" });
	assert.equal(l2.writes.length, 0);
});

test("rows that no request would read are refused with their view's keys, and none is written", async (t) => {
	const l2 = new TestStore();
	const origin = namingOrigin();
	const engine = await engineFor(t, { l2, origin, config: CONFIG });
	const keyed = /`users` is keyed by `user_id`/;
	const good = { entities: { user_id: [1] }, values: { "users:age": [1] } };
	for (const what of [
		{ entities: { driver_id: [1] }, values: { "users:age": [1] } },
		{ entities: { user_id: [1], at: [1] }, values: { "users:age": [1] } },
		{ entities: { driver_id: [1] }, feature_names: ["users:age"] },
	]) {
		await assert.rejects(engine.warm([good, what]), { name: "RequestError", status: 422, message: keyed });
	}
	assert.deepEqual([l2.writes.length, origin.calls.length], [0, 0]);
});

test("a signal ends it for its caller", async (t) => {
	const engine = await engineFor(t, { l2: new TestStore(), origin: () => new Promise(() => {}), config: CONFIG });
	const what = { entities: { user_id: [1] }, feature_names: ["users:age"] };
	await assert.rejects(engine.warm(what, { signal: AbortSignal.abort() }), { name: "AbortError" });
	await assert.rejects(engine.warm(what, { signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
});
