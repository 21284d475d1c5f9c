// Whatever a client sends, it gets a clear answer with the right status, and the Worker serves the next request.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { gate, until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const NATIVE = "/v1/features";
const VIEWS = { stats: { join_keys: ["driver_id"] } };

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/worker.mjs").TestWorker} */
let worker;
before(async () => {
	origin = await startOrigin(answerFeatures);
	worker = await startWorker({ origin, vars: { views: VIEWS, limits: { refuse: true } } });
});
afterEach(() => {
	origin.reset();
	origin.answer(answerFeatures);
});
after(async () => {
	await worker?.stop();
	await origin?.stop();
});

async function stillServes(running = worker) {
	const reply = await running.post(FEAST, ask(["a"], [7]));
	assert.equal(reply.status, 200);
	assert.deepEqual(column(await reply.json(), "a"), [valueFor("a", 7)]);
}

const list = (count, of) => `[${Array(count).fill(of).join(",")}]`;
const feast = (features, entities) => `{"features":${features},"entities":${entities}}`;
const GOOD = '["stats:a"]';
const ROWS = '{"driver_id":[1]}';

/** Bodies of Feast's form, with the status that each gets. */
const BODIES = {
	"nothing at all": ["", 422],
	"white space alone": [" \n\t ", 422],
	"JSON cut short": [feast(GOOD, ROWS).slice(0, -1), 422],
	"JSON cut in a string": ['{"features":["sta', 422],
	"JSON cut in an escape": ['{"features":["\\u00', 422],
	"something behind the JSON": [`${feast(GOOD, ROWS)}{}`, 422],
	"10,000 opening brackets": ["[".repeat(10_000), 422],
	"10,000 opening braces": ['{"a":'.repeat(10_000), 422],
	"10,000 brackets as a key": [feast(GOOD, `{"driver_id":[${"[".repeat(10_000)}${"]".repeat(10_000)}]}`), 422],
	"10,000 brackets in an unknown field": [`{"x":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, 422],
	"a number beyond doubles": [feast(GOOD, '{"driver_id":[1e999]}'), 422],
	"a number that is none": [feast(GOOD, '{"driver_id":[NaN]}'), 422],
	"a lone high surrogate": [feast(GOOD, '{"driver_id":["\\ud83d"]}'), 422],
	"a lone low surrogate in a feature": [feast('["stats:\\ude95"]', ROWS), 422],
	"invalid UTF-8": [Buffer.concat([Buffer.from('{"features":["'), Buffer.from([0xc3, 0x28]), Buffer.from('"]}')]), 422],
	"UTF-16": [Buffer.from(feast(GOOD, ROWS), "utf16le"), 422],
	"a control character": ['{"features":["a\u0000b"]}', 422],
	"ragged columns": [feast(GOOD, '{"driver_id":[1,2],"other":[1]}'), 422],
	"more features than the limit": [feast(list(1_001, '"stats:a"'), ROWS), 422],
	"more entities than the limit": [feast(GOOD, `{"driver_id":${list(10_001, "1")}}`), 422],
	"more cells than the limit": [feast(list(500, '"stats:a"'), `{"driver_id":${list(300, "1")}}`), 422],
	"a key longer than the limit": [feast(GOOD, `{"driver_id":["${"k".repeat(5_000)}"]}`), 422],
	"10 MB": [feast(GOOD, `{"driver_id":["${"x".repeat(10 * 1024 * 1024)}"]}`), 413],
	"10 MB of brackets": ["[".repeat(10 * 1024 * 1024), 413],
};

describe("malformed bodies of Feast's form", () => {
	for (const [name, [body, status]] of Object.entries(BODIES)) {
		test(`${name}: ${status} in Feast's form, and the origin is not asked`, async () => {
			const reply = await worker.post(FEAST, body);
			const text = await reply.text();
			assert.equal(reply.status, status, text.slice(0, 300));
			assert.match(reply.headers.get("content-type"), /^application\/json/);
			const [{ type, loc, msg }] = JSON.parse(text).detail;
			assert.deepEqual([typeof type, loc[0], typeof msg], ["string", "body", "string"]);
			assert.ok(text.length < 1_000, "the answer does not repeat the body");
			assert.deepEqual(origin.requests, []);
			await stillServes();
		});
	}

	/** Sends opening brackets, a MiB at a time and without saying how many; resolves with the status, if any, and the MiB that were taken. */
	const sendBrackets = (mebibytes) =>
		new Promise((resolve) => {
			let sent = 0;
			const outgoing = httpRequest(`${worker.url}${FEAST}`, { method: "POST", agent: false });
			outgoing.on("response", (reply) => {
				resolve({ status: reply.statusCode, sent });
				reply.resume();
				outgoing.destroy();
			});
			outgoing.on("error", () => resolve({ sent }));
			const more = () => {
				if (sent >= mebibytes || outgoing.destroyed) return outgoing.end();
				sent += 1;
				outgoing.write(Buffer.alloc(1024 * 1024, "["), () => setImmediate(more));
			};
			more();
		});

	test("a body over the limit that does not say how long it is: 413", async () => {
		assert.equal((await sendBrackets(8)).status, 413);
		await stillServes();
	});

	test("a body without end is not read to its end", async () => {
		const { status, sent } = await sendBrackets(512);
		assert.ok(status === undefined || status === 413, `status ${status}`);
		assert.ok(sent < 128, `${sent} MiB were taken`);
		await stillServes();
	});

	for (const headers of [{ "content-type": "text/plain" }, { "content-type": "application/json; charset=latin1" }]) {
		test(`the content type ${headers["content-type"]}: the body is what counts`, async () => {
			assert.equal((await worker.post(FEAST, ask(["a"], [7]), headers)).status, 200);
		});
	}
});

