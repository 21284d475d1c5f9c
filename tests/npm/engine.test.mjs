import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import {
	ClosedError,
	ConfigError,
	createEngine,
	FeatheredgeError,
	feastOrigin,
	httpOrigin,
	OriginError,
	RequestError,
} from "../../build/package/dist/node.js";
import { answerFeatures, range } from "../support/features.mjs";
import { startMortalOrigin } from "../support/mortal-origin.mjs";
import { startOrigin } from "../support/origin.mjs";
import { gate, until } from "../support/wait.mjs";
import { bytes, engineFor, namingOrigin, TestStore, text } from "./harness.mjs";

const REQUEST = { entity_ids: ["a", "b"], feature_names: ["score", "v:count"] };

test("a request is served as an object, from the built-in origin where none is named", async (t) => {
	const engine = await engineFor(t);
	const cold = await engine.serve({ ...REQUEST, request_id: "r-1" });
	assert.equal(cold.request_id, "r-1");
	assert.deepEqual(Object.keys(cold.features), ["a", "b"]);
	assert.equal(cold.cache_stats.compute_requests > 0, true);
	const warm = await engine.serve(REQUEST);
	assert.deepEqual(warm.features, cold.features);
	assert.equal(warm.cache_stats.l1_hits, 2);
});

test("bytes are served at once when memory has all of them, and by a promise when it has not", async (t) => {
	const engine = await engineFor(t);
	const cold = engine.serveBytes(bytes({ ...REQUEST, request_id: "r" }));
	assert.ok(cold instanceof Promise);
	await cold;
	const warm = engine.serveBytes(bytes({ ...REQUEST, request_id: "r" }));
	assert.ok(warm instanceof Uint8Array);
	assert.equal(JSON.parse(text(warm)).cache_stats.l1_hits, 2);
});

test("bytes come with the reply's headers where they are asked for", async (t) => {
	const engine = await engineFor(t);
	const cold = await engine.serveBytes(bytes(REQUEST), { headers: true });
	assert.match(new Headers(cold.headers).get("server-timing"), /^total;dur=\d+.*origin;dur=\d+/);
	const warm = engine.serveBytes(bytes(REQUEST), { headers: true });
	assert.equal(new Headers(warm.headers).get("cache-status"), "featheredge-l1; hit");
	assert.equal(JSON.parse(text(warm.body)).cache_stats.l1_hits, 2);
});

