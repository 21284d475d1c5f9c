// `pseudonymize_keys`: whatever is stored, logged, measured, posted or answered as an error is looked through for an entity's id, a feature's value,
// a token and a session, and store keys for the hash that whoever guesses the id could make too.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { openInvalidations, Seal } from "../../npm/src/runtime/seal.js";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { gate, until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const ENTITY = "alice-4711";
const TOKEN = "token-of-the-operator";
const ORIGIN_TOKEN = "token-for-the-origin";
const SESSION = "session-of-alice";
const SECRETS = [ENTITY, "alice", "a of ", TOKEN, ORIGIN_TOKEN, SESSION];

const newKey = () => randomBytes(32).toString("base64");
const keys = ({ key = newKey(), hmacSecret = newKey() } = {}) => ({
	FEATHEREDGE_STORE_ENCRYPTION_KEYS: JSON.stringify({ current: "k1", keys: { k1: key }, hmac_secret: hmacSecret }),
});

/** @type {import("../support/origin.mjs").Origin} */
let origin;
/** @type {import("../support/origin.mjs").Origin} */
let outside;
const folders = [];
const answer = (request) => {
	if (!request.path.startsWith(FEAST)) return { status: 200, body: "null" };
	return answerFeatures(request);
};
before(async () => {
	origin = await startOrigin(answer);
	outside = await startOrigin({ status: 200, body: "" });
});
afterEach(() => {
	origin.answer(answer);
	origin.reset();
	outside.reset();
	for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
after(async () => {
	await origin?.stop();
	await outside?.stop();
});

function newFolder() {
	const folder = mkdtempSync(join(tmpdir(), "private-"));
	folders.push(folder);
	return folder;
}

const start = (options = {}) =>
	startWorker({
		origin,
		operatorToken: TOKEN,
		authorization: `Bearer ${ORIGIN_TOKEN}`,
		secrets: keys(),
		...options,
		vars: {
			pseudonymize_keys: true,
			views: { stats: { join_keys: ["driver_id"], sources: [] } },
			l3: { enabled: true, shards: 1, timeout_ms: 5_000 },
			auth: { anonymous_scopes: ["read", "write"] },
			prefetch: { persist_interval_seconds: 1 },
			alerts: { webhook_url: `${outside.url}/alerts`, min_requests: 5 },
			telemetry: { aggregate: true, traces_url: `${outside.url}/v1/traces` },
			...options.vars,
		},
	});

const read = async (worker, entity, features = ["a"]) => {
	const reply = await worker.post(FEAST, ask(features, [entity]), { "featheredge-session": SESSION });
	assert.equal(reply.status, 200, await reply.clone().text());
	return column(await reply.json(), "a")[0];
};

/** All that is in the files of a folder, as text and as what base64 in it means at each of its three places. */
function filesOf(folder) {
	const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
	return files.map(({ parentPath, path, name }) => readFileSync(join(parentPath ?? path, name)));
}

const inBase64 = (text) =>
	range(3).map((skipped) => {
		const encoded = Buffer.concat([Buffer.alloc(skipped), Buffer.from(text)]).toString("base64");
		// What the letters at both ends say depends on what stands beside.
		return encoded.slice(Math.ceil((skipped * 4) / 3), Math.floor(((skipped + text.length) * 4) / 3) - 1);
	});

/** Which of the secrets stand in any of these. */
const found = (texts) => {
	const all = texts.map((text) => Buffer.from(text));
	return SECRETS.filter((secret) =>
		[secret, ...(secret.length > 5 ? inBase64(secret) : [])].some((form) => all.some((bytes) => bytes.includes(form))),
	);
};

/** Lives through a day of a Worker's, and gives all that others may see of it. */
async function traces(options) {
	const persist = newFolder();
	const worker = await start({ ...options, persist });
	const seen = [];
	const operator = { authorization: `Bearer ${TOKEN}` };
	try {
		for (const features of [["a"], ["a", "b"], ["a"], ["a", "b"]]) await read(worker, ENTITY, features);
		await read(worker, "bob");
		await worker.post("/v1/features", {
			entity_ids: [ENTITY],
			feature_names: ["stats:a"],
			consistency_level: "strong",
		});
		const push = { feature_view_name: "stats", df: { driver_id: [ENTITY], a: ["a of alice"] } };
		assert.equal((await worker.post("/write-to-online-store", push)).status, 200);
		await worker.post("/v1/invalidate", { view: "stats", entities: { driver_id: [ENTITY] } }, operator);
		await worker.post("/v1/warm", { features: ["stats:a"], entities: { driver_id: [ENTITY] } }, operator);
		for (const failing of [
			{ status: 422, json: { detail: `no ${valueFor("a", ENTITY)}` } },
			{ status: 500, body: `Traceback: ${ENTITY}` },
			{ status: 200, body: `rubbish about ${ENTITY}` },
			{ status: 302, headers: { location: `/${ENTITY}` }, body: ENTITY },
			{ drop: true },
		]) {
			origin.answer(failing);
			for (const [path, body] of [
				[FEAST, ask(["c"], [ENTITY])],
				["/v1/features", { entity_ids: [ENTITY], feature_names: ["stats:d"] }],
			]) {
				const reply = await worker.post(path, body);
				assert.ok(reply.status >= 400, `${reply.status}`);
				seen.push(JSON.stringify([...reply.headers]), await reply.text());
			}
		}
		const wrong = { entity_ids: [ENTITY, 1], feature_names: ["stats:a"] };
		seen.push(await (await worker.post("/v1/features", wrong)).text());
		seen.push(await (await worker.post("/v1/invalidate", wrong, { authorization: `Bearer ${TOKEN}x` })).text());
		origin.answer(answer);
		const kv = await worker.kv();
		// A row, and the prefetch model, which the first request after a second stores.
		await until(async () => {
			await read(worker, ENTITY, ["a", "b"]);
			return (await kv.list()).keys.length >= 2;
		});
		for (const path of ["/metrics", "/v1/stats", "/v1/sla", "/v1/alerts", "/v1/stats?scope=deployment"]) {
			const reply = await fetch(`${worker.url}${path}`);
			seen.push(JSON.stringify([...reply.headers]), await reply.text());
		}
		await until(() => outside.requests.some(({ path }) => path === "/v1/traces"));
		seen.push(...outside.requests.map(({ body, headers }) => `${JSON.stringify(headers)} ${body}`), ...worker.logs);
	} finally {
		await worker.stop();
	}
	return [...seen, ...filesOf(persist)];
}

describe("with `pseudonymize_keys`", () => {
	test("no id, value, token or session stands in a store, a log, a figure, a span, an alert or an error", async () => {
		assert.deepEqual(found(await traces({})), []);
	});

	test("the same search finds ids and values where neither is switched on", async () => {
		const told = found(await traces({ secrets: {}, vars: { pseudonymize_keys: false } }));
		assert.deepEqual(
			told,
			[ENTITY, "alice", "a of "],
			"in stores and in the origin's words; never a token or a session",
		);
	});

	test("a deployment without the secret serves and stores nothing", async () => {
		const withoutNames = JSON.stringify({ current: "k1", keys: { k1: newKey() } });
		for (const secrets of [{}, { FEATHEREDGE_STORE_ENCRYPTION_KEYS: withoutNames }]) {
			const worker = await start({ secrets });
			try {
				const reply = await worker.post(FEAST, ask(["a"], [ENTITY]));
				assert.equal(reply.status, 503);
				assert.match(
					await reply.text(),
					/`pseudonymize_keys` needs the secret `FEATHEREDGE_STORE_ENCRYPTION_KEYS`, with `hmac_secret`/,
				);
				assert.deepEqual((await (await worker.kv()).list()).keys, []);
				assert.deepEqual(origin.requests, []);
			} finally {
				await worker.stop();
			}
		}
	});

	test("an error of the origin is answered before its body has come, and without it", { timeout: 20_000 }, async () => {
		const worker = await start();
		try {
			const held = gate();
			async function* chunks() {
				yield `"${ENTITY} is`;
				await held.wait();
			}
			origin.answer({ status: 422, chunks: chunks() });
			const reply = await worker.post(FEAST, ask(["a"], [ENTITY]));
			const body = await reply.text();
			assert.equal(reply.status, 422, body);
			assert.ok(!body.includes(ENTITY), body);
			held.open();
		} finally {
			await worker.stop();
		}
	});

	test("the keys of KV are another deployment's for another secret, and none that an id can be turned into", async () => {
		const hmacSecret = newKey();
		const l2Only = { vars: { l3: { enabled: false }, prefetch: { enabled: false } } };
		const namesIn = async (options) => {
			const worker = await start({ ...l2Only, ...options, vars: { ...l2Only.vars, ...options.vars } });
			try {
				await read(worker, ENTITY);
				const kv = await worker.kv();
				return await until(async () => {
					const list = await kv.list();
					return list.keys.length > 0 && list.keys.map(({ name }) => name);
				});
			} finally {
				await worker.stop();
			}
		};
		const [hidden] = await namesIn({ secrets: keys({ hmacSecret }) });
		const [plain] = await namesIn({ vars: { pseudonymize_keys: false }, secrets: {} });
		assert.match(hidden, /^features:[0-9a-f]{32}$/);
		assert.match(plain, /^features:[0-9a-f]{32}$/);
		assert.notEqual(hidden, plain);
		const guess = createHash("sha256").update(plain).digest("hex").slice(0, 32);
		assert.notEqual(hidden, `features:${guess}`, "the hash has a key");
		assert.deepEqual(
			await namesIn({ secrets: keys({ hmacSecret }) }),
			[hidden],
			"another key of values changes no name",
		);
		assert.notDeepEqual(await namesIn({ secrets: keys() }), [hidden]);
	});

	test("which of the storage tier's objects a row is in is by the secret: none that an id can be turned into", async () => {
		const SHARDS = 256;
		const drivers = range(8);
		const vars = { l2: { enabled: false }, l3: { enabled: true, shards: SHARDS }, prefetch: { enabled: false } };
		const hmacSecret = newKey();
		/** The shards of the rows, as each of so many isolates writes or reads them. */
		const shardsBy = async (secrets, { isPrivate = true, isolates = 1 } = {}) => {
			const persist = newFolder();
			const seen = [];
			for (let isolate = 0; isolate < isolates; isolate++) {
				const worker = await start({
					secrets,
					persist,
					countKv: true,
					vars: { ...vars, pseudonymize_keys: isPrivate },
				});
				try {
					origin.reset();
					const reply = await worker.post(FEAST, ask(["a"], drivers));
					assert.deepEqual(
						column(await reply.json(), "a"),
						drivers.map((driver) => valueFor("a", driver)),
					);
					assert.equal(origin.requests.length, isolate === 0 ? 1 : 0);
					const { shardsRead } = await worker.shardCounts();
					if (isolate === 0) {
						const isStored = async () => {
							const { writeShard, shardsWritten } = await worker.shardCounts();
							const count = writeShard.reduce((sum, rows) => sum + rows, 0);
							return count === drivers.length && shardsWritten;
						};
						seen.push((await until(isStored)).sort());
					}
					seen.push(shardsRead.sort());
				} finally {
					await worker.stop();
				}
			}
			for (const other of seen) assert.deepEqual(other, seen[0], "written where it is looked for, by every isolate");
			return seen[0];
		};
		const plain = await shardsBy({}, { isPrivate: false });
		assert.deepEqual(await shardsBy(keys({ hmacSecret }), { isPrivate: false }), plain, "what is stored is found");
		const hidden = await shardsBy(keys({ hmacSecret }), { isolates: 2 });
		assert.notDeepEqual(hidden, plain);
		assert.deepEqual(await shardsBy(keys({ hmacSecret })), hidden, "another key of values changes no shard");
		assert.notDeepEqual(await shardsBy(keys()), hidden);
	});

	test("an isolate is served what another has stored in KV and in L3; one with other keys finds nothing", async () => {
		for (const tier of [{ l3: { enabled: false } }, { l2: { enabled: false } }]) {
			const persist = newFolder();
			const secrets = keys();
			const calls = [];
			for (const own of [secrets, secrets, keys()]) {
				const options = { persist, secrets: own, countKv: true, vars: { prefetch: { enabled: false }, ...tier } };
				const worker = await start({ ...options, vars: { l3: { enabled: true, shards: 1 }, ...options.vars } });
				origin.reset();
				try {
					await read(worker, ENTITY);
					calls.push(origin.requests.length);
					const isStored = async () =>
						(await worker.kvCounts()).put + (await worker.shardCounts()).writeShard.length >= origin.requests.length;
					await until(isStored);
				} finally {
					await worker.stop();
				}
			}
			assert.deepEqual(calls, [1, 0, 1]);
		}
	});
});

describe("the invalidation log, whose entries are sealed", () => {
	const VISIBLE = { writes: { visible_within_ms: 0 }, prefetch: { enabled: false } };
	const write = (worker, driver) =>
		worker.post("/write-to-online-store", { feature_view_name: "stats", df: { driver_id: [driver], a: [1] } });

	test("tells other isolates of a write all the same, and of no other row", async () => {
		const worker = await start({ twins: 1, vars: VISIBLE });
		const [other] = worker.twins;
		try {
			for (const driver of [1, 2]) await read(other, driver);
			assert.equal(
				(await write(worker, 1)).headers.get("cache-status"),
				"featheredge; fwd=bypass",
				"the invalidation log has it",
			);
			origin.reset();
			for (const driver of [1, 2]) await read(other, driver);
			assert.deepEqual(
				origin.requests.map(({ json }) => json.entities.driver_id),
				[[1]],
			);
		} finally {
			await worker.stop();
		}
	});

	test("entries of the same keys come back as they were; those of others, and in clear, mean everything", async () => {
		const [own, others] = range(2).map(() => new Seal(JSON.parse(keys().FEATHEREDGE_STORE_ENCRYPTION_KEYS)));
		const entry = Uint8Array.of(5, 0, 1, 2, 3);
		const sealed = await own.seal("invalidation-log:a", entry);
		const entries = [
			sealed,
			await others.seal("invalidation-log:a", entry),
			await own.seal("invalidation-log:b", entry),
			entry,
			sealed,
		];
		const everything = Uint8Array.of(0xff, 0xff);
		const opened = await openInvalidations(own, "invalidation-log:a", entries);
		assert.deepEqual(opened, [entry, everything, everything, everything, entry]);
		assert.deepEqual(await openInvalidations(own, "invalidation-log:a", []), []);
	});

	test("what a entry in clear from before `pseudonymize_keys` may mean is fetched anew", async () => {
		const persist = newFolder();
		const secrets = keys();
		const run = async (own, use) => {
			const options = { persist, secrets, countKv: true, ...own };
			const worker = await start({ ...options, vars: { ...VISIBLE, l2: { enabled: false }, ...own.vars } });
			try {
				return await use(worker);
			} finally {
				await worker.stop();
			}
		};
		const calls = (worker) => {
			origin.reset();
			return read(worker, 1).then(() => origin.requests.length);
		};
		const isStored = (worker) => async () => (await worker.shardCounts()).writeShard.length > 0;
		assert.equal(await run({}, async (worker) => [await calls(worker), await until(isStored(worker))][0]), 1);
		assert.equal(await run({}, calls), 0);
		await run({ vars: { pseudonymize_keys: false }, secrets: {} }, (worker) => write(worker, 2));
		assert.equal(await run({}, calls), 1);
	});
});
