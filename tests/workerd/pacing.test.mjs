// Writes to KV behind a large answer: in turn, within what a request may write, and never before another request's reads.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { answerFeatures, ask, FEAST, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";

const LARGE = 10_000;
/** What the Worker writes for one request where the configuration does not say. */
const MAX_WRITES = 500;

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

	const puts = async () => (await worker.kvCounts()).put;
	const stats = async () => (await (await fetch(`${worker.url}/v1/stats`)).json()).stores.l2;

	test("writes its share of rows, sheds and counts the rest, and others are served meanwhile", async (context) => {
		const large = {
			entities: { driver_id: range(LARGE) },
			feature_names: ["stats:score"],
			consistency_level: "strong",
		};
		const answered = worker.post("/v1/features", large);
		let slowest = 0;
		let served = 0;
		let isDone = false;
		const others = (async () => {
			for (let id = LARGE; !isDone; id += 1) {
				const began = performance.now();
				const reply = await worker.post(FEAST, ask(["score"], [id]));
				assert.equal(reply.status, 200, await reply.text());
				slowest = Math.max(slowest, performance.now() - began);
				served += 1;
			}
		})();
		const reply = await answered;
		assert.equal(reply.status, 200, await reply.text());
		// Its rows are written after its response, while the others go on.
		await until(async () => (await puts()) >= MAX_WRITES);
		isDone = true;
		await others;
		const written = await until(async () => {
			const { shed, unmerged } = await stats();
			const count = await puts();
			return count + shed + unmerged >= LARGE + served && count;
		});
		context.diagnostic(`${written} rows written, the slowest of ${served} others took ${slowest.toFixed(0)} ms`);
		assert.ok(written <= MAX_WRITES + served, `${written} of ${LARGE} rows, and of ${served} others`);
		assert.ok(slowest < 5_000, `${slowest} ms`);
	});
});
