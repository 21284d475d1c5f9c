// The programs in the pages of hosts, and of the Map that becomes an engine, run as they stand.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Miniflare } from "miniflare";
import { documentedKeys } from "../support/configuration.mjs";
import { startProgram } from "../support/program.mjs";
import { fromRoot } from "../support/root.mjs";
import { mustRun, run } from "../support/run.mjs";
import { freePort } from "../support/workerd.mjs";
import { project, tool } from "./project.mjs";

/** The blocks of a page in a language, in order. */
const blocks = (page, language) =>
	[...readFileSync(fromRoot(page), "utf8").matchAll(/^```(\w+)\n(.*?)^```/gms)]
		.filter(([, name]) => name === language)
		.map(([, , text]) => text);
const programs = (page) => blocks(page, "js");

const REQUEST = JSON.stringify({ entity_ids: ["ada"], feature_names: ["score"] });

async function check(ask) {
	const response = await ask("/v1/features", { method: "POST", body: REQUEST });
	assert.equal(response.status, 200);
	assert.equal(typeof (await response.json()).features.ada.score, "number");
}

/** The arguments that a page runs `main.js` with. */
const runs = (page) => /^\w+ (run .*)main\.js$/m.exec(blocks(page, "sh").join(""))[1].trim().split(" ");

for (const [name, page, binary, args] of [
	["node", "docs/guide/npm/node.md", process.execPath, []],
	[
		"deno",
		"docs/guide/npm/deno.md",
		"@deno/linux-x64-glibc/deno",
		[...runs("docs/guide/npm/deno.md"), "--no-remote", "--node-modules-dir=manual"],
	],
	["bun", "docs/guide/npm/bun.md", "@oven/bun-linux-x64/bin/bun", runs("docs/guide/npm/bun.md")],
]) {
	test(`the server in ${name}.md answers`, async (t) => {
		const command = name === "node" ? binary : fromRoot("node_modules", binary);
		const found = await run(command, ["--version"], { capture: true }).catch(() => ({ code: 1 }));
		if (found.code !== 0) return t.skip(`${name} does not run here`);
		const root = await project(`page-${name}`, {
			manifest: { type: "module" },
			packages: ["@hono/node-server"],
			files: { "main.js": programs(page)[0] },
		});
		const env = { PORT: String(await freePort()), DENO_DIR: join(root, ".deno"), DENO_NO_UPDATE_CHECK: "1" };
		const program = startProgram(command, [...args, "main.js"], { cwd: root, env });
		t.after(() => program.stop());
		const [, url] = await program.prints(/ready on (\S+)/);
		await check((path, init) => fetch(`${url}${path}`, init));
	});
}

/** Runs a program until it listens, and gives its URL. */
async function listening(t, code, packages) {
	const root = await project(`page-${packages.at(-1)}`, {
		manifest: { type: "module" },
		packages,
		files: { "main.js": code },
	});
	const program = startProgram(process.execPath, ["main.js"], { cwd: root });
	t.after(() => program.stop());
	return (await program.prints(/ready on (\S+)/))[1];
}

const listen = "({ port }) => console.log('ready on http://127.0.0.1:' + port)";
const mounted = programs("docs/guide/npm/node.md");

test("the routes for Express in node.md serve the API and a row's features", async (t) => {
	const code = `import { getRequestListener } from "@hono/node-server";
		import { createEngine } from "featheredge";
		const engine = await createEngine();
		${mounted[1]}
		const server = app.listen(0, "127.0.0.1", () => (${listen})(server.address()));`;
	const url = await listening(t, code, ["@hono/node-server", "express"]);
	await check((path, init) => fetch(`${url}/features${path}`, init));
	assert.equal(typeof (await (await fetch(`${url}/score/ada`)).json()).score, "number");
});

