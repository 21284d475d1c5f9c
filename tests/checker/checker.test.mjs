// `npm run checker` in seconds: every kind of world, from seeds of the day.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startRedis } from "../support/redis.mjs";
import { paths } from "../support/root.mjs";
import { check, reportOf } from "./run.mjs";

const SECONDS = 20;

test("over real HTTP no value is older than a write or its bound, none is another's, and no caller harms another", {
	timeout: 60_000,
}, async (t) => {
	const redis = await startRedis();
	t.after(async () => {
		await redis.stop();
		redis.remove();
	});
	const seed = process.env.CHECKER_SEED ?? String(Date.now());
	const redisUrl = `redis://127.0.0.1:${redis.port}`;
	const result = await check({ packageDir: paths.package, redisUrl, seconds: SECONDS, seed });
	t.diagnostic(reportOf(result));
	assert.equal(result.violations.length, 0, `seed ${seed}`);
	const { reads, judged } = result.counts;
	const kinds = Object.keys(reads);
	assert.ok(kinds.length >= 7, `reads of all levels and protocols, found ${kinds.join("; ")}`);
	// As much as a machine does that has other work too.
	assert.ok(judged.worlds >= 3 && judged["of them present"] > 300, JSON.stringify(judged));
});
