// A bad tier costs its own share alone: KV and the origin fail on the real runtime in each way they can, and what can be served is.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, statuses, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { gate, until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const VIEWS = { stats: { join_keys: ["driver_id"] } };
/** How long the origin is down under load; the figure in docs/guide/resilience.md is for 60. */
const OUTAGE_SECONDS = Number(process.env.FEATHEREDGE_OUTAGE_SECONDS ?? 3);

let nextDriver = 0;
/** Drivers that nobody has asked for. */
const fresh = (count) => {
	nextDriver += count;
	return range(count, nextDriver - count);
};

/** @type {import("../support/origin.mjs").Origin} */
let origin;
before(async () => {
	origin = await startOrigin(answerFeatures);
});
afterEach(() => {
	origin.reset();
	origin.answer(answerFeatures);
});
after(() => origin?.stop());

/** A Worker that reads and writes KV whatever becomes of it: a breaker would hide KV from the requests that are to meet its faults. */
function workerOverKv() {
	const over = {};
	before(async () => {
		const vars = { views: VIEWS, l2: { timeout_ms: 150 }, breaker: { enabled: false } };
		over.worker = await startWorker({ origin, countKv: true, vars });
	});
	afterEach(() => over.worker.resetKv());
	after(() => over.worker?.stop());
	return over;
}

/** Asks for some rows that memory has in part, and for others. */
async function askForMore({ worker }, { entities }) {
	const other = ask(["a", "b"], [...entities.driver_id, ...fresh(2)]);
	const began = performance.now();
	const reply = await worker.post(FEAST, other);
	assert.equal(reply.status, 200);
	const waited = performance.now() - began;
	assert.ok(waited < 900, `${waited} ms`);
	assert.deepEqual(
		column(await reply.json(), "b"),
		other.entities.driver_id.map((driver) => valueFor("b", driver)),
	);
}

describe("KV whose reads fail", () => {
	const over = workerOverKv();

	for (const [name, faults] of Object.entries({
		"throws errors": { get: { error: "KV GET failed: 500" } },
		hangs: { get: { hang: true } },
		"is slow": { get: { delayMs: 1_000 } },
		"returns rubbish": { value: { text: "not a row" } },
		"returns an empty text": { value: { text: "" } },
	})) {
		test(`it ${name}: the origin answers, and nobody waits`, async () => {
			const body = ask(["a"], fresh(5));
			await over.worker.post(FEAST, body);
			await until(async () => (await over.worker.kvCounts()).put >= 5);
			await over.worker.faultKv(faults);
			await askForMore(over, body);
			const { bulkGet } = await over.worker.kvCounts();
			assert.ok(bulkGet >= 2, "KV was asked");
		});
	}

	test("it fails on half its reads: no request does", async (context) => {
		let failed = 0;
		for (const round of range(20)) {
			await over.worker.faultKv(round % 2 === 0 ? { get: { error: "KV GET failed: 500" } } : {});
			const replies = await Promise.all(range(20).map(() => over.worker.post(FEAST, ask(["a"], fresh(2)))));
			failed += replies.filter(({ status }) => status !== 200).length;
			await Promise.all(replies.map((reply) => reply.arrayBuffer()));
		}
		context.diagnostic(`400 requests, 10 of 20 rounds of reads failed, ${failed} failed requests`);
		assert.equal(failed, 0);
	});
});

describe("KV whose writes fail", () => {
	const over = workerOverKv();

	for (const [name, put] of Object.entries({
		"throws errors": { error: "KV PUT failed: 429 Too Many Requests" },
		hangs: { hang: true },
	})) {
		test(`it ${name}: the origin answers, and nobody waits`, async () => {
			await over.worker.faultKv({ put });
			const body = ask(["a"], fresh(5));
			await over.worker.post(FEAST, body);
			await askForMore(over, body);
		});
	}
});

