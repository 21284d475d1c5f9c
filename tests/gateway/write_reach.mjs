// How far a write reaches: the spellings of a key, jobs that go on, and writes that are lost. The same for every host with a gateway.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, FEAST } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { openRaw, startRawOrigin } from "../support/raw.mjs";
import { freePort } from "../support/workerd.mjs";

const OPEN = { anonymous_scopes: ["read", "write"] };
const VIEWS = {
	stats: { join_keys: ["driver_id"] },
	other: { join_keys: ["driver_id"], sources: [] },
};

/** What Python's `int()` takes for 1001, as JSON has it; the last is a float's text. */
const SAME = [
	"1001",
	'"1001"',
	"1001.0",
	"1001.7",
	"1.001e3",
	'" 1001"',
	'"+1001"',
	'"01001"',
	'"1_001"',
	'"１００１"',
	'"1001\\u00a0"',
];

/**
 * @param {object} hosts
 * @param {(options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").Host>} hosts.start
 * @param {boolean} hosts.knowsUnsent whether the host tells a request that was never sent from one that was lost
 */
export function testWriteReach({ start, knowsUnsent }) {
	describe("writes", () => {
		let origin;
		let host;
		before(async () => {
			origin = await startOrigin(answerFeatures);
			const writes = { visible_within_ms: 0, job_seconds: 60 };
			host = await start({ origin, vars: { auth: OPEN, views: VIEWS, writes } });
		});
		afterEach(() => {
			origin.reset();
			origin.answer(answerFeatures);
		});
		after(async () => {
			await host?.stop();
			await origin?.stop();
		});
		/** Reads a row by a spelling of its key; whether memory had it. */
		const isHit = async (key, view = "stats") => {
			const reply = await host.post(FEAST, `{"features":["${view}:a"],"entities":{"driver_id":[${key}]}}`);
			assert.equal(reply.status, 200, await reply.text());
			return reply.headers.get("cache-status") === "featheredge-l1; hit";
		};
		const write = async (path, body, answer = { json: null }) => {
			origin.answer(answer);
			const reply = await host.post(path, body);
			origin.answer(answerFeatures);
			return reply;
		};
		const writeRow = (key) =>
			write("/write-to-online-store", `{"feature_view_name":"stats","df":{"driver_id":[${key}],"a":[1]}}`);

		test("a write by one spelling of a key is one to all that the origin takes for the same", async () => {
			for (const [written, others] of [
				...SAME.map((written) => [written, SAME]),
				["true", ["1", '"1"', "1.0", '" 1"']],
				["1", ["true", '"True"']],
				['"abc"', ['"ABC"', '" abc"', '"a_bc"']],
				["1e3", ["1000", '"1000"', '"1e3"', "1000.5"]],
			]) {
				for (const key of others) await isHit(key);
				for (const key of others) assert.equal(await isHit(key), true, `${key} is cached`);
				await isHit("7");
				assert.equal((await writeRow(written)).status, 200);
				for (const key of others) assert.equal(await isHit(key), false, `${key} after a write of ${written}`);
				assert.equal(await isHit("7"), true, "another row stays");
			}
		});

		test("a write by a key that nobody can tell from others is one to all of its view", async () => {
			for (const written of ["null", '"2026-11-30"', "[1]", '"1001","２０２６-11-23"']) {
				await isHit("5");
				await isHit("5", "other");
				assert.equal((await writeRow(written)).status, 200);
				assert.deepEqual([await isHit("5"), await isHit("5", "other")], [false, true], written);
			}
		});

		test("while a job goes on that was answered 202, nothing of its views is kept", async () => {
			const job = { status: 202, json: { status: "accepted" } };
			const body = { end_ts: "2026-11-30T00:00:00", feature_views: ["stats"] };
			await isHit("6", "other");
			assert.equal((await write("/materialize?async=true", body, job)).status, 202);
			assert.equal(origin.requests.at(-1).path, "/materialize?async=true");
			for (let time = 0; time < 3; time++) {
				assert.deepEqual([await isHit("6"), await isHit("6", "other")], [false, true]);
			}
		});
	});

	describe("what is lost with its connection", () => {
		let origin;
		let host;
		/** How many requests the origin is yet to lose. */
		let losses = 0;
		before(async () => {
			origin = await startRawOrigin(({ start }) => {
				if (!start.includes("/health") && losses-- > 0) return undefined;
				return "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
			});
			host = await start({ origin, vars: { auth: OPEN } });
			// The first call of a process takes long, and what fails late tells of the origin.
			await (await fetch(`${host.url}/registry`)).text();
			origin.requests.length = 0;
		});
		afterEach(() => {
			origin.requests.length = 0;
			losses = 0;
		});
		after(async () => {
			await host?.stop();
			await origin?.stop();
		});

		for (const [path, body] of [
			["/search", { query: [1] }],
			[FEAST, { entities: { driver_id: [1] }, features: ["stats:a"], later: true }],
			[`${FEAST}?status=true`, { entities: { driver_id: [1] }, features: ["stats:a"] }],
		]) {
			test(`${path}: what only reads is made again`, async () => {
				losses = 2;
				const reply = await host.post(path, body);
				assert.deepEqual([reply.status, await reply.text()], [200, "{}"]);
				assert.deepEqual(
					origin.requests.map(({ body }) => body),
					Array(3).fill(JSON.stringify(body)),
				);
			});
		}

		test("a write is not made again, since it may have been made, and its caller hears so", async () => {
			losses = 1;
			const reply = await host.post("/push", {});
			assert.equal(reply.status, 502);
			assert.match((await reply.json()).detail, /it is unknown whether it wrote/);
			assert.equal(origin.requests.length, 1);
		});

		test("a write that was never sent is answered 502, with what is known of it", async () => {
			const own = await start({ origin: `http://127.0.0.1:${await freePort()}`, vars: { auth: OPEN } });
			const raw = await openRaw(own.port);
			try {
				for (const framing of [["content-length: 2"], ["transfer-encoding: chunked"]]) {
					const body = framing[0].startsWith("content") ? "{}" : "2\r\n{}\r\n0\r\n\r\n";
					raw.send(["POST /push HTTP/1.1", "host: features", ...framing], body);
					const reply = await raw.answer();
					assert.equal(reply.status, 502);
					assert.match(reply.body, knowsUnsent ? /nothing was written/ : /it is unknown whether it wrote/);
				}
			} finally {
				raw.close();
				await own.stop();
			}
		});
	});
}
