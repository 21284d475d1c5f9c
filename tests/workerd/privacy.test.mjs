// What others can read: stores, logs, errors. An entity's id, a feature's value and a token stand in none of them in clear where the
// secret of the stores' keys is set; without it, in the values of the stores alone.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };
const ENTITY = "alice-4711";
const TOKEN = "token-of-somebody";

const newKey = () => randomBytes(32).toString("base64");
const secret = (current, keys) => ({ FEATHEREDGE_STORE_ENCRYPTION_KEYS: JSON.stringify({ current, keys }) });

/** @type {import("../support/origin.mjs").Origin} */
let origin;
before(async () => {
	origin = await startOrigin(answerFeatures);
});
beforeEach(() => {
	origin.reset();
	origin.answer(answerFeatures);
});
after(() => origin?.stop());

const read = async (worker, entity = ENTITY) => {
	const reply = await worker.post(FEAST, ask(["a"], [entity]));
	assert.equal(reply.status, 200);
	assert.deepEqual(column(await reply.json(), "a"), [valueFor("a", entity)]);
};

/** Everything in KV, once there is something: keys, and values as text and as the bytes that the text means. */
async function stored(worker) {
	const kv = await worker.kv();
	const keys = await until(async () => {
		const list = await kv.list();
		return list.keys.length > 0 && list.keys;
	});
	return Promise.all(keys.map(async ({ name }) => ({ name, text: await kv.get(name) })));
}

const plain = (entries) => entries.map(({ name, text }) => `${name} ${text} ${Buffer.from(text, "base64")}`).join("\n");

/** Runs `use` with a Worker over the stores in `persist`. */
async function withWorker(options, use) {
	const worker = await startWorker({ origin, vars: { views: VIEWS, l3: { enabled: false } }, ...options });
	try {
		return await use(worker);
	} finally {
		await worker.stop();
	}
}

describe("with keys for the stores", () => {
	test("KV holds nothing in clear, and what it holds is served", async () => {
		await withWorker({ secrets: secret("k1", { k1: newKey() }) }, async (worker) => {
			await read(worker);
			const entries = await stored(worker);
			for (const text of [ENTITY, "a of", "stats", "driver_id"]) assert.ok(!plain(entries).includes(text), text);
		});
	});

	test("KV's keys hold no id without encryption keys either, and its values do", async () => {
		await withWorker({}, async (worker) => {
			await read(worker);
			const entries = await stored(worker);
			assert.ok(entries.every(({ name }) => !name.includes(ENTITY)));
			assert.ok(plain(entries).includes(ENTITY));
		});
	});

	test("keys are changed without losing a row: the old one opens what it sealed", async () => {
		const [one, two] = [newKey(), newKey()];
		// One KV under three Workers, each with a memory of its own.
		const entries = await withWorker({ secrets: secret("k1", { k1: one }) }, async (worker) => {
			await read(worker);
			return stored(worker);
		});
		const fill = async (worker) => {
			const kv = await worker.kv();
			for (const { name, text } of entries) await kv.put(name, text);
			origin.reset();
			await read(worker);
			return origin.requests.length;
		};
		assert.equal(await withWorker({ secrets: secret("k2", { k1: one, k2: two }) }, fill), 0, "both keys are known");
		assert.equal(await withWorker({ secrets: secret("k2", { k2: two }) }, fill), 1, "the old key is gone");
		assert.equal(await withWorker({ secrets: secret("k1", { k1: two }) }, fill), 1, "another key of the old name");
		assert.equal(await withWorker({}, fill), 1, "no keys at all");
	});

	test("a row that was moved, changed, cut or put there in clear is a miss, and no more", async () => {
		const keys = secret("k1", { k1: newKey() });
		const clear = await withWorker({}, async (worker) => {
			await read(worker);
			return stored(worker);
		});
		const sealed = {};
		for (const entity of [ENTITY, "bob"]) {
			await withWorker({ secrets: keys }, async (worker) => {
				await read(worker, entity);
				[sealed[entity]] = await stored(worker);
			});
		}
		const { name, text } = sealed[ENTITY];
		const bytes = Buffer.from(text, "base64");
		const changed = Buffer.from(bytes);
		changed[changed.length - 1] ^= 1;
		for (const [what, value] of Object.entries({
			"another row's": sealed.bob.text,
			changed: changed.toString("base64"),
			cut: bytes.subarray(0, bytes.length - 1).toString("base64"),
			"the head alone": bytes.subarray(0, 5).toString("base64"),
			"in clear": clear[0].text,
			"no base64": "\u0000?",
			nothing: "",
		})) {
			await withWorker({ secrets: keys }, async (worker) => {
				await (await worker.kv()).put(name, value);
				origin.reset();
				await read(worker);
				assert.equal(origin.requests.length, 1, what);
			});
		}
	});

	test("the storage tier is sealed by the same keys", async () => {
		const vars = { views: VIEWS, l2: { enabled: false }, l3: { enabled: true } };
		const persist = mkdtempSync(join(tmpdir(), "sealed-"));
		const one = newKey();
		try {
			await withWorker({ secrets: secret("k1", { k1: one }), vars, persist, countKv: true }, async (worker) => {
				await read(worker);
				await until(async () => (await worker.shardCounts()).writeShard.length > 0);
			});
			for (const [keys, calls] of [
				[secret("k2", { k1: one, k2: newKey() }), 0],
				[secret("k1", { k1: newKey() }), 1],
			]) {
				origin.reset();
				await withWorker({ secrets: keys, vars, persist }, (worker) => read(worker));
				assert.equal(origin.requests.length, calls);
			}
		} finally {
			rmSync(persist, { recursive: true, force: true });
		}
	});

	for (const [what, text] of [
		["no JSON", "{"],
		["without a current key", JSON.stringify({ keys: { k1: newKey() } })],
		["with a short key", JSON.stringify({ current: "k1", keys: { k1: "c2hvcnQ=" } })],
	]) {
		test(`a secret that is ${what}: 503, and nothing is stored in clear`, async () => {
			await withWorker({ secrets: { FEATHEREDGE_STORE_ENCRYPTION_KEYS: text } }, async (worker) => {
				const reply = await worker.post(FEAST, ask(["a"], [ENTITY]));
				assert.equal(reply.status, 503);
				assert.match(await reply.text(), /FEATHEREDGE_STORE_ENCRYPTION_KEYS/);
				assert.deepEqual((await (await worker.kv()).list()).keys, []);
				assert.deepEqual(origin.requests, []);
			});
		});
	}

	test("the secret under its old name: 503, which names the new one", async () => {
		const text = JSON.stringify({ current: "k1", keys: { k1: newKey() } });
		await withWorker({ secrets: { FEATHEREDGE_STORE_KEYS: text } }, async (worker) => {
			const reply = await worker.post(FEAST, ask(["a"], [ENTITY]));
			assert.equal(reply.status, 503);
			assert.match(await reply.text(), /`FEATHEREDGE_STORE_KEYS` is now `FEATHEREDGE_STORE_ENCRYPTION_KEYS`/);
		});
	});
});

