// A store that sees nothing in clear, under an engine; and `pseudonymize_keys`, which wants one.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createEngine } from "../../build/package/dist/node.js";
import { sealedStore } from "../../build/package/dist/sealed.js";
import { startProgram } from "../support/program.mjs";
import { fromRoot, paths } from "../support/root.mjs";
import { until } from "../support/wait.mjs";
import { engineFor, namingOrigin, TestStore } from "./harness.mjs";

const ENTITY = "alice-4711";
const REQUEST = { entity_ids: [ENTITY, "bob"], feature_names: ["score"] };

const newKey = () => randomBytes(32).toString("base64");
const keysOf = ({ k1 = newKey(), hmac_secret = newKey(), ...others } = {}) => ({
	current: "k1",
	keys: { k1, ...others },
	hmac_secret,
});

/** What the store under the sealed one holds, in one text. */
const held = (store) =>
	[...store.entries].map(([key, value]) => `${key} ${Buffer.from(value).toString("latin1")}`).join("\n");

async function serve(t, store, config = {}) {
	const origin = namingOrigin();
	const engine = await engineFor(t, { l2: store, origin, config });
	const answer = await engine.serve(REQUEST);
	assert.equal(answer.features[ENTITY].score, `score of ${ENTITY}`);
	await engine.close();
	return origin.calls.length;
}

test("a sealed store holds nothing in clear, and what it holds is served", async (t) => {
	const store = new TestStore();
	const keys = keysOf();
	assert.equal(await serve(t, sealedStore(store, keys)), 1);
	assert.equal(store.entries.size, 2);
	for (const text of [ENTITY, "score", "bob"]) assert.ok(!held(store).includes(text), text);
	assert.equal(await serve(t, sealedStore(store, JSON.stringify(keys))), 0);
	const plain = new TestStore();
	await serve(t, plain);
	assert.ok(held(plain).includes(ENTITY));
	const names = (of) => [...of.entries.keys()];
	assert.ok(names(store).every((name) => /^features:[0-9a-f]{32}$/.test(name) && !names(plain).includes(name)));
});

test("keys are changed without losing a row, as long as the one for names stays; what no key opens is a miss", async (t) => {
	const store = new TestStore();
	const keys = keysOf();
	await serve(t, sealedStore(store, keys));
	const newer = { ...keys, current: "k2", keys: { ...keys.keys, k2: newKey() } };
	assert.equal(await serve(t, sealedStore(store, newer)), 0);
	assert.equal(await serve(t, sealedStore(store, { ...keys, hmac_secret: newKey() })), 1, "another key for names");
	assert.equal(
		await serve(t, sealedStore(store, keysOf({ hmac_secret: keys.hmac_secret }))),
		1,
		"another key for values",
	);
});

test("a store beneath that fails or answers nonsense costs no request", async (t) => {
	for (const fault of ["fail", "rubbish", "short", "text", "hang"]) {
		const store = new TestStore();
		store.fault = fault;
		assert.equal(await serve(t, sealedStore(store, keysOf()), { l2: { timeout_ms: 100 } }), 1, fault);
	}
});

test("rows that version 0.1.0 has sealed are found under their hidden keys and opened", async () => {
	const { keys, entries } = JSON.parse(readFileSync(fromRoot("tests/compat/0.1.0-sealed.json"), "utf8"));
	const lines = readFileSync(fromRoot("tests/compat/0.1.0.txt"), "utf8").trim().split("\n");
	const store = new TestStore();
	for (const [key, value] of Object.entries(entries))
		store.entries.set(key, new Uint8Array(Buffer.from(value, "base64")));
	const sealed = sealedStore(store, keys);
	const rows = lines.map((line) => line.split(" "));
	const { signal } = new AbortController();
	const found = await sealed.getMany(
		rows.map(([key]) => key),
		{ signal },
	);
	assert.deepEqual(
		found.map((value) => Buffer.from(value).toString("hex")),
		rows.map(([, digits]) => digits),
	);
});

test("keys that cannot be used are an error that does not tell them", () => {
	for (const [keys, why] of [
		["{of-somebody", /not JSON/],
		[{ current: "k1", keys: { k1: "of-somebody" } }, /32 bytes in base64/],
		[{ current: "k2", keys: { k1: newKey() } }, /`current` names no key/],
		[{ ...keysOf(), names: newKey() }, /unknown field `names`: `current`, `keys`, `hmac_secret` are known/],
		[{ ...keysOf(), hmac_secret: "of-somebody" }, /`hmac_secret` must be 32 bytes/],
		[undefined, /`current` names no key/],
	]) {
		assert.throws(
			() => sealedStore(new TestStore(), keys),
			(error) => error instanceof TypeError && why.test(error.message) && !error.message.includes("of-somebody"),
		);
	}
});

