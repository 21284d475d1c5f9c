// The packed package in fresh projects, on every host that runs here: each serves the same 20 requests with the same bytes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
import { before, test } from "node:test";
import { Miniflare } from "miniflare";
import { chromium as playwright } from "playwright-core";
import { ARGUMENTS, chromium, MISSING } from "../support/chromium.mjs";
import { fromRoot } from "../support/root.mjs";
import { mustRun, run } from "../support/run.mjs";
import { answers } from "./fixtures/requests.js";
import { project, tool } from "./project.mjs";

/** What every host is to print. */
let expected;

before(async () => {
	const { createEngine } = await import("../../build/package/dist/node.js");
	expected = await answers(createEngine);
	assert.equal(expected.split("\n").length, 20);
});

const PRINT = 'import { answers } from "./requests.js";\nprocess.stdout.write(await answers(createEngine));\n';
const MODULE = { manifest: { type: "module" }, copies: ["requests.js"] };

const node = (root, file) => mustRun(process.execPath, [file], { cwd: root, capture: true });

test("Node, by import", async () => {
	const root = await project("node-esm", {
		...MODULE,
		files: { "main.js": `import { createEngine } from "featheredge";\n${PRINT}` },
	});
	assert.equal(await node(root, "main.js"), expected);
});

test("Node, by require", async () => {
	const root = await project("node-cjs", {
		copies: ["requests.js"],
		files: {
			"main.cjs": `const { createEngine } = require("featheredge");
				import("./requests.mjs").then(({ answers }) => answers(createEngine)).then((text) => process.stdout.write(text));`,
			"requests.mjs": readFileSync(fromRoot("tests/npm/fixtures/requests.js"), "utf8"),
		},
	});
	assert.equal(await node(root, "main.cjs"), expected);
});

test("a worker thread of Node", async () => {
	const root = await project("node-thread", {
		...MODULE,
		files: {
			"main.js": `import { Worker } from "node:worker_threads";
				new Worker(new URL("./thread.js", import.meta.url)).on("message", (text) => process.stdout.write(text));`,
			"thread.js": `import { parentPort } from "node:worker_threads";
				import { createEngine } from "featheredge";
				import { answers } from "./requests.js";
				parentPort.postMessage(await answers(createEngine));`,
		},
	});
	assert.equal(await node(root, "main.js"), expected);
});

test("TypeScript, compiled under strict", async () => {
	const root = await project("typescript", {
		...MODULE,
		packages: ["@types/node"],
		files: {
			"main.ts": `import { createEngine, type EngineOptions } from "featheredge";
				import { answers } from "./requests.js";
				const create: (options?: EngineOptions) => ReturnType<typeof createEngine> = createEngine;
				process.stdout.write(await answers(create));`,
			"requests.d.ts": `import type { createEngine } from "featheredge";
				export function answers(create: typeof createEngine): Promise<string>;`,
		},
	});
	const how = [
		"--strict",
		"--module",
		"nodenext",
		"--target",
		"es2022",
		"--lib",
		"es2023,dom,dom.iterable,esnext.disposable",
		"--types",
		"node",
	];
	await tool(root, "typescript/bin/tsc", ...how, "main.ts");
	assert.equal(await node(root, "main.js"), expected);
});

for (const [host, binary, args] of [
	["Deno", "@deno/linux-x64-glibc/deno", ["run", "--allow-read", "--no-remote", "--node-modules-dir=manual"]],
	["Bun", "@oven/bun-linux-x64/bin/bun", ["run"]],
]) {
	test(host, async (t) => {
		const program = fromRoot("node_modules", binary);
		const found = await run(program, ["--version"], { capture: true }).catch(() => ({ code: 1 }));
		if (found.code !== 0) return t.skip(`${host} does not run here`);
		const root = await project(host.toLowerCase(), {
			...MODULE,
			files: {
				"main.js": `import { createEngine } from "featheredge";
					import { answers } from "./requests.js";
					console.log(await answers(createEngine));`,
			},
		});
		const env = { DENO_DIR: join(root, ".deno"), DENO_NO_UPDATE_CHECK: "1" };
		assert.equal(await mustRun(program, [...args, "main.js"], { cwd: root, capture: true, env }), `${expected}\n`);
	});
}

test("esbuild's bundle of the inline variant, in Node without any other file", async () => {
	const root = await project("esbuild", {
		...MODULE,
		files: { "main.js": `import { createEngine } from "featheredge/inline";\n${PRINT}` },
	});
	await tool(root, "esbuild/bin/esbuild", "main.js", "--bundle", "--format=esm", "--outfile=out/bundle.mjs");
	assert.equal(await mustRun(process.execPath, ["out/bundle.mjs"], { cwd: root, capture: true }), expected);
});