test("the circuit of a KV that keeps failing opens, and closes once KV is back", async () => {
	const worker = await startWorker({
		origin,
		countKv: true,
		vars: { views: VIEWS, breaker: { open_ms: 500, window_operations: 10 } },
	});
	try {
		await worker.faultKv({ get: { error: "KV GET failed: 500" }, put: { error: "KV PUT failed: 500" } });
		for (const driver of fresh(40)) assert.equal((await worker.post(FEAST, ask(["a"], [driver]))).status, 200);
		const { bulkGet } = await worker.kvCounts();
		assert.ok(bulkGet < 20, `${bulkGet} reads of 40 requests`);
		await worker.resetKv();
		await until(
			async () => {
				await worker.post(FEAST, ask(["a"], fresh(1)));
				return (await worker.kvCounts()).bulkGet > 0;
			},
			{ what: "a read of KV once its breaker has been open for long enough" },
		);
		await worker.resetKv();
		for (const driver of fresh(20)) await worker.post(FEAST, ask(["a"], [driver]));
		assert.ok((await worker.kvCounts()).bulkGet >= 10, "its reads succeed, so it is asked again");
	} finally {
		await worker.stop();
	}
});

describe("the origin", () => {
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;
	const vars = {
		views: VIEWS,
		origin: { timeout_ms: 400 },
		limits: { origin_body_bytes: 100_000 },
		breaker: { enabled: false },
	};
	before(async () => {
		worker = await startWorker({ origin, vars });
	});
	after(() => worker?.stop());

	const WHOLE = '{"results":[],"metadata":{"feature_names":[]}}';
	for (const [name, answer, status] of [
		["hangs", { hang: true }, 504],
		["closes the connection", { drop: true }, 502],
		["ends in the middle of its answer", { chunks: ['{"results":['], drop: true }, 502],
		["redirects elsewhere", { status: 302, headers: { location: "http://127.0.0.1:9/elsewhere" } }, 502],
		["sends more than is taken", { body: `{"results":[],"x":"${"y".repeat(200_000)}"}` }, 502],
		["sends more than is taken, in chunks", { chunks: range(20).map(() => "y".repeat(10_000)) }, 502],
		["sends no JSON", { body: "<html>Bad gateway</html>" }, 502],
		["sends nothing", { body: "" }, 502],
		["sends JSON of another form", { json: { hello: "world" } }, 502],
		["sends nesting without end", { body: "[".repeat(10_000) }, 502],
		["sends columns of another length", { body: WHOLE.replace("[]", '[{"values":[1,2,3]}]') }, 502],
		["sends bytes that are no UTF-8", { body: Buffer.from([0x22, 0xff, 0xfe, 0x22]) }, 502],
	]) {
		test(`it ${name}: ${status} with a clear reason, and the next request is served`, async () => {
			origin.answer(answer);
			const reply = await worker.post(FEAST, ask(["a"], fresh(1)));
			const text = await reply.text();
			assert.equal(reply.status, status, text);
			assert.match(JSON.parse(text), /origin/);
			const native = await worker.post("/v1/features", { entity_ids: fresh(1), feature_names: ["stats:a"] });
			assert.equal(native.status, status);
			const problem = await native.json();
			assert.match(problem.type, /^urn:featheredge:problem:origin-/);
			origin.answer(answerFeatures);
			assert.equal((await worker.post(FEAST, ask(["a"], fresh(1)))).status, 200);
		});
	}

	test("it sends its answer in pieces: they are put together", async () => {
		const body = ask(["a"], fresh(20));
		origin.answer((request) => {
			const text = JSON.stringify(answerFeatures(request).json);
			return { chunks: text.match(/.{1,100}/gs), chunkDelayMs: 2 };
		});
		const answer = await (await worker.post(FEAST, body)).json();
		assert.deepEqual(
			column(answer, "a"),
			body.entities.driver_id.map((driver) => valueFor("a", driver)),
		);
	});

	for (const status of [400, 401, 403, 404, 422, 500]) {
		test(`it refuses with ${status}: status and body come through, and nothing is remembered`, async () => {
			const words = JSON.stringify(`the origin's own words for ${status}`);
			origin.answer({ status, body: words });
			const body = ask(["a"], fresh(1));
			for (const _ of range(2)) {
				const reply = await worker.post(FEAST, body);
				assert.equal(reply.status, status);
				assert.equal(await reply.text(), words);
			}
			assert.equal(origin.requests.length, 2);
		});
	}

	test("it fails and a part is known: that part is served, the rest is INVALID", async () => {
		const [known, unknown] = fresh(2);
		await worker.post(FEAST, ask(["a"], [known]));
		origin.answer({ drop: true });
		const reply = await worker.post(FEAST, ask(["a"], [known, unknown]));
		assert.equal(reply.status, 200);
		const answer = await reply.json();
		assert.deepEqual(column(answer, "a"), [valueFor("a", known), null]);
		assert.deepEqual(statuses(answer, "a"), ["PRESENT", "INVALID"]);
	});

	test("its other paths stream through as they come", { timeout: 10_000 }, async () => {
		const held = gate();
		async function* chunks() {
			yield "one ";
			await held.wait();
			yield "two";
		}
		origin.answer({ status: 207, headers: { "x-own": "yes" }, chunks: chunks() });
		const reply = await worker.post("/retrieve-online-documents", { any: "thing" }, { "x-mine": "1" });
		assert.equal(reply.status, 207);
		assert.equal(reply.headers.get("x-own"), "yes");
		const reader = reply.body.getReader();
		const text = async () => new TextDecoder().decode((await reader.read()).value);
		assert.equal(await text(), "one ", "the first piece comes before the second is sent");
		held.open();
		assert.equal(await text(), "two");
		assert.equal((await reader.read()).done, true);
		assert.deepEqual(origin.requests[0].json, { any: "thing" });
		assert.equal(origin.requests[0].headers["x-mine"], "1");
	});
});