test("a body of Feast's form is served in Feast's form, exact to the byte", async (t) => {
	const engine = await engineFor(t);
	const body = bytes('{"features":["v:score"],"entities":{"id":[9007199254740993,"é"]}}');
	const cold = await engine.serveBytes(body, { protocol: "feast" });
	assert.match(text(cold), /^\{"results":\[\{"values":\[9007199254740993,"é"\]/);
	assert.deepEqual(engine.serveBytes(body, { protocol: "feast" }), cold);
});

test("a reply is the caller's own and no later call changes it", async (t) => {
	const engine = await engineFor(t);
	const body = bytes('{"features":["v:score"],"entities":{"id":[1]}}');
	const first = await engine.serveBytes(body, { protocol: "feast" });
	const copy = first.slice();
	await engine.serveBytes(bytes('{"features":["v:count"],"entities":{"id":[7,8]}}'), { protocol: "feast" });
	assert.deepEqual(first, copy);
});

test("a function computes what no tier has, in columns, and is not asked again", async (t) => {
	const origin = namingOrigin();
	const engine = await engineFor(t, { origin });
	const { features } = await engine.serve(REQUEST);
	assert.equal(features.a.score, "score of a");
	assert.equal(features.b["v:count"], "v:count of b");
	assert.deepEqual(origin.calls[0].entities, { entity_id: ["a", "b"] });
	const asked = origin.calls.flatMap((call) => call.features);
	await engine.serve(REQUEST);
	assert.deepEqual(asked.toSorted(), ["score", "v:count"]);
	assert.equal(origin.calls.flatMap((call) => call.features).length, 2);
});

test("a function may be slow, say how a value is, and give vectors as typed arrays", async (t) => {
	const engine = await engineFor(t, {
		origin: async () => ({
			mean: {
				values: [1.5, null],
				statuses: ["PRESENT", "NULL_VALUE"],
				eventTimestamps: [new Date(0), "2026-01-02T03:04:05Z"],
			},
			embedding: [new Float32Array([0.5, 0.25]), undefined],
		}),
	});
	const answer = await engine.serve({
		entity_ids: [1, 2],
		feature_names: ["mean", "embedding"],
		include: ["status", "event_timestamp"],
	});
	assert.deepEqual(answer.features[1].embedding.value, [0.5, 0.25]);
	assert.deepEqual(answer.features[2], {
		mean: { value: null, status: "NULL_VALUE", event_timestamp: "2026-01-02T03:04:05Z" },
		embedding: { value: null, status: "NOT_FOUND", event_timestamp: "1970-01-01T00:00:00Z" },
	});
});

test("a feature that a function leaves out is not found", async (t) => {
	const engine = await engineFor(t, { origin: () => ({ here: [1] }) });
	const answer = await engine.serve({ entity_ids: [1], feature_names: ["here", "gone"], include: ["status"] });
	assert.deepEqual(answer.features[1].here, { value: 1, status: "PRESENT" });
	assert.deepEqual(answer.features[1].gone, { value: null, status: "NOT_FOUND" });
});

test("a column of the wrong length is an error that names it", async (t) => {
	const engine = await engineFor(t, { origin: () => ({ short: [1] }) });
	const failed = engine.serve({ entity_ids: [1, 2], feature_names: ["short"] });
	await assert.rejects(failed, (error) => {
		assert.ok(error instanceof OriginError);
		assert.match(error.message, /1 values for `short` and 2 entities/);
		assert.ok(error.cause instanceof RangeError);
		return true;
	});
});

test("an error that an origin function throws is the cause of the caller's", async (t) => {
	const fault = new Error("no model loaded");
	const engine = await engineFor(t, {
		origin: () => {
			throw fault;
		},
	});
	const failed = engine.serve({ entity_ids: [1], feature_names: ["a"] });
	await assert.rejects(failed, (error) => {
		assert.equal(error.code, "origin-error");
		assert.match(error.message, /no model loaded/);
		assert.equal(error.cause, fault);
		return true;
	});
});

test("whole numbers that floats do not hold travel as bigint and stay themselves", async (t) => {
	const id = 9007199254740993n;
	const origin = (entities) => ({ twice: entities.entity_id.map((key) => BigInt(key) * 2n) });
	const engine = await engineFor(t, { origin });
	await engine.serve({ entity_ids: [id], feature_names: ["twice"] });
	const raw = engine.serveBytes(bytes('{"entity_ids":[9007199254740993],"feature_names":["twice"]}'));
	assert.match(text(raw), /"9007199254740993":\{"twice":18014398509481986\}/);
});

test("full names keep features of one name in two views apart", async (t) => {
	const engine = await engineFor(t, {
		origin: (_, features) => Object.fromEntries(features.map((feature) => [feature, [feature]])),
	});
	const body = bytes({ features: ["v:n", "w:n"], entities: { id: [1] }, full_feature_names: true });
	const answer = JSON.parse(text(await engine.serveBytes(body, { protocol: "feast" })));
	assert.deepEqual(answer.metadata.feature_names, ["id", "v__n", "w__n"]);
	assert.deepEqual(
		answer.results.map(({ values }) => values),
		[[1], ["v:n"], ["w:n"]],
	);
});

test("an HTTP origin of Feast's contract is asked with its headers, by one call for all entities", async (t) => {
	const origin = await startOrigin(answerFeatures);
	t.after(() => origin.stop());
	const engine = await engineFor(t, { origin: feastOrigin(origin.url, { headers: { authorization: "Bearer x" } }) });
	const answer = await engine.serve({ entities: { driver_id: range(50) }, feature_names: ["stats:rate"] });
	assert.equal(Object.keys(answer.features).length, 50);
	assert.equal(origin.requests.length, 1);
	assert.equal(origin.requests[0].path, "/get-online-features");
	assert.equal(origin.requests[0].headers.authorization, "Bearer x");
});

test("an origin that is one URL is asked there and nowhere else", async (t) => {
	const origin = await startOrigin(answerFeatures);
	t.after(() => origin.stop());
	const engine = await engineFor(t, { origin: httpOrigin(`${origin.url}/compute?v=2`) });
	await engine.serve({ entities: { driver_id: [1] }, feature_names: ["stats:rate"] });
	const elsewhere = await engine.fetch(new Request("http://localhost/push", { method: "POST", body: "{}" }));
	assert.equal(elsewhere.status, 404);
	assert.deepEqual(
		origin.requests.map(({ path }) => path),
		["/compute?v=2"],
	);
});

test("an origin that is down is an error with a code, and costs stored rows nothing", async (t) => {
	const origin = await startOrigin(answerFeatures);
	const engine = await engineFor(t, { origin: feastOrigin(origin.url) });
	await engine.serve({ entities: { driver_id: [1] }, feature_names: ["stats:rate"] });
	await origin.stop();
	await engine.serve({ entities: { driver_id: [1] }, feature_names: ["stats:rate"] });
	await assert.rejects(engine.serve({ entities: { driver_id: [2] }, feature_names: ["stats:rate"] }), {
		name: "OriginError",
		code: "origin-unreachable",
	});
});

test("a connection that the origin closes just as it is used again costs nobody an answer", async (t) => {
	const origin = await startMortalOrigin();
	t.after(() => origin.stop());
	const engine = await engineFor(t, { origin: feastOrigin(origin.url) });
	const ask = (id) => engine.serve({ entities: { driver_id: [id] }, feature_names: ["stats:rate"] });
	for (const id of range(10)) await ask(id);
	assert.ok(origin.calls > 10, "connections were used again, and failed");
	Object.assign(origin, { patience: 0, calls: 0 });
	await assert.rejects(ask(1_000), { code: "origin-unreachable" });
	assert.equal(origin.calls, 3);
});

test("an origin that is late is given up by its timeout", async (t) => {
	const origin = await startOrigin({ hang: true });
	t.after(() => origin.stop());
	const engine = await engineFor(t, { origin: feastOrigin(origin.url, { timeout: 80 }) });
	await assert.rejects(engine.serve({ entities: { driver_id: [2] }, feature_names: ["stats:rate"] }), {
		name: "OriginError",
		code: "origin-timeout",
	});
});

test("a registry that hangs is waited for no longer than half of a deadline", async (t) => {
	const [origin, registry] = await Promise.all([startOrigin(answerFeatures), startOrigin({ hang: true })]);
	t.after(() => Promise.all([origin.stop(), registry.stop()]));
	const config = { registry: { url: registry.url }, origin: { timeout_ms: 3_000 } };
	const engine = await engineFor(t, { origin: feastOrigin(origin.url), config });
	const ask = (id, deadline_ms) =>
		engine.serve({ entities: { driver_id: [id] }, feature_names: ["stats:rate"], deadline_ms });
	const took = async (asked) => {
		const began = Date.now();
		assert.equal((await asked).quality_metrics.completeness, 1);
		return Date.now() - began;
	};
	const first = took(ask(1, 600));
	assert.ok((await took(ask(2, 5_000))) < 250, "who comes meanwhile does not wait");
	const waited = await first;
	assert.ok(waited >= 290 && waited < 600, `${waited} ms`);
	assert.equal(registry.requests.length, 1);
});

test("rows are read from the store and written in the background", async (t) => {
	const l2 = new TestStore();
	const first = await createEngine({ l2, origin: namingOrigin() });
	await first.serve(REQUEST);
	await first.close();
	assert.equal(l2.entries.size, 2);
	assert.ok(l2.writes.every(({ ttl }) => ttl === 3_600));
	const origin = namingOrigin();
	const second = await engineFor(t, { l2, origin });
	const answer = await second.serve(REQUEST);
	assert.equal(answer.cache_stats.l2_hits, 2);
	assert.equal(origin.calls.length, 0);
});

test("a second store completes what the first lacks, and both are filled", async (t) => {
	const [l2, l3] = [new TestStore(), new TestStore()];
	const first = await createEngine({ l2, l3, origin: namingOrigin() });
	await first.serve(REQUEST);
	await first.close();
	assert.deepEqual([l2.entries.size, l3.entries.size], [2, 2]);
	l2.entries.clear();
	const origin = namingOrigin();
	const second = await engineFor(t, { l2, l3, origin });
	const answer = await second.serve(REQUEST);
	assert.deepEqual([answer.cache_stats.l2_misses, answer.cache_stats.l3_hits, origin.calls.length], [2, 2, 0]);
	await until(() => l2.entries.size === 2);
});

for (const fault of ["fail", "hang", "rubbish", "short", "text", "transferred", "huge"]) {
	test(`a store that does ${fault} costs its own share alone`, async (t) => {
		const l2 = new TestStore();
		l2.fault = fault;
		const engine = await engineFor(t, { l2, origin: namingOrigin(), config: { l2: { timeout_ms: 50 } } });
		const answer = await engine.serve(REQUEST);
		assert.equal(answer.features.a.score, "score of a");
		assert.equal(answer.quality_metrics.completeness, 1);
	});
}

test("two hundred callers for one cold row are one call of the origin", async (t) => {
	let calls = 0;
	const held = gate();
	const engine = await engineFor(t, {
		origin: async () => {
			calls += 1;
			await held.wait();
			return { score: [1] };
		},
	});
	const waiting = range(200).map(() => engine.serve({ entity_ids: ["x"], feature_names: ["score"] }));
	await held.reached;
	held.open();
	const answers = await Promise.all(waiting);
	assert.ok(answers.every((answer) => answer.features.x.score === 1));
	assert.equal(calls, 1);
});

test("an aborted call ends with the signal's reason, and others go on", async (t) => {
	const calls = [];
	const engine = await engineFor(t, {
		origin: () => new Promise((resolve) => calls.push(() => resolve({ score: [1] }))),
	});
	const controller = new AbortController();
	const request = { entity_ids: ["x"], feature_names: ["score"] };
	const leader = engine.serve(request, { signal: controller.signal });
	const follower = engine.serve(request);
	await until(() => calls.length === 1);
	const reason = new Error("gone");
	controller.abort(reason);
	await assert.rejects(leader, reason);
	await until(() => calls.length === 2);
	calls[1]();
	assert.equal((await follower).features.x.score, 1);
	await assert.rejects(engine.serve(request, { signal: AbortSignal.abort(reason) }), reason);
});

test("a request that is at fault is refused with the code of its problem", async (t) => {
	const engine = await engineFor(t);
	await assert.rejects(engine.serve({ ...REQUEST, priority: "urgent" }), (error) => {
		assert.ok(error instanceof RequestError && error instanceof FeatheredgeError);
		assert.deepEqual([error.code, error.status], ["invalid-field", 422]);
		assert.match(error.message, /`urgent` is none of/);
		return true;
	});
	assert.throws(() => engine.serveBytes(bytes("{")), { code: "malformed-json" });
	assert.throws(() => engine.serveBytes(new Uint8Array(3 << 20)), { code: "over-limit" });
	assert.throws(() => engine.serveBytes(bytes("{"), { protocol: "feast" }), { name: "RequestError", status: 422 });
});

test("a configuration that cannot be used is an error that names the key", async () => {
	await assert.rejects(createEngine({ config: { l2: { ttl: 5 } } }), (error) => {
		assert.ok(error instanceof ConfigError);
		assert.match(error.message, /`l2.ttl`/);
		return true;
	});
	await assert.rejects(createEngine({ config: { auth: { mode: "tokens" } } }), /`auth.mode` is for the Worker/);
	await assert.rejects(createEngine({ l2: {} }), { code: "invalid-configuration" });
	await assert.rejects(createEngine({ origin: {} }), { code: "invalid-configuration" });
});

test("a closed engine ends what is under way, writes what was put off, and serves no more", async () => {
	const l2 = new TestStore();
	const engine = await createEngine({ l2, origin: namingOrigin() });
	await engine.serve(REQUEST);
	const hanging = await createEngine({ origin: () => new Promise(() => {}), config: { origin: { timeout_ms: 100 } } });
	const waiting = hanging.serve(REQUEST);
	await Promise.all([engine.close(), hanging.close(), assert.rejects(waiting, ClosedError)]);
	assert.equal(l2.entries.size, 2);
	await assert.rejects(engine.serve(REQUEST), { code: "closed" });
	assert.throws(() => engine.serveBytes(bytes(REQUEST)), ClosedError);
});

test("an engine that closes while a store is busy writes what waits for it, one batch at a time", async () => {
	const l2 = new TestStore();
	let [underWay, most] = [0, 0];
	const slow = {
		getMany: (keys, options) => l2.getMany(keys, options),
		async setMany(entries, options) {
			most = Math.max(most, ++underWay);
			await setImmediate();
			await l2.setMany(entries, options);
			underWay -= 1;
		},
	};
	const config = { l2: { max_writes_per_request: 2 } };
	const engine = await createEngine({ l2: slow, origin: namingOrigin(), config });
	const ids = Array.from({ length: 10 }, (_, number) => `user ${number}`);
	const serve = (feature) => ids.map((id) => engine.serve({ entity_ids: [id], feature_names: [feature] }));
	await Promise.all(serve("age"));
	await engine.close();
	assert.deepEqual([l2.entries.size, l2.writes.flatMap(({ keys }) => keys).length, most], [10, 10, 1]);
});

test("each call of close waits for the writes that are under way, the second one too", async () => {
	const l2 = new TestStore();
	const held = gate();
	const slow = {
		getMany: (keys, options) => l2.getMany(keys, options),
		async setMany(entries, options) {
			await held.wait();
			await l2.setMany(entries, options);
		},
	};
	const engine = await createEngine({ l2: slow, origin: namingOrigin() });
	await engine.serve(REQUEST);
	const written = () => l2.entries.size;
	const closings = [engine.close().then(written), engine.close().then(written)];
	await held.reached;
	held.open();
	assert.deepEqual(await Promise.all(closings), [2, 2]);
});

test("the clock is the caller's", async (t) => {
	let now = 1_000_000_000_000;
	const engine = await engineFor(t, { clock: () => now, origin: namingOrigin() });
	await engine.serve(REQUEST);
	now += 7_000;
	const { features } = await engine.serve({ ...REQUEST, include: ["age"] });
	assert.equal(features.a.score.age_ms, 7_000);
});

test("a prefetched row is in memory when it is asked for", async (t) => {
	const asked = [];
	const engine = await createEngine({
		origin(entities) {
			asked.push(entities.user_id);
			return { age: entities.user_id.map(() => 7) };
		},
	});
	t.after(() => engine.close());
	const request = { entities: { user_id: [1, 2] }, feature_names: ["users:age"] };
	assert.equal(await engine.prefetch(request), undefined);
	const { cache_stats: stats } = await engine.serve(request);
	assert.deepEqual([stats.l1_hits, asked], [2, [[1, 2]]]);
	await assert.rejects(engine.prefetch({ feature_names: [] }), RequestError);
});

test("invalidation makes the origin be asked again", async (t) => {
	let now = 1_000_000_000_000;
	const origin = namingOrigin();
	const config = { views: { v: { join_keys: ["entity_id"] }, features: { join_keys: ["entity_id"], sources: [] } } };
	const engine = await engineFor(t, { clock: () => now, origin, config });
	await engine.serve(REQUEST);
	const before = origin.calls.length;
	now += 10;
	assert.deepEqual(await engine.invalidate({ view: "v" }), { invalidated: { v: "all" } });
	now += 10;
	await engine.serve(REQUEST);
	assert.deepEqual(
		origin.calls.slice(before).map(({ features }) => features),
		[["v:count"]],
	);
});

test("two engines in one process keep their rows apart", async (t) => {
	const one = await engineFor(t, { origin: () => ({ score: [1] }) });
	const other = await engineFor(t, { origin: () => ({ score: [2] }) });
	const request = { entity_ids: ["x"], feature_names: ["score"] };
	assert.equal((await one.serve(request)).features.x.score, 1);
	assert.equal((await other.serve(request)).features.x.score, 2);
	assert.equal((await one.serve(request)).features.x.score, 1);
});