test("no id, value or token stands in a log, a header or an error of our own", async () => {
	await withWorker({ authorization: `Bearer ${TOKEN}` }, async (worker) => {
		const seen = [];
		const send = async (path, body) => {
			const reply = await worker.post(path, body);
			seen.push(JSON.stringify([...reply.headers]), await reply.text());
			return reply.status;
		};
		for (const answer of [
			{ drop: true },
			{ body: "rubbish" },
			{ json: { results: [ENTITY] } },
			{ status: 500, body: "" },
		]) {
			origin.answer(answer);
			assert.ok((await send(FEAST, ask(["a"], [ENTITY]))) >= 500);
			assert.ok((await send("/v1/features", { entity_ids: [ENTITY], feature_names: ["stats:a"] })) >= 500);
		}
		const ragged = { features: ["stats:a"], entities: { driver_id: [ENTITY], other: [] } };
		assert.equal(await send(FEAST, ragged), 422);
		assert.equal(await send("/v1/features", { entity_ids: [ENTITY, 1], feature_names: ["stats:a"] }), 422);
		assert.equal(await send("/v1/features", `{"entity_ids":["${ENTITY}"`), 422);
		for (const text of [...seen, ...worker.logs]) {
			assert.ok(!text.includes(ENTITY) && !text.includes(TOKEN), text);
		}
	});
});

test("an id with line ends and quotes reaches no header, and comes back as it was", async () => {
	await withWorker({}, async (worker) => {
		const entity = 'x\r\nset-cookie: a=b\r\n\r\n"\u2028<script>\u0000';
		for (let round = 0; round < 2; round += 1) {
			const reply = await worker.post(FEAST, ask(["a"], [entity]));
			assert.equal(reply.status, 200);
			assert.equal(reply.headers.get("set-cookie"), null);
			assert.deepEqual(column(await reply.json(), "driver_id"), [entity]);
		}
		const native = { entity_ids: [entity], feature_names: ["stats:a"], request_id: entity };
		const reply = await worker.post("/v1/features", native);
		assert.equal(reply.headers.get("set-cookie"), null);
		assert.equal((await reply.json()).request_id, entity);
	});
});
