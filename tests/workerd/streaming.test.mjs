// Answers by lines on the real runtime: the first long before the last row is there, held back by a slow reader, given up by one who leaves.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, range, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const PATH = "/v1/features";
const LINES = "application/x-ndjson";
const VIEWS = { stats: { join_keys: ["driver_id"] } };

let nextDriver = 0;
/** Drivers that nobody has asked for. */
const fresh = (count) => {
	nextDriver += count;
	return range(count, nextDriver - count);
};
const ask = (drivers, more = {}) => ({ entities: { driver_id: drivers }, feature_names: ["stats:a"], ...more });
const wait = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** Gives each line of a reply as it arrives, parsed. */
async function* linesOf(reply) {
	let rest = "";
	for await (const text of reply.body.pipeThrough(new TextDecoderStream())) {
		const lines = (rest + text).split("\n");
		rest = lines.pop();
		for (const line of lines) yield JSON.parse(line);
	}
	assert.equal(rest, "", "the last line has an end");
}

async function all(reply) {
	const lines = [];
	for await (const line of linesOf(reply)) lines.push(line);
	const last = lines.pop();
	assert.equal(last.metadata?.serving_strategy, "streaming_serving", JSON.stringify(last));
	return { lines, last };
}

const entities = (lines) => lines.map(({ entity }) => entity);
const ascending = (numbers) => numbers.toSorted((one, other) => one - other);

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

describe("a Worker", () => {
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;
	const streamed = (body) => worker.post(PATH, body, { accept: LINES });
	before(async () => {
		const vars = {
			views: VIEWS,
			// Miniflare's KV takes thousands of writes in seconds during which the Worker stands still.
			l2: { max_writes_per_day: 0 },
			// Deadlines that a busy machine does not pass.
			origin: { timeout_ms: 30_000 },
			deadlines: { default_ms: 60_000 },
		};
		worker = await startWorker({ origin, vars });
	});
	after(() => worker?.stop());

	test("2,000 entities over a slow origin: the first line comes before the last row was fetched", async (context) => {
		// It computes a row in a millisecond, one call at a time.
		let queue = Promise.resolve();
		const fetchedAt = [];
		origin.answer(async (request) => {
			queue = queue.then(() => wait(request.json.entities.driver_id.length));
			await queue;
			fetchedAt.push(Date.now());
			return answerFeatures(request);
		});
		const drivers = fresh(2_000);
		const begun = Date.now();
		const reply = await streamed(ask(drivers));
		assert.deepEqual([reply.status, reply.headers.get("content-type")], [200, LINES]);
		assert.match(reply.headers.get("server-timing"), /desc=streaming_serving/);
		let firstAt = 0;
		let callsBefore = 0;
		const lines = [];
		for await (const line of linesOf(reply)) {
			if (lines.length === 0) {
				firstAt = Date.now();
				callsBefore = fetchedAt.length;
			}
			lines.push(line);
		}
		const { metadata, problem, quality_metrics } = lines.pop();
		context.diagnostic(
			`first line after ${firstAt - begun} ms, when ${callsBefore} of ${fetchedAt.length} calls were answered; ` +
				`last call answered after ${fetchedAt.at(-1) - begun} ms, last line after ${Date.now() - begun} ms`,
		);
		assert.ok(firstAt < fetchedAt.at(-1), "the first line came before the last row was fetched");
		assert.deepEqual(ascending(entities(lines)), drivers);
		for (const { entity, features } of lines) assert.equal(features["stats:a"], valueFor("a", entity));
		assert.deepEqual([metadata.serving_strategy, metadata.entities, problem], ["streaming_serving", 2_000, undefined]);
		assert.equal(quality_metrics.completeness, 1);
	});

	test("rows of memory come as lines in one piece, and as JSON for callers that do not accept lines", async () => {
		const drivers = fresh(30);
		await (await streamed(ask(drivers))).arrayBuffer();
		const { lines, last } = await all(await streamed(ask(drivers)));
		assert.deepEqual(entities(lines), drivers);
		assert.equal(last.cache_stats.l1_hits, 30);
		assert.equal(origin.requests.length, 1);
		for (const accept of ["application/json", "*/*", `application/json, ${LINES};q=0`, `${LINES}+x`]) {
			const plain = await worker.post(PATH, ask(drivers), { accept });
			assert.equal(plain.headers.get("content-type"), "application/json", accept);
			assert.equal(Object.keys((await plain.json()).features).length, 30);
		}
		const either = await worker.post(PATH, ask(drivers), { accept: `application/json;q=0.5, ${LINES};q=0.9` });
		assert.equal(either.headers.get("content-type"), LINES);
		await either.arrayBuffer();
	});

	test("a stream has the rows of memory first and then those of the origin, each entity once", async () => {
		const [warm, cold] = [fresh(120), fresh(300)];
		await (await streamed(ask(warm))).arrayBuffer();
		const more = { include: ["tier", "status"] };
		const { lines } = await all(await streamed(ask([...cold, ...warm, ...cold], more)));
		assert.deepEqual(ascending(entities(lines)), [...warm, ...cold]);
		const tiers = lines.map(({ features }) => features["stats:a"].tier);
		assert.ok(tiers.slice(0, 120).every((tier) => tier === "l1_memory"));
		assert.ok(tiers.slice(120).every((tier) => tier === "l4_compute"));
	});

	test("a stream ends at its deadline with INVALID for entities that have not come", async () => {
		const warm = fresh(10);
		await (await streamed(ask(warm))).arrayBuffer();
		origin.answer({ hang: true });
		const drivers = [...warm, ...fresh(40)];
		const { lines, last } = await all(await streamed(ask(drivers, { deadline_ms: 500, include: ["status"] })));
		assert.deepEqual(ascending(entities(lines)), drivers);
		assert.equal(lines.filter(({ features }) => features["stats:a"].status === "INVALID").length, 40);
		assert.equal(last.problem.type, "urn:featheredge:problem:origin-timeout");
	});

	test("an error before the first line is an ordinary problem", async () => {
		const malformed = await streamed({ feature_names: ["stats:a"] });
		assert.deepEqual([malformed.status, malformed.headers.get("content-type")], [422, "application/problem+json"]);
		origin.answer({ status: 404, json: "no such view" });
		const unknown = await streamed(ask(fresh(1_000)));
		assert.deepEqual([unknown.status, unknown.headers.get("content-type")], [404, "application/problem+json"]);
		await unknown.arrayBuffer();
	});

	test("streams and plain requests for the same rows at one time share their calls", async () => {
		origin.answer(async (request) => ({ ...answerFeatures(request), delayMs: 300 }));
		const drivers = fresh(30);
		const [one, other, plain] = await Promise.all([
			streamed(ask(drivers)).then(all),
			streamed(ask(drivers)).then(all),
			worker.post(PATH, ask(drivers)).then((reply) => reply.json()),
		]);
		assert.deepEqual([entities(one.lines), entities(other.lines)], [drivers, drivers]);
		assert.equal(Object.keys(plain.features).length, 30);
		// A reader who has left, in a test before, may have calls on their way.
		const calls = origin.requests.filter(({ json }) => json.entities.driver_id.some((id) => drivers.includes(id)));
		// One, or two where the machine was so busy that the first one's lease ran out.
		assert.ok(calls.length > 0 && calls.length < 3, `${calls.length} calls`);
	});
});