test("`pseudonymize_keys` wants stores that hide keys", async (t) => {
	const config = { pseudonymize_keys: true };
	const { hmac_secret: _, ...withoutHmac } = keysOf();
	for (const options of [
		{ l2: new TestStore() },
		{ l2: sealedStore(new TestStore(), withoutHmac) },
		{ l2: sealedStore(new TestStore(), keysOf()), l3: new TestStore() },
	]) {
		await assert.rejects(createEngine({ ...options, config }), {
			name: "ConfigError",
			message: /`pseudonymize_keys` needs `l[23]`/,
		});
	}
	await serve(t, sealedStore(new TestStore(), keysOf()), config);
	await serve(t, undefined, config);
});

test("with it, an error tells nothing that the origin has said", async (t) => {
	const failing = () => {
		throw new Error(`no row for ${ENTITY}`);
	};
	for (const isPrivate of [false, true]) {
		const lines = [];
		const onError = (line, cause) => lines.push(`${line} ${cause?.message}`);
		const engine = await engineFor(t, { origin: failing, config: { pseudonymize_keys: isPrivate }, onError });
		const error = await engine.serve(REQUEST).then(assert.fail, (error) => error);
		const told = `${error.message} ${error.stack} ${error.cause?.message}`;
		assert.equal(told.includes(ENTITY), !isPrivate, told);
		const reply = await engine.fetch(
			new Request("http://localhost/v1/features", { method: "POST", body: JSON.stringify(REQUEST) }),
		);
		const text = await reply.text();
		assert.equal(reply.status, 500);
		assert.ok(!text.includes(ENTITY), text);
		assert.equal(lines.join().includes(ENTITY), !isPrivate, lines.join());
		if (isPrivate) assert.match(lines.join(), /redacted/);
	}
});

test("figures and alerts tell no entity", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin(), config: { alerts: { min_requests: 1 } } });
	await engine.serve(REQUEST);
	await until(async () => (await engine.metrics()).includes("featheredge_"));
	const told = [await engine.stats(), await engine.sla(), await engine.alerts(), await engine.metrics()];
	assert.ok(!JSON.stringify(told).includes(ENTITY));
});

test("`featheredge warm` seals what it writes by the keys in the environment, for an engine that has them", async (t) => {
	const folder = mkdtempSync(join(tmpdir(), "sealed-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	const file = (name) => join(folder, name);
	writeFileSync(file("rows.csv"), `user_id,score\n${ENTITY},7\n`);
	const keys = keysOf();
	const warm = (secret) => {
		const args = [
			"warm",
			"--from",
			file("rows.csv"),
			"--view",
			"users",
			"--keys",
			"user_id",
			"--kv-bulk",
			file("kv.json"),
		];
		return startProgram(process.execPath, [join(paths.package, "cli/featheredge.js"), ...args], {
			env: { FEATHEREDGE_STORE_ENCRYPTION_KEYS: secret },
		});
	};
	const program = warm(JSON.stringify(keys));
	assert.equal(await program.ends(), 0, program.output());
	const store = new TestStore();
	for (const { key, value } of JSON.parse(readFileSync(file("kv-00000.json"), "utf8"))) {
		store.entries.set(key, new Uint8Array(Buffer.from(value, "base64")));
	}
	assert.equal(store.entries.size, 1);
	assert.ok(!held(store).includes(ENTITY));
	const origin = namingOrigin();
	const config = { views: { users: { join_keys: ["user_id"] } } };
	const engine = await engineFor(t, { l2: sealedStore(store, keys), origin, config });
	const answer = await engine.serve({ entities: { user_id: [ENTITY] }, feature_names: ["users:score"] });
	assert.equal(answer.features[ENTITY]["users:score"], 7);
	assert.equal(origin.calls.length, 0);
	const refused = warm("{of-somebody");
	assert.notEqual(await refused.ends(), 0);
	assert.match(refused.output(), /FEATHEREDGE_STORE_ENCRYPTION_KEYS: the keys are invalid: it is not JSON/);
	assert.ok(!refused.output().includes("of-somebody"));
});
