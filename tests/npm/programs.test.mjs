// The programs of docs/guide/npm.md, of the pages on stores, browsers and prefetch and of the package's README run as they stand: each store
// keeps rows for another engine.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { before, test } from "node:test";
import { Miniflare } from "miniflare";
import { chromium as playwright } from "playwright-core";
import { ARGUMENTS, chromium, MISSING } from "../support/chromium.mjs";
import { answerFeatures } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startRedis } from "../support/redis.mjs";
import { fromRoot } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";
import { project, tool } from "./project.mjs";

/** The first program below a heading of a document. */
function program(page, heading) {
	const text = readFileSync(fromRoot(page), "utf8");
	const section = text.slice(`\n${text}`.indexOf(`\n${heading}\n`)).split(/\n#+ /)[0];
	const [, code] = /^```js\n(.*?)^```/ms.exec(section) ?? [];
	assert.ok(code, `${page} has a program below ${heading}`);
	return code;
}

/** The imports of a program, and the rest of it. */
const parts = (code) => [code.match(/^import .*$/gm)?.join("\n") ?? "", code.replaceAll(/^import .*\n/gm, "")];

const REQUEST = '{ entity_ids: ["ada"], feature_names: ["score"] }';
/** Serves a row, and says how many rows the store had. */
const SERVE = `const { cache_stats } = await engine.serve(${REQUEST}); await engine.close();`;

/** The project of all programs here. */
let root;
before(async () => {
	root = await project("programs", { manifest: { type: "module" }, packages: ["ioredis", "unstorage"] });
});

/** Runs `code` in Node; gives what it prints. */
function run(code, env) {
	writeFileSync(join(root, "main.js"), code);
	return mustRun(process.execPath, ["main.js"], { cwd: root, capture: true, env });
}

/** Bundles `code` for a host into a folder of its own. */
async function bundle(name, code, ...how) {
	writeFileSync(join(root, `${name}.js`), code);
	await tool(
		root,
		"esbuild/bin/esbuild",
		`${name}.js`,
		"--bundle",
		"--format=esm",
		`--outfile=${name}/index.js`,
		...how,
	);
	return join(root, name);
}

const wasm = () => readFileSync(join(root, "node_modules/featheredge/dist/featheredge.wasm"));

/** Runs `code` in a new process twice; the second finds in the store what the first wrote. */
async function keepsRowsForTheNextProcess(code, env) {
	const whole = `${code}\n${SERVE}\nconsole.log(cache_stats.l2_hits);\nprocess.exit();`;
	assert.deepEqual([await run(whole, env), await run(whole, env)], ["0\n", "1\n"]);
}

/** The environment with the URL of a Redis that ends with the test. */
async function redisFor(t) {
	const redis = await startRedis();
	t.after(async () => {
		await redis.stop();
		redis.remove();
	});
	return { REDIS_URL: `redis://127.0.0.1:${redis.port}` };
}

test("the program for Redis keeps rows", async (t) => {
	const imports = 'import { createEngine } from "featheredge";\nimport { Redis } from "ioredis";';
	const code = `${imports}\nconst url = process.env.REDIS_URL;\n${program("docs/guide/npm/stores.md", "## Redis")}`;
	await keepsRowsForTheNextProcess(code, await redisFor(t));
});

test("the program for unstorage keeps rows", async () => {
	const code = `import { createEngine } from "featheredge";\n${program("docs/guide/npm/stores.md", "## Anything else")}`;
	await keepsRowsForTheNextProcess(code);
});

test("the store that the page writes keeps rows", async () => {
	const database = `const rows = new Map();
		const database = {
			select: async (keys) => keys.filter((key) => rows.has(key)).map((key) => [key, rows.get(key)]),
			upsert: async (entries) => { for (const [key, value] of entries) rows.set(key, value); },
		};`;
	const printed = await run(`import { createEngine } from "featheredge";
		${database}
		${program("docs/guide/npm/stores.md", "## Your own")}
		for (let time = 0; time < 2; time += 1) {
			const engine = await createEngine({ l2: store });
			${SERVE}
			console.log(cache_stats.l2_hits);
		}`);
	assert.equal(printed, "0\n1\n");
});

for (const [folder, heading, kvNamespaces] of [
	["kv", "## Workers KV", ["FEATURES"]],
	["cache-api", "## The Cache API", []],
]) {
	test(`the program for ${heading.slice(3)} keeps rows in a Worker`, async (t) => {
		const [imports, code] = parts(program("docs/guide/npm/stores.md", heading));
		const worker = `import { createEngine } from "featheredge";\n${imports}
			export default { async fetch(request, env) {
				${code}
				${SERVE}
				return Response.json(cache_stats.l2_hits);
			} };`;
		const modulesRoot = await bundle(folder, worker, "--conditions=workerd", "--external:./*.wasm");
		const modules = [
			{ type: "ESModule", path: join(modulesRoot, "index.js") },
			{ type: "CompiledWasm", path: join(modulesRoot, "featheredge.wasm"), contents: wasm() },
		];
		const options = { name: "w", compatibilityDate: "2026-04-01", modulesRoot, modules, kvNamespaces };
		const miniflare = new Miniflare({ cf: false, workers: [options] });
		t.after(() => miniflare.dispose());
		const hits = async () => (await miniflare.dispatchFetch("http://localhost/")).json();
		assert.deepEqual([await hits(), await hits()], [0, 1]);
	});
}

const inChromium = { skip: chromium() ? false : MISSING };

/** Runs a module on a page, and gives its `globalThis.result`. `origin` answers what the page asks `features.example.com`. */
async function onPage(t, name, code, origin) {
	const folder = await bundle(name, code);
	const files = {
		"/index.js": ["text/javascript", readFileSync(join(folder, "index.js"))],
		"/featheredge.wasm": ["application/wasm", wasm()],
		"/": ["text/html", '<!doctype html><script type="module" src="/index.js"></script>'],
	};
	const server = createServer((request, response) => {
		const [type, body] = files[request.url] ?? ["text/plain", ""];
		response.setHeader("content-type", type);
		response.end(body);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => server.close());
	const browser = await playwright.launch({ executablePath: chromium(), args: ARGUMENTS });
	t.after(() => browser.close());
	const page = await browser.newPage();
	page.on("pageerror", (error) => t.diagnostic(error.message));
	if (origin !== undefined) await page.route("https://features.example.com/**", origin);
	await page.goto(`http://127.0.0.1:${server.address().port}/`);
	await page.waitForFunction(() => "result" in globalThis);
	return page.evaluate(() => globalThis.result);
}

test("the program for IndexedDB keeps rows in Chromium", inChromium, async (t) => {
	const [imports, code] = parts(program("docs/guide/npm/stores.md", "## IndexedDB"));
	const hits = await onPage(
		t,
		"indexeddb",
		`import { createEngine } from "featheredge";\n${imports}
		const hits = [];
		for (let time = 0; time < 2; time += 1) { ${code}\n${SERVE}\nhits.push(cache_stats.l2_hits); }
		globalThis.result = hits;`,
	);
	assert.deepEqual(hits, [0, 1]);
});

test("the program for browsers reads from its origin in Chromium", inChromium, async (t) => {
	const code = `${program("docs/guide/npm/browsers.md", "# Run in browsers")}\nglobalThis.result = features;`;
	const features = await onPage(t, "browser", code, async (route) => {
		const answer = answerFeatures({ json: route.request().postDataJSON() });
		await route.fulfill({ headers: { "access-control-allow-origin": "*" }, json: answer.json });
	});
	assert.deepEqual(features, { ada: { "users:score": "score of ada" } });
});

/** Runs a program of npm.md, or of another page, after `before`, and gives `result`, an expression. */
async function runs(heading, { page = "docs/guide/npm.md", before = "", result, env }) {
	const code = `import { createEngine } from "featheredge";
		${before}
		${program(page, heading)}
		console.log(JSON.stringify(${result}));
		await engine.close();
		process.exit();`;
	return JSON.parse(await run(code, env));
}

test("the program for columns gets typed arrays", async () => {
	const before = `const engine = await createEngine({
		origin: ({ driver_id }) => ({
			"stats:embedding": driver_id.map(() => Array(128).fill(0.5)),
			"stats:trips": driver_id.map((id) => (id === 1001 ? 7 : undefined)),
		}),
	});`;
	const result = `[
		columns["stats:embedding"].dimension,
		columns["stats:embedding"].values.length,
		columns["stats:trips"].values[0],
		Number.isNaN(columns["stats:trips"].values[1]),
	]`;
	assert.deepEqual(await runs("## Request features", { before, result }), [128, 256, 7, true]);
});

test("the function of the page is an origin", async () => {
	const before = `const database = {
		users: async (ids) => ids.map((id) => [, { age: 30, embedding: [1, 0.5] }, { age: 40 }][id]),
	};`;
	const request =
		'{ entities: { user_id: [1, 2, 3] }, feature_names: ["users:age", "users:embedding"], include: ["status"] }';
	const result = `(await engine.serve(${request})).features`;
	const found = await runs("## Choose an origin", { before, result });
	assert.deepEqual(found[1]["users:embedding"], { value: [1, 0.5], status: "PRESENT" });
	assert.deepEqual(found[2]["users:age"], { value: 40, status: "PRESENT" });
	assert.equal(found[2]["users:embedding"].value, null);
	assert.deepEqual(found[3]["users:age"], { value: null, status: "NOT_FOUND" });
});

test("the program that encrypts a store leaves nothing in clear", async (t) => {
	const key = Buffer.alloc(32, 7).toString("base64");
	const keys = JSON.stringify({ current: "k1", keys: { k1: key }, hmac_secret: key });
	const before = `import { redisStore } from "featheredge/redis";
		import { sealedStore } from "featheredge/sealed";
		import { Redis } from "ioredis";
		const client = new Redis(process.env.REDIS_URL);`;
	const result = `await (async () => {
		const { cache_stats } = await engine.serve({ entity_ids: ["ada-of-nobody"], feature_names: ["score"] });
		await engine.close();
		const names = await client.keys("*");
		const values = await Promise.all(names.map((name) => client.getBuffer(name)));
		return [names.length, String(names) + values.map((value) => value.toString("latin1")), cache_stats.compute_requests];
	})()`;
	const env = { ...(await redisFor(t)), FEATHEREDGE_STORE_ENCRYPTION_KEYS: keys };
	const options = { before, result, env };
	const [count, stored, computed] = await runs("### Encrypt a store", options);
	assert.deepEqual([count > 0, computed], [true, 1]);
	assert.doesNotMatch(stored, /ada-of-nobody/);
});

test("the program that monitors reads the service level, the figures, alerts and metrics", async () => {
	const before = "const engine = await createEngine();";
	const result = `[status, error_budget_remaining, typeof tiers, typeof latency_model, typeof cost, typeof optimizer, open, text]`;
	const [status, budget, ...found] = await runs("## Monitor it", { before, result });
	assert.equal(status, "no_data");
	assert.notEqual(budget, undefined);
	assert.deepEqual(found.slice(0, 5), ["object", "object", "object", "object", []]);
	assert.match(found[5], /^# TYPE featheredge_/m);
});

test("the program for prefetch trains, and says what it would fetch", async () => {
	const before = `const origin = ({ entity_id }, references) =>
			Object.fromEntries(references.map((reference) => [reference, entity_id.map(() => 1)]));
		const stored = new Map();
		const l2 = {
			getMany: (keys) => keys.map((key) => stored.get(key)),
			setMany: (entries) => { for (const [key, value] of entries) stored.set(key, value); },
		};
		const feastBody = new TextEncoder().encode('{"features": ["features:orders"], "entities": {"entity_id": [42]}}');`;
	const after = '{ entity_ids: [43], feature_names: ["profile:age"] }';
	const result = `[(await engine.stats()).prefetch, (await engine.predictions(${after})).predictions]`;
	const [figures, predictions] = await runs("## In the npm package", {
		page: "docs/guide/prefetch.md",
		before,
		result,
	});
	for (const name of ["issued", "used", "precision", "coverage", "spent_usd"]) assert.ok(name in figures, name);
	// Of one user the session taught what comes next of another.
	assert.deepEqual(
		predictions.map(({ features, entities }) => [features, entities]),
		[[["features:orders"], { entity_id: [43] }]],
	);
});

for (const [page, heading] of [
	["docs/guide/npm.md", "## Create an engine"],
	["npm/README.md", "# featheredge"],
]) {
	test(`the first program of ${page} serves rows of Feast, which Redis keeps`, async (t) => {
		const feast = await startOrigin(answerFeatures);
		t.after(() => feast.stop());
		const { REDIS_URL } = await redisFor(t);
		const code = program(page, heading)
			.replace("http://feast:6566", feast.url)
			.replace("new Redis()", `new Redis("${REDIS_URL}")`);
		const request = '{ entities: { driver_id: [1001] }, feature_names: ["driver_hourly_stats:conv_rate"] }';
		const served = `const { features: rows, cache_stats } = await engine.serve(${request});
			await engine.close();
			console.log(JSON.stringify([rows[1001]["driver_hourly_stats:conv_rate"], cache_stats.compute_requests]));
			process.exit();`;
		assert.equal((await run(`${code}\n${served}`)).startsWith('["conv_rate of 1001",'), true);
		assert.equal(await run(`${code}\n${served}`), '["conv_rate of 1001",0]\n');
	});
}