describe("a reader", () => {
	const ROWS = 100;
	/** Values of 4 KB: an answer that no buffer on the way takes whole. */
	const large = (request) => {
		const answer = answerFeatures(request);
		const values = answer.json.results[1].values;
		answer.json.results[1].values = values.map((value) => value.padEnd(4_096, "."));
		return { ...answer, delayMs: 20 };
	};
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;
	before(async () => {
		const vars = {
			views: VIEWS,
			l2: { enabled: false },
			routing: { chunk_rows: ROWS },
			limits: { body_bytes: 4_000_000, entities: 100_000 },
			deadlines: { default_ms: 60_000 },
		};
		worker = await startWorker({ origin, vars });
	});
	after(() => worker?.stop());

	/** A connection on which nothing is read but by `read`. */
	async function openSlowly(body) {
		const socket = connect({ host: "127.0.0.1", port: worker.port });
		socket.pause();
		await once(socket, "connect");
		const text = JSON.stringify(body);
		const head = `POST ${PATH} HTTP/1.1\r\nhost: x\r\naccept: ${LINES}\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n`;
		socket.write(head + text);
		return socket;
	}

	test("that reads slowly holds back the calls to the origin, and gets everything", async (context) => {
		origin.answer(large);
		const drivers = fresh(20_000);
		const socket = await openSlowly(ask(drivers));
		await until(() => origin.requests.length > 0);
		// Until it has made no call for a while: what is on the way has filled all buffers.
		for (let calls = 0; calls < origin.requests.length; await wait(1_000)) calls = origin.requests.length;
		const held = origin.requests.length;
		let text = "";
		socket.setEncoding("utf8").on("data", (part) => {
			text += part;
		});
		socket.resume();
		await once(socket, "close");
		context.diagnostic(
			`${held} of ${origin.requests.length} calls were made while nobody read; ${Math.round(text.length / 1e6)} MB in all`,
		);
		assert.ok(held < origin.requests.length / 3, `${held} of ${origin.requests.length} calls`);
		const seen = new Set([...text.matchAll(/\{"entity":(\d+),/g)].map(([, entity]) => Number(entity)));
		assert.equal(seen.size, drivers.length);
		assert.match(text, /"completeness":1\.000000/);
	});

	test("that hangs up ends the calls to the origin, and the next is served", async (context) => {
		origin.answer((request) => ({ ...large(request), delayMs: 200 }));
		const drivers = fresh(20_000);
		const socket = await openSlowly(ask(drivers));
		socket.resume();
		await until(() => origin.requests.length > 6);
		socket.destroy();
		for (let calls = 0; calls < origin.requests.length; await wait(1_000)) calls = origin.requests.length;
		context.diagnostic(`${origin.requests.length} calls of some ${drivers.length / ROWS} were made`);
		assert.ok(origin.requests.length < 40, `${origin.requests.length} calls`);
		const began = performance.now();
		const { lines } = await all(await worker.post(PATH, ask(drivers.slice(-200)), { accept: LINES }));
		assert.equal(lines.length, 200);
		// A call to the origin that is under way for nobody would hold its permit for 5 s.
		const waited = performance.now() - began;
		assert.ok(waited < 4_000, `${waited} ms`);
	});
});

test("a Worker with streaming switched off responds with JSON to callers that accept lines", async () => {
	const worker = await startWorker({ origin, vars: { views: VIEWS, routing: { streaming: false } } });
	try {
		const reply = await worker.post(PATH, ask(fresh(2)), { accept: LINES });
		assert.deepEqual([reply.status, reply.headers.get("content-type")], [200, "application/json"]);
		assert.equal((await reply.json()).metadata.serving_strategy, "hybrid_serving");
	} finally {
		await worker.stop();
	}
});