test("workerd, with the module that the platform compiles", async (t) => {
	const root = await project("workerd", {
		...MODULE,
		files: {
			"main.js": `import { createEngine } from "featheredge";
				import { answers } from "./requests.js";
				export default { fetch: async () => new Response(await answers(createEngine)) };`,
		},
	});
	await tool(
		root,
		"esbuild/bin/esbuild",
		"main.js",
		"--bundle",
		"--format=esm",
		"--conditions=workerd",
		"--outfile=out/index.js",
		"--external:./*.wasm",
	);
	const modulesRoot = join(root, "out");
	const miniflare = new Miniflare({
		cf: false,
		workers: [
			{
				name: "w",
				compatibilityDate: "2026-04-01",
				modulesRoot,
				modules: [
					{ type: "ESModule", path: join(modulesRoot, "index.js") },
					...["featheredge.wasm"].map((name) => ({
						type: "CompiledWasm",
						path: join(modulesRoot, name),
						contents: readFileSync(join(root, "node_modules/featheredge/dist", name)),
					})),
				],
			},
		],
	});
	t.after(() => miniflare.dispose());
	const response = await miniflare.dispatchFetch("http://localhost/");
	assert.equal(await response.text(), expected);
});

/** Serves a folder as a plain file server does. */
async function serveFiles(t, folder) {
	const types = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };
	const server = createServer((request, response) => {
		const path = join(folder, normalize(new URL(request.url, "http://localhost").pathname));
		try {
			const body = readFileSync(path.endsWith("/") ? `${path}index.html` : path);
			response.setHeader("content-type", types[path.split(".").at(-1)] ?? "text/html");
			response.end(body);
		} catch {
			response.writeHead(404).end();
		}
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => server.close());
	return `http://127.0.0.1:${server.address().port}/`;
}

async function openPage(t, url) {
	const browser = await playwright.launch({ executablePath: chromium(), args: ARGUMENTS });
	t.after(() => browser.close());
	const page = await browser.newPage();
	page.on("pageerror", (error) => t.diagnostic(error.message));
	await page.goto(url);
	return page;
}

test("Vite's build in Chromium, on the page and in a Web Worker", { skip: chromium() ? false : MISSING }, async (t) => {
	const root = await project("vite", {
		...MODULE,
		files: {
			"index.html": '<!doctype html><script type="module" src="/main.js"></script>',
			"main.js": `import { createEngine } from "featheredge";
				import { answers } from "./requests.js";
				const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
				const inWorker = new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
				globalThis.results = Promise.all([answers(createEngine), inWorker]);`,
			"worker.js": `import { createEngine } from "featheredge";
				import { answers } from "./requests.js";
				answers(createEngine).then(postMessage);`,
			"vite.config.js": 'export default { worker: { format: "es" }, logLevel: "warn" };',
		},
	});
	await tool(root, "vite/bin/vite.js", "build");
	const page = await openPage(t, await serveFiles(t, join(root, "dist")));
	const results = await page.evaluate(() => globalThis.results);
	assert.deepEqual(results, [expected, expected]);
});

test("IndexedDB and the Cache API keep rows in Chromium", { skip: chromium() ? false : MISSING }, async (t) => {
	const root = await project("browser-stores", {
		...MODULE,
		files: {
			"index.html": '<!doctype html><script type="module" src="/out/main.js"></script>',
			"main.js": `import { createEngine } from "featheredge/inline";
				import { cacheApiStore } from "featheredge/cache-api";
				import { indexedDbStore } from "featheredge/indexeddb";
				const request = { entity_ids: ["a", "b"], feature_names: ["score"] };
				async function tries(make) {
					let now = Date.now();
					const clock = () => now;
					const first = await createEngine({ l2: make(clock) });
					await first.serve(request);
					await first.close();
					const second = await createEngine({ l2: make(clock) });
					const { l2_hits } = (await second.serve(request)).cache_stats;
					await second.close();
					const store = make(clock);
					const one = [["k", Uint8Array.of(1, 2, 3)]];
					await store.setMany(one, { ttl: 60 });
					now += 59_000;
					const [before, missing] = await store.getMany(["k", "none"], {});
					now += 2_000;
					const [after] = await store.getMany(["k"], {});
					const many = Array.from({ length: 30 }, (_, number) => number);
					await Promise.all(many.map((number) => store.setMany([["m" + number, Uint8Array.of(number)]], { ttl: 60 })));
					const kept = (await store.getMany(many.map((number) => "m" + number), {})).map(([number]) => number);
					return { l2_hits, before: Array.from(before), missing, after, areAllKept: String(kept) === String(many) };
				}
				globalThis.results = Promise.all([
					tries((clock) => indexedDbStore({ clock })),
					tries((clock) => cacheApiStore({ clock })),
				]);`,
		},
	});
	await tool(root, "esbuild/bin/esbuild", "main.js", "--bundle", "--format=esm", "--outfile=out/main.js");
	const page = await openPage(t, await serveFiles(t, root));
	for (const result of await page.evaluate(() => globalThis.results)) {
		assert.deepEqual(result, { l2_hits: 2, before: [1, 2, 3], missing: undefined, after: undefined, areAllKept: true });
	}
});
