// Writes to KV behind a large answer: in turn, within what a request may write, and never before another request's reads.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { answerFeatures, ask, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

const LARGE = 10_000;
/** What the Worker writes for one request where the configuration does not say. */
const MAX_WRITES = 500;
/** For how long others are watched behind the large answer. */
const WATCHED_MILLIS = 3_000;

describe("a request for ten thousand rows", () => {
	let origin;
	let worker;
	before(async () => {
		origin = await startOrigin(answerFeatures);
		const views = { stats: { join_keys: ["driver_id"] } };
		worker = await startWorker({ origin, countKv: true, vars: { views, deadlines: { default_ms: 60_000 } } });
	});
	after(async () => {
		await worker?.stop();
		await origin?.stop();
	});

	test("writes its share of rows and no more, and others are served meanwhile", async (context) => {
		const large = {
			entities: { driver_id: range(LARGE) },
			feature_names: ["stats:score"],
			consistency_level: "strong",
		};
		const answered = worker.post("/v1/features", large);
		const slowest = { millis: 0 };
		let isDone = false;
		const others = (async () => {
			for (let id = LARGE; !isDone; id += 1) {
				const began = performance.now();
				const reply = await worker.post("/get-online-features", ask(["score"], [id]));
				assert.equal(reply.status, 200, await reply.text());
				slowest.millis = Math.max(slowest.millis, performance.now() - began);
			}
			return performance.now();
		})();
		const reply = await answered;
		assert.equal(reply.status, 200, await reply.text());
		// The others go on while its rows are written behind the answer.
		await new Promise((resolve) => setTimeout(resolve, WATCHED_MILLIS));
		const { put: puts } = await worker.kvCounts();
		isDone = true;
		await others;
		context.diagnostic(`${puts} rows written, the slowest of the others took ${slowest.millis.toFixed(0)} ms`);
		assert.ok(slowest.millis < 5_000, `${slowest.millis} ms`);
	});

	test("sheds what it may not write, and says so", async () => {
		const stats = await (await fetch(`${worker.url}/v1/stats`)).json();
		const store = stats.stores?.l2 ?? stats.stores?.find?.(({ tier }) => tier === "l2");
		assert.ok(store.shed + store.unmerged >= LARGE - MAX_WRITES, JSON.stringify(store));
	});
});
