// Which requests are passed through to the origin, and that their answers say why. The same for every host with a gateway.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { openRaw } from "../support/raw.mjs";

const OPEN = { anonymous_scopes: ["read", "write"] };
const VIEWS = { stats: { join_keys: ["driver_id"] } };

/** Each is passed by just one of the requests below. */
const LIMITS = { body_bytes: 4_000, entities: 100, features: 10, cells: 200, key_bytes: 64, depth: 8 };

const nested = (levels) => Array.from({ length: levels }).reduce((inner) => [inner], 1);

/** A request past each limit. */
const OVER = {
	body_bytes: {
		...ask(["a"], [1]),
		full_feature_names: false,
		entities: { driver_id: [1], other: ["x".repeat(5_000)] },
	},
	entities: ask(["a"], range(101)),
	features: ask(
		range(11).map((number) => `f${number}`),
		[1],
	),
	cells: ask(["a", "b", "c"], range(90)),
	key_bytes: ask(["a"], ["x".repeat(100)]),
	depth: { ...ask(["a"], [1]), entities: { driver_id: [1], other: [nested(9)] } },
};

const cacheStatus = (reply) => reply.headers.get("cache-status");
const OVER_LIMIT = "featheredge; fwd=bypass; detail=over-limit";

/** @param {{ start: (options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").Host> }} hosts */
export function testBypass({ start }) {
	describe("passed through", () => {
		let origin;
		let host;
		before(async () => {
			origin = await startOrigin(answerFeatures);
			host = await start({
				origin,
				vars: { auth: OPEN, views: VIEWS, limits: { ...LIMITS, write_body_bytes: 1_000 } },
			});
		});
		afterEach(() => {
			origin.reset();
			origin.answer(answerFeatures);
		});
		after(async () => {
			await host?.stop();
			await origin?.stop();
		});

		for (const [limit, body] of Object.entries(OVER)) {
			test(`a request past \`limits.${limit}\` is the origin's to answer, each time`, async () => {
				origin.answer((request) => ({ json: { asked: request.path }, headers: { "x-kept": "yes" } }));
				for (let time = 0; time < 2; time++) {
					const reply = await host.post(`${FEAST}`, body, { "x-own": "1" });
					assert.deepEqual([reply.status, cacheStatus(reply)], [200, OVER_LIMIT]);
					assert.equal(reply.headers.get("x-kept"), "yes");
					assert.deepEqual(await reply.json(), { asked: FEAST });
				}
				assert.equal(origin.requests.length, 2);
				for (const request of origin.requests) {
					assert.deepEqual(request.json, body);
					assert.equal(request.headers["x-own"], "1");
				}
			});
		}

		test("the origin refuses it in its own words", async () => {
			origin.answer({ status: 422, json: { detail: "too much for me too" } });
			const reply = await host.post(FEAST, OVER.key_bytes);
			assert.deepEqual([reply.status, cacheStatus(reply)], [422, OVER_LIMIT]);
			assert.deepEqual(await reply.json(), { detail: "too much for me too" });
		});

		test("the native API refuses what passes a limit", async () => {
			for (const [body, status] of [
				[{ entity_ids: ["x".repeat(100)], feature_names: ["a"] }, 422],
				[{ entity_ids: ["x".repeat(5_000)], feature_names: ["a"] }, 413],
				[{ entity_ids: range(101), feature_names: ["a"] }, 422],
				[{ entity_ids: [nested(9)], feature_names: ["a"] }, 422],
			]) {
				const reply = await host.post("/v1/features", body);
				assert.equal(reply.status, status);
				assert.equal((await reply.json()).type, "urn:featheredge:problem:over-limit");
			}
			assert.equal(origin.requests.length, 0);
		});

		test("a query goes to the origin with its request, whose answer is not kept", async () => {
			await (await host.post(FEAST, ask(["a"], ["of-query"]))).text();
			origin.reset();
			origin.answer(({ path }) => ({ json: { asked: path } }));
			for (let time = 0; time < 2; time++) {
				const reply = await host.post(`${FEAST}?status=true`, ask(["a"], ["of-query"]));
				assert.equal(cacheStatus(reply), "featheredge; fwd=bypass; detail=query");
				assert.deepEqual(await reply.json(), { asked: `${FEAST}?status=true` });
			}
			assert.equal(origin.requests.length, 2);
			const reply = await host.post(`${FEAST}?`, ask(["a"], ["of-query"]));
			assert.equal(cacheStatus(reply), "featheredge-l1; hit", "an empty query is none");
		});

		test("a query on the native path changes nothing", async () => {
			const body = { entities: { driver_id: ["native"] }, feature_names: ["stats:a"] };
			for (const path of ["/v1/features", "/v1/features?status=true"]) {
				const reply = await host.post(path, body);
				assert.equal((await reply.json()).features.native["stats:a"], "a of native");
			}
			assert.deepEqual(
				origin.requests.map(({ path }) => path),
				[FEAST],
			);
		});

		test("what only the origin can judge says so", async () => {
			origin.answer({ json: {} });
			for (const [body, headers, detail] of [
				[{ ...ask(["a"], [1]), later: true }, {}, "; detail=body"],
				[{ ...ask(["a"], [1]), features: null }, {}, "; detail=body"],
				[{ entities: { driver_id: [1] } }, {}, "; detail=body"],
				[{ feature_service: null, features: [], entities: { driver_id: [1] } }, {}, "; detail=body"],
				[{ feature_service: "", features: [], entities: { driver_id: [1] } }, {}, "; detail=body"],
				[{ feature_service: "", entities: { driver_id: [1] } }, {}, "; detail=body"],
				[ask(["a"], [1]), { authorization: "Bearer of-the-caller" }, "; detail=authorization"],
			]) {
				const reply = await host.post(FEAST, body, headers);
				assert.equal(cacheStatus(reply), `featheredge; fwd=bypass${detail}`, JSON.stringify(body));
				assert.deepEqual(origin.requests.at(-1).json, body);
				await reply.text();
			}
			for (const [method, path] of [
				["GET", "/registry"],
				["POST", "/search"],
				["POST", "/push"],
			]) {
				const reply = await fetch(`${host.url}${path}`, { method, ...(method === "POST" && { body: "{}" }) });
				assert.equal(cacheStatus(reply), "featheredge; fwd=bypass", path);
				await reply.text();
			}
			assert.equal(cacheStatus(await fetch(`${host.url}/health`)), null);
		});

		test("what a cache before the origin says stands first", async () => {
			origin.answer({ json: {}, headers: { "cache-status": "theirs; hit" } });
			const reply = await fetch(`${host.url}/registry`);
			assert.equal(cacheStatus(reply), "theirs; hit, featheredge; fwd=bypass");
		});

		test("an empty feature service is none, as for Feast", async () => {
			for (const service of ["", null]) {
				const body = { feature_service: service, ...ask(["a"], [`service ${service}`]) };
				const first = await host.post(FEAST, body);
				assert.deepEqual(column(await first.json(), "a"), [`a of service ${service}`]);
				assert.equal(cacheStatus(await host.post(FEAST, body)), "featheredge-l1; hit");
				assert.deepEqual(origin.requests.at(-1).json.feature_service ?? null, null);
			}
			assert.equal(origin.requests.length, 2);
			const native = { entity_ids: ["a"], feature_service: "" };
			assert.equal((await host.post("/v1/features", native)).status, 422);
		});

		test("a write past `limits.write_body_bytes` goes on whole, and may have changed anything", async () => {
			const other = { features: ["other:a"], entities: { id: ["unlisted"] } };
			const read = async () => [
				cacheStatus(await host.post(FEAST, ask(["a"], ["kept"]))),
				cacheStatus(await host.post(FEAST, other)),
			];
			await read();
			assert.deepEqual(await read(), ["featheredge-l1; hit", "featheredge-l1; hit"]);
			origin.answer({ json: { written: true } });
			const write = { feature_view_name: "third", df: { id: ["x".repeat(2_000)] } };
			const reply = await host.post("/write-to-online-store", write);
			assert.deepEqual([reply.status, cacheStatus(reply)], [200, OVER_LIMIT]);
			assert.deepEqual(await reply.json(), { written: true });
			assert.deepEqual(origin.requests.at(-1).json, write);
			origin.answer(answerFeatures);
			for (const status of await read()) assert.match(status, /fwd=miss/);
		});

		test("what an operator says of caches is refused past a limit", async () => {
			const own = await start({ origin, operatorToken: "of-the-operator", vars: { limits: LIMITS } });
			try {
				const headers = { authorization: "Bearer of-the-operator" };
				const reply = await own.post("/v1/invalidate", { view: "x".repeat(5_000) }, headers);
				assert.equal(reply.status, 413);
				assert.equal(origin.requests.length, 0);
			} finally {
				await own.stop();
			}
		});

		test("`limits.refuse` makes walls of the limits", async () => {
			const limits = { ...LIMITS, write_body_bytes: 1_000, refuse: true };
			const own = await start({ origin, vars: { auth: OPEN, limits } });
			try {
				for (const [limit, body] of Object.entries(OVER)) {
					const reply = await own.post(FEAST, body);
					assert.equal(reply.status, limit === "body_bytes" ? 413 : 422, limit);
					assert.match(await reply.text(), new RegExp(`limits\\.${limit}`));
				}
				assert.equal((await own.post("/push", OVER.body_bytes)).status, 413);
				// What the origin would have to judge is no way around it.
				for (const [path, headers] of [
					[`${FEAST}?status=true`, {}],
					[FEAST, { authorization: "Bearer of-the-caller" }],
				]) {
					for (const limit of ["body_bytes", "entities", "features", "cells", "depth"]) {
						const { status } = await own.post(path, OVER[limit], headers);
						assert.equal(status, limit === "body_bytes" ? 413 : 422, `${path}: ${limit}`);
					}
				}
				assert.equal(origin.requests.length, 0);
			} finally {
				await own.stop();
			}
		});

		test("where ids are private, the origin's words about it are kept from callers", async () => {
			const key = Buffer.alloc(32, 7).toString("base64");
			const secrets = {
				FEATHEREDGE_STORE_ENCRYPTION_KEYS: JSON.stringify({ current: "k", keys: { k: key }, hmac_secret: key }),
			};
			const own = await start({ origin, secrets, vars: { pseudonymize_keys: true, limits: LIMITS } });
			try {
				origin.answer({ status: 404, json: { detail: "there is no driver 1001" } });
				const reply = await own.post(FEAST, OVER.key_bytes);
				assert.deepEqual([reply.status, cacheStatus(reply)], [404, OVER_LIMIT]);
				assert.doesNotMatch(await reply.text(), /1001/);
			} finally {
				await own.stop();
			}
		});
	});

	describe("a body past a limit", () => {
		let origin;
		let host;
		let raw;
		/** What the origin has read, and who waits for more. */
		let length;
		let grown;
		before(async () => {
			origin = createServer((incoming, outgoing) => {
				length = 0;
				incoming.on("data", (chunk) => {
					length += chunk.length;
					grown();
				});
				incoming.on("end", () => outgoing.end(String(length)));
				incoming.on("error", () => {});
			}).listen(0, "127.0.0.1");
			await once(origin, "listening");
			const url = `http://127.0.0.1:${origin.address().port}`;
			const limits = { body_bytes: 200_000, write_body_bytes: 200_000 };
			host = await start({ origin: url, vars: { auth: OPEN, limits } });
			raw = await openRaw(host.port);
		});
		after(async () => {
			raw?.close();
			await host?.stop();
			origin?.closeAllConnections();
			origin?.close();
		});
		/** Resolves once the origin has read so many bytes. */
		const hasRead = async (bytes) => {
			while (!(length >= bytes)) {
				await new Promise((resolve) => {
					grown = resolve;
				});
			}
		};

		for (const path of [FEAST, "/push"]) {
			test(`${path}: the origin reads what was read of it, and the rest as it comes`, async () => {
				grown = () => {};
				length = 0;
				raw.send([`POST ${path} HTTP/1.1`, "host: features", "transfer-encoding: chunked"]);
				const chunk = "x".repeat(50_000);
				const part = `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
				for (let sent = 0; sent < 6; sent++) raw.socket.write(part);
				// The client has not ended it.
				await hasRead(250_000);
				for (let sent = 0; sent < 40; sent++) raw.socket.write(part);
				raw.socket.write("0\r\n\r\n");
				assert.equal((await raw.answer()).body, String(46 * chunk.length));
			});

			test(`${path}: one that announces its length is not read before the origin reads it`, async () => {
				const body = "x".repeat(3_000_000);
				raw.send([`POST ${path} HTTP/1.1`, "host: features", `content-length: ${body.length}`], body);
				assert.equal((await raw.answer()).body, String(body.length));
			});
		}

		test("one that nobody reads harms no later request of its connection", async () => {
			const chunk = "x".repeat(300_000);
			const head = ["POST /v1/features HTTP/1.1", "host: features"];
			raw.send([...head, "transfer-encoding: chunked"], `${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`);
			assert.equal((await raw.answer()).status, 413);
			raw.send([...head, `content-length: ${chunk.length}`], chunk);
			assert.equal((await raw.answer()).status, 413);
			raw.send(["GET /health HTTP/1.1", "host: features"]);
			assert.equal((await raw.answer()).status, 200);
		});
	});
}