test(`an origin that is down for ${OUTAGE_SECONDS} s under load fails no request for warm rows`, async (context) => {
	const worker = await startWorker({
		origin,
		vars: { views: VIEWS, freshness: { ttl_seconds: 1, stale_if_error_seconds: 600 } },
	});
	try {
		const bodies = fresh(200).map((driver) => ask(["a", "b"], [driver]));
		for (const body of bodies) await (await worker.post(FEAST, body)).arrayBuffer();
		origin.answer({ drop: true });
		const end = Date.now() + OUTAGE_SECONDS * 1_000;
		let requests = 0;
		let failed = 0;
		let slowest = 0;
		const client = async (number) => {
			for (let index = number; Date.now() < end; index += 1) {
				const body = bodies[index % bodies.length];
				const started = performance.now();
				const reply = await worker.post(FEAST, body);
				const answer = await reply.json();
				slowest = Math.max(slowest, performance.now() - started);
				requests += 1;
				const isRight = reply.status === 200 && column(answer, "a")[0] === valueFor("a", body.entities.driver_id[0]);
				failed += isRight ? 0 : 1;
			}
		};
		await Promise.all(range(8).map((number) => client(number * 25)));
		context.diagnostic(
			`${requests} requests in ${OUTAGE_SECONDS} s, ${failed} failed, the slowest took ${slowest.toFixed(0)} ms; ` +
				`the origin was called ${origin.requests.length - bodies.length} times meanwhile`,
		);
		assert.equal(failed, 0);
		origin.answer(answerFeatures);
		const isServed = async () => (await worker.post(FEAST, ask(["a"], fresh(1)))).status === 200;
		await until(isServed, { what: "a row of the origin, once its breaker has been open for long enough" });
	} finally {
		await worker.stop();
	}
});

test("a registry that hangs is waited for no longer than half of a deadline", async (t) => {
	const registry = await startOrigin({ hang: true });
	t.after(() => registry.stop());
	const worker = await startWorker({ origin, vars: { registry: { url: registry.url } } });
	t.after(() => worker.stop());
	const asked = async (driver, deadline_ms) => {
		const began = Date.now();
		const request = { entities: { driver_id: [driver] }, feature_names: ["stats:a"], deadline_ms };
		const reply = await worker.post("/v1/features", request);
		assert.equal((await reply.json()).quality_metrics?.completeness, 1);
		return Date.now() - began;
	};
	const waited = await asked(fresh(1)[0], 1_000);
	assert.ok(waited >= 490 && waited < 1_000, `${waited} ms`);
	const later = await asked(fresh(1)[0], 1_000);
	assert.ok(later < 490, `${later} ms`);
	assert.equal(registry.requests.length, 1);
});