describe("malformed bodies of the seed's form", () => {
	const good = { entity_ids: [1], feature_names: ["stats:a"] };
	for (const [name, body, status] of [
		["nothing", "", 422],
		["JSON cut short", JSON.stringify(good).slice(0, -1), 422],
		["10,000 brackets", "[".repeat(10_000), 422],
		["no entities", { feature_names: ["a"] }, 422],
		["no features", { entity_ids: [1] }, 422],
		["both forms of entities", { ...good, entities: { driver_id: [1] } }, 422],
		["an unknown field", { ...good, feature_name: ["a"] }, 422],
		["ids of two types", { ...good, entity_ids: [1, "1"] }, 422],
		["an unknown priority", { ...good, priority: "urgent" }, 422],
		["a staleness below zero", { ...good, max_staleness_seconds: -1 }, 422],
		["a deadline that is no number", { ...good, deadline_ms: "soon" }, 422],
		["10 MB", `{"request_id":"${"x".repeat(10 * 1024 * 1024)}"}`, 413],
	]) {
		test(`${name}: ${status} as a problem that says what is wrong`, async () => {
			const reply = await worker.post(NATIVE, body);
			const text = await reply.text();
			assert.equal(reply.status, status, text);
			assert.equal(reply.headers.get("content-type"), "application/problem+json");
			const problem = JSON.parse(text);
			assert.match(problem.type, /^urn:featheredge:problem:[a-z-]+$/);
			assert.equal(problem.status, status);
			assert.ok(problem.detail.length > 10, problem.detail);
			await stillServes();
		});
	}
});

test("a wrong method names the right one", async () => {
	for (const [path, method, allowed] of [
		[NATIVE, "GET", "POST"],
		["/health", "DELETE", "GET, HEAD"],
	]) {
		const reply = await fetch(`${worker.url}${path}`, { method });
		assert.equal(reply.status, 405);
		assert.equal(reply.headers.get("allow"), allowed);
	}
});

describe("the configuration", () => {
	for (const [name, vars, words] of [
		["an unknown key", { l1: { max_entires: 5 } }, /l1\.max_entires.*max_entries/],
		["a value out of range", { l2: { ttl_seconds: 5 } }, /l2\.ttl_seconds/],
		["a value of another type", { freshness: { ttl_seconds: "soon" } }, /freshness\.ttl_seconds/],
	]) {
		test(`${name}: 503 that names the key, whatever is asked`, async () => {
			const wrong = await startWorker({ vars });
			try {
				const replies = [await wrong.post(FEAST, ask(["a"], [1]))];
				for (const path of ["/ready", "/health"]) replies.push(await fetch(`${wrong.url}${path}`));
				for (const reply of replies) {
					assert.equal(reply.status, 503);
					assert.match(await reply.text(), words);
				}
			} finally {
				await wrong.stop();
			}
		});
	}
});