test("the route for Hono in node.md serves the API", async (t) => {
	const code = `import { serve } from "@hono/node-server";
		import { createEngine } from "featheredge";
		import { Hono } from "hono";
		const app = new Hono();
		${mounted[2]}
		serve({ fetch: app.fetch, port: 0 }, ${listen});`;
	const url = await listening(t, code, ["@hono/node-server", "hono"]);
	await check((path, init) => fetch(`${url}/features${path}`, init));
});

test("the route handler for Next.js in node.md serves the API", async () => {
	const code = `import { createEngine } from "featheredge";\n${mounted[3]}`;
	const root = await project("page-route", { manifest: { type: "module" }, files: { "route.js": code } });
	const { GET, POST } = await import(pathToFileURL(join(root, "route.js")));
	await check((path, init) => POST(new Request(`http://localhost/api/features${path}`, init)));
	assert.equal((await GET(new Request("http://localhost/api/features/health"))).status, 200);
});

test("the Worker in workers.md answers, with a KV and without", async (t) => {
	const root = await project("page-workers", {
		manifest: { type: "module" },
		files: { "main.js": programs("docs/guide/npm/workers.md")[0] },
	});
	const how = ["--bundle", "--format=esm", "--conditions=workerd", "--outfile=out/index.js", "--external:./*.wasm"];
	await tool(root, "esbuild/bin/esbuild", "main.js", ...how);
	const modulesRoot = join(root, "out");
	const wasm = (name) => ({
		type: "CompiledWasm",
		path: join(modulesRoot, name),
		contents: readFileSync(join(root, "node_modules/featheredge/dist", name)),
	});
	for (const kvNamespaces of [[], ["FEATURES"]]) {
		const modules = [{ type: "ESModule", path: join(modulesRoot, "index.js") }, ...["featheredge.wasm"].map(wasm)];
		const worker = { name: "w", compatibilityDate: "2026-04-01", modulesRoot, modules, kvNamespaces };
		const miniflare = new Miniflare({ cf: false, workers: [worker] });
		t.after(() => miniflare.dispose());
		await check((path, init) => miniflare.dispatchFetch(`http://localhost${path}`, init));
	}
});

test("the Map of from-a-map.md and the engine in its place give the same rows", async () => {
	const [byMap, engine, byEngine] = programs("docs/guide/npm/from-a-map.md");
	const table = { 1: { age: 30, embedding: [1, 0.5] }, 2: { age: 40, embedding: [2, 0.5] } };
	const load = `let calls = 0;
		const table = ${JSON.stringify(table)};
		async function load(ids) { calls += ids.length > 0; return ids.filter((id) => id in table).map((id) => [id, table[id]]); }`;
	const print = "console.log(JSON.stringify([await features([1, 2]), await features([2]), calls]));";
	const root = await project("page-map", {
		manifest: { type: "module" },
		files: {
			"map.js": `${load}\n${byMap}\n${print}`,
			"engine.js": `${load}\n${engine}\n${byEngine}\n${print}\nawait engine.close();`,
		},
	});
	const said = async (file) => JSON.parse(await mustRun(process.execPath, [file], { cwd: root, capture: true }));
	const [rows, again, calls] = await said("map.js");
	assert.deepEqual([rows, again, calls], [[table[1], table[2]], [table[2]], 1]);
	const bare = (row) =>
		Object.fromEntries(Object.entries(row).map(([name, value]) => [name.replace("users:", ""), value]));
	const [found, foundAgain, asked] = await said("engine.js");
	assert.deepEqual([found.map(bare), foundAgain.map(bare), asked], [rows, again, calls]);
});

test("every key of the configuration that the pages name is one", () => {
	const known = documentedKeys();
	const tables = new Set([...known.keys()].map((key) => key.split(".")[0]));
	for (const name of readdirSync(fromRoot("docs/guide/npm"))) {
		const text = readFileSync(fromRoot("docs/guide/npm", name), "utf8");
		for (const [, key] of text.matchAll(/`([a-z]\w*\.[a-z_]+)(?: = \w+)?`/g)) {
			if (tables.has(key.split(".")[0])) assert.ok(known.has(key), `${key} in ${name}`);
		}
	}
});
