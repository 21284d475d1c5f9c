// The examples of the npm package, run as they stand, in a project that has the package from its tarball.

import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { answerFeatures } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startProgram } from "../support/program.mjs";
import { startRedis } from "../support/redis.mjs";
import { fromRoot } from "../support/root.mjs";
import { freePort } from "../support/workerd.mjs";
import { project } from "./project.mjs";

const EXAMPLES = ["hono.mjs", "express.mjs", "route.mjs", "redis-feast.mjs", "benchmark.mjs"];

let root;
before(async () => {
	root = await project("examples", {
		manifest: { type: "module" },
		packages: ["hono", "@hono/node-server", "express", "ioredis"],
	});
	for (const name of EXAMPLES) copyFileSync(fromRoot("examples/npm", name), join(root, name));
});

/** Runs an example while `use` does something with its URL. */
async function running(name, env, use) {
	const port = await freePort();
	// Linked packages look for their own dependencies where they really are.
	const program = startProgram(process.execPath, [name], { cwd: root, env: { ...env, PORT: String(port) } });
	try {
		const [, url] = await program.prints(/ready on (\S+)/);
		await use(url);
	} finally {
		await program.stop();
	}
}

const post = (url, body) => fetch(url, { method: "POST", body: JSON.stringify(body) });

for (const name of ["hono.mjs", "express.mjs"]) {
	test(`${name} serves the API below its path, and features in a route`, async () => {
		await running(name, {}, async (url) => {
			const scored = await (await fetch(`${url}/score/ada`)).json();
			assert.equal(typeof scored.score, "number");
			const answered = await post(`${url}/features/v1/features`, { entity_ids: ["ada"], feature_names: ["score"] });
			assert.equal(answered.headers.get("cache-status"), "featheredge-l1; hit");
			assert.equal((await answered.json()).features.ada.score, scored.score);
		});
	});
}

test("route.mjs handles standard requests", async () => {
	const { POST, GET } = await import(pathToFileURL(join(root, "route.mjs")));
	const request = (path, init) => new Request(`http://localhost/api/features${path}`, init);
	const body = JSON.stringify({ entity_ids: ["ada"], feature_names: ["score"] });
	const context = { params: Promise.resolve({ path: ["v1", "features"] }) };
	const response = await POST(request("/v1/features", { method: "POST", body }), context);
	assert.equal(response.status, 200);
	assert.equal((await GET(request("/health"), context)).status, 200);
});

test("redis-feast.mjs serves from Feast, then from Redis, and then from memory", async (t) => {
	const feast = await startOrigin(answerFeatures);
	const redis = await startRedis();
	t.after(async () => {
		await feast.stop();
		await redis.stop();
		redis.remove();
	});
	const env = { FEAST_URL: feast.url, REDIS_URL: `redis://127.0.0.1:${redis.port}` };
	const tiers = async (url) => {
		const { features, tiers } = await (await fetch(`${url}/?driver=1001`)).json();
		assert.equal(features["driver_hourly_stats:conv_rate"], "conv_rate of 1001");
		return [tiers.l1_hits, tiers.l2_hits, tiers.compute_requests];
	};
	await running("redis-feast.mjs", env, async (url) => assert.deepEqual(await tiers(url), [0, 0, 1]));
	await running("redis-feast.mjs", env, async (url) => {
		assert.deepEqual(await tiers(url), [0, 1, 0]);
		assert.deepEqual(await tiers(url), [1, 0, 0]);
	});
});

test("benchmark.mjs measures a load of its own, and holds its budget", async () => {
	const program = startProgram(process.execPath, ["benchmark.mjs"], { cwd: root });
	assert.equal(await program.ends(), 0, program.output());
	assert.match(program.output(), /\| checkout \| warm \| featheredge \|/);
	assert.match(program.output(), /met: hit_ratio 9\d/);
});