describe("credentials", () => {
	const SECRET = "Bearer of-the-deployment";
	let secured;
	before(async () => {
		secured = await startWorker({ origin, authorization: SECRET, vars: { views: VIEWS } });
	});
	after(() => secured?.stop());

	test("the configured secret goes to the origin, and nowhere else", async () => {
		const reply = await secured.post(FEAST, ask(["a"], [1]));
		const seen = JSON.stringify([...reply.headers]) + (await reply.text());
		assert.equal(origin.requests[0].headers.authorization, SECRET);
		origin.answer({ drop: true });
		const failed = await secured.post(FEAST, ask(["a"], [2]));
		const logs = secured.logs.join("\n");
		for (const text of [seen, await failed.text(), logs]) assert.ok(!text.includes("of-the-deployment"), text);
	});

	test("a caller's own goes with its request, which is not cached", async () => {
		const headers = { authorization: "Bearer of-the-caller" };
		for (const _ of range(2)) {
			assert.equal((await worker.post(FEAST, ask(["own"], [1]), headers)).status, 200);
		}
		assert.deepEqual(
			origin.requests.map((request) => request.headers.authorization),
			["Bearer of-the-caller", "Bearer of-the-caller"],
		);
		await worker.post(FEAST, ask(["own"], [1]));
		assert.equal(origin.requests.length, 3, "nobody else gets what that caller got");
	});
});

describe("a trap", () => {
	let fragile;
	before(async () => {
		// Without KV: a write behind an earlier response would take the trap that is set for the next request.
		fragile = await startWorker({ origin, canTrap: true, vars: { views: VIEWS, l2: { enabled: false } } });
	});
	after(() => fragile?.stop());

	for (const [when, name] of [
		["begin", "as a request begins"],
		["resume", "as a request goes on after I/O"],
	]) {
		test(`${name} costs that request, and a new instance serves the next`, async () => {
			await stillServes(fragile);
			await fetch(`${fragile.url}/__test/trap`, { method: "PUT", body: when });
			const lost = await fragile.post(FEAST, ask(["a"], [Math.floor(Math.random() * 1e9)]));
			assert.equal(lost.status, 500);
			assert.equal((await lost.json()).type, "urn:featheredge:problem:internal");
			await stillServes(fragile);
			assert.equal((await fetch(`${fragile.url}/health`)).status, 200);
		});
	}

	test("costs each of those who wait a problem of its own, and cuts what goes out in parts", async () => {
		await stillServes(fragile);
		origin.reset();
		// The first call of the stream is answered; its second waits, as those of all others do.
		const held = gate();
		origin.answer(async (request, index) => {
			if (index > 0) await held.wait();
			return answerFeatures(request);
		});
		const some = () => Math.floor(Math.random() * 1e9);
		const rows = { entities: { driver_id: range(64).map(some) }, feature_names: ["stats:a"] };
		const streamed = await fragile.post(NATIVE, rows, { accept: "application/x-ndjson" });
		assert.equal(streamed.status, 200);
		const waiting = range(5).map(() => fragile.post(FEAST, ask(["a"], [some()])));
		const passed = fragile.post(FEAST, { ...ask(["a"], [some()]), unheard_of: 1 });
		await until(() => origin.requests.length >= 8);
		await fetch(`${fragile.url}/__test/trap`, { method: "PUT", body: "begin" });
		const trapped = await fragile.post(FEAST, ask(["a"], [some()]));
		held.open();
		for (const lost of [trapped, ...(await Promise.all(waiting))]) {
			assert.equal(lost.status, 500);
			assert.equal(lost.headers.get("content-type"), "application/problem+json");
			assert.equal((await lost.json()).type, "urn:featheredge:problem:internal");
		}
		// workerd closes the chunks of a body that breaks off: that it was not all shows by its last line, which is none of metadata.
		const lines = (await streamed.text().catch(() => "")).trimEnd().split("\n");
		assert.ok(!lines.some((line) => line.includes('"metadata"')), lines.at(-1));
		assert.equal((await passed).status, 200, "what is passed on needs no core any more");
		origin.answer(answerFeatures);
		await stillServes(fragile);
	});

	test("as the core is asked what it has to tell costs no request, and a new instance begins to count", async () => {
		await stillServes(fragile);
		const rows = async () => (await (await fetch(`${fragile.url}/v1/stats`)).json()).isolate.l1_rows;
		assert.ok((await rows()) > 0);
		await fetch(`${fragile.url}/__test/trap`, { method: "PUT", body: "telemetry" });
		await (await fetch(`${fragile.url}/v1/stats`)).arrayBuffer();
		assert.equal(await rows(), 0, "the memory of the new instance is empty");
		await stillServes(fragile);
	});
});
