// The main job on the real runtime with its real KV: what is asked of the origin and of KV, and what comes out.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { gate, until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const VIEWS = { stats: { join_keys: ["driver_id"] } };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
before(async () => {
	origin = await startOrigin(answerFeatures);
});
after(() => origin?.stop());

/** Writes to KV go on after the response. */
const written = (worker, keys) => until(async () => (await worker.kvCounts()).put >= keys);

describe("one Worker", () => {
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;
	let nextDriver = 0;
	/** Drivers that nobody has asked for. */
	const fresh = (count) => {
		nextDriver += count;
		return range(count, nextDriver - count);
	};
	const served = async (body, headers) => {
		const reply = await worker.post(FEAST, body, headers);
		assert.equal(reply.status, 200, await reply.clone().text());
		return reply;
	};
	before(async () => {
		worker = await startWorker({ origin, countKv: true, vars: { views: VIEWS } });
	});
	after(() => worker?.stop());
	afterEach(async () => {
		await worker.resetKv();
		origin.reset();
		origin.answer(answerFeatures);
	});

	test("100 entities × 50 features: cold one call and one bulk read, warm none of either", async (context) => {
		const body = ask(
			range(50).map((index) => `feature_${index}`),
			fresh(100),
		);
		const cold = await (await served(body)).json();
		await written(worker, 100);
		const afterCold = await worker.kvCounts();
		const coldCalls = origin.requests.length;
		const warm = await (await served(body)).json();
		const afterWarm = await worker.kvCounts();
		context.diagnostic(
			`cold: ${coldCalls} origin call, ${afterCold.bulkGet} bulk read of ${afterCold.keysRead} keys, ${afterCold.put} writes; ` +
				`warm: ${origin.requests.length - coldCalls} calls, ${afterWarm.bulkGet - afterCold.bulkGet} reads`,
		);
		assert.deepEqual([coldCalls, afterCold.bulkGet, afterCold.get, afterCold.keysRead], [1, 1, 0, 100]);
		assert.deepEqual([origin.requests.length, afterWarm.bulkGet, afterWarm.get], [1, 1, 0]);
		assert.equal(afterWarm.put, 100, "nothing that has not changed is written again");
		assert.deepEqual(warm, cold);
		assert.deepEqual(
			column(warm, "feature_49"),
			body.entities.driver_id.map((driver) => valueFor("feature_49", driver)),
		);
	});

	test("250 entities: one bulk read for each hundred, and still one call", async () => {
		await served(ask(["a"], fresh(250)));
		assert.deepEqual([(await worker.kvCounts()).bulkGet, origin.requests.length], [3, 1]);
	});

	test("a request for features b and c after one for a and b fetches c alone", async () => {
		const [driver] = fresh(1);
		await served(ask(["a", "b"], [driver]));
		const answer = await (await served(ask(["b", "c"], [driver]))).json();
		assert.deepEqual(column(answer, "b"), [valueFor("b", driver)]);
		assert.deepEqual(column(answer, "c"), [valueFor("c", driver)]);
		assert.deepEqual(
			origin.requests.map(({ json }) => json.features),
			[["stats:a", "stats:b"], ["stats:c"]],
		);
	});

	test("an entity that is named twice costs one row and stands twice in the answer", async () => {
		const [one, two] = fresh(2);
		const answer = await (await served(ask(["a"], [one, two, one]))).json();
		assert.deepEqual(column(answer, "a"), [valueFor("a", one), valueFor("a", two), valueFor("a", one)]);
		assert.deepEqual(origin.requests[0].json.entities.driver_id, [one, two]);
		assert.equal((await worker.kvCounts()).keysRead, 2);
	});

	test("headers tell which tier answered, how old it is, and where the time went", async () => {
		const body = ask(["a"], fresh(1));
		const cold = await served(body);
		assert.equal(
			cold.headers.get("cache-status"),
			"featheredge-l2; fwd=miss; fwd-status=200, featheredge-l1; fwd=miss",
		);
		assert.match(cold.headers.get("server-timing"), /total;dur=\d+.*l2;dur=\d+.*origin;dur=\d+/);
		const warm = await served(body);
		assert.equal(warm.headers.get("cache-status"), "featheredge-l1; hit");
		assert.match(warm.headers.get("age"), /^\d+$/);
	});

	test("200 different requests at once: each gets its own answer", async () => {
		const drivers = fresh(200);
		const replies = await Promise.all(
			drivers.map(async (driver) => [driver, await (await served(ask(["a", `b_${driver}`], [driver]))).json()]),
		);
		for (const [driver, answer] of replies) {
			assert.deepEqual(column(answer, "driver_id"), [driver]);
			assert.deepEqual(column(answer, `b_${driver}`), [valueFor(`b_${driver}`, driver)]);
		}
	});

	test("200 cold requests for one row at once make one call to the origin", async (context) => {
		origin.answer(async (request) => ({ ...answerFeatures(request), delayMs: 200 }));
		const body = ask(["a"], fresh(1));
		const replies = await Promise.all(range(200).map(async () => (await served(body)).json()));
		context.diagnostic(`${replies.length} requests, ${origin.requests.length} origin call`);
		assert.equal(origin.requests.length, 1);
		for (const answer of replies) assert.deepEqual(answer, replies[0]);
	});

	test("requests that share the call of a caller who hangs up are answered", async () => {
		const [shared, ...own] = fresh(21);
		const held = gate();
		const asksFor = (driver) => origin.requests.filter(({ json }) => json.entities.driver_id.includes(driver)).length;
		origin.answer(async (request) => {
			if (request.json.entities.driver_id.includes(shared) && asksFor(shared) === 1) await held.wait();
			return answerFeatures(request);
		});
		const leader = new AbortController();
		const led = fetch(`${worker.url}${FEAST}`, {
			method: "POST",
			body: JSON.stringify(ask(["a"], [shared])),
			signal: leader.signal,
		}).catch(() => "gone");
		await held.reached;
		const followers = own.map((driver) => served(ask(["a"], [shared, driver])));
		await until(() => own.every(asksFor), { what: "a call for the other row of each follower" });
		leader.abort();
		const began = performance.now();
		assert.equal(await led, "gone");
		held.open();
		for (const [index, reply] of (await Promise.all(followers)).entries()) {
			assert.deepEqual(
				column(await reply.json(), "a"),
				[shared, own[index]].map((driver) => valueFor("a", driver)),
			);
		}
		const waited = performance.now() - began;
		assert.ok(waited < 1_000, `${waited} ms`);
		assert.ok(asksFor(shared) <= 2, `${asksFor(shared)} calls`);
	});

	test("a value is served in the text that the origin sent, cold and warm", async () => {
		const values = ["1.0", "1e300", "-0", "9007199254740993", "0.1000", '"\\u0041\\ud83d\\ude95"', "null", "[1.50,2]"];
		const drivers = fresh(values.length);
		const list = (items) => `[${items.join(",")}]`;
		const times = list(values.map(() => '"2026-01-02T03:04:05Z"'));
		const present = list(values.map(() => '"PRESENT"'));
		const result = (columnValues) =>
			`{"values":${list(columnValues)},"statuses":${present},"event_timestamps":${times}}`;
		origin.answer({
			body: `{"results":[${result(drivers)},${result(values)}],"metadata":{"feature_names":["driver_id","exact"]}}`,
		});
		const texts = [
			await (await served(ask(["exact"], drivers))).text(),
			await (await served(ask(["exact"], drivers))).text(),
		];
		assert.equal(texts[0], texts[1]);
		assert.ok(texts[0].includes(`"values":${list(values)}`), texts[0]);
	});

	test("a request to /v1/features says which pattern served it, and takes a deadline", async () => {
		const entity_ids = fresh(3);
		const request = { entity_ids, feature_names: ["stats:a"], include: ["tier", "status", "age"] };
		const asked = async (more) => (await worker.post("/v1/features", { ...request, ...more })).json();
		assert.equal((await asked({})).metadata.serving_strategy, "hybrid_serving");
		// From memory, so that the deadline holds on a busy machine too.
		assert.equal((await asked({ priority: "high", deadline_ms: 90 })).metadata.serving_strategy, "real_time_serving");
		const many = await asked({ feature_names: range(20).map((index) => `stats:f${index}`) });
		assert.equal(many.metadata.serving_strategy, "batch_serving");
		origin.answer({ hang: true });
		const started = Date.now();
		const late = await worker.post("/v1/features", { ...request, entity_ids: fresh(1), deadline_ms: 300 });
		assert.ok(Date.now() - started < 2_000, "the deadline holds");
		assert.equal(late.status, 504);
	});
});

test("a Worker that has just started serves rows of KV", async () => {
	const persist = mkdtempSync(join(tmpdir(), "featheredge-kv-"));
	const body = ask(["a", "b"], range(30));
	try {
		origin.reset();
		const first = await startWorker({ origin, persist, countKv: true, vars: { views: VIEWS } });
		const before = await (await first.post(FEAST, body)).json();
		await written(first, 30);
		await first.stop();
		const second = await startWorker({ origin, persist, countKv: true, vars: { views: VIEWS } });
		try {
			const reply = await second.post(FEAST, body);
			assert.equal(reply.headers.get("cache-status"), "featheredge-l2; hit, featheredge-l1; fwd=miss");
			assert.deepEqual(await reply.json(), before);
			assert.equal((await second.kvCounts()).bulkGet, 1);
			assert.equal(origin.requests.length, 1, "the origin was asked by the first Worker alone");
		} finally {
			await second.stop();
		}
	} finally {
		rmSync(persist, { recursive: true, force: true });
	}
});
