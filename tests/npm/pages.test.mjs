// The programs in the pages of hosts, and of the Map that becomes an engine, run as they stand.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Miniflare } from "miniflare";
import { documentedKeys } from "../support/configuration.mjs";
import { startProgram } from "../support/program.mjs";
import { fromRoot } from "../support/root.mjs";
import { mustRun, run } from "../support/run.mjs";
import { freePort } from "../support/workerd.mjs";
import { project, tool } from "./project.mjs";

const page = (name) => readFileSync(fromRoot("docs/guide/npm", `${name}.md`), "utf8");

/** The programs of a page, in order. */
const programs = (name) => [...page(name).matchAll(/^```js\n(.*?)^```/gms)].map(([, text]) => text);

const REQUEST = JSON.stringify({ entity_ids: ["ada"], feature_names: ["score"] });

async function check(ask) {
	const response = await ask("/v1/features", { method: "POST", body: REQUEST });
	assert.equal(response.status, 200);
	assert.equal(typeof (await response.json()).features.ada.score, "number");
}

for (const [name, binary, args] of [
	["node", process.execPath, []],
	[
		"deno",
		"@deno/linux-x64-glibc/deno",
		["run", "--allow-read", "--allow-net", "--allow-env", "--no-remote", "--node-modules-dir=manual"],
	],
	["bun", "@oven/bun-linux-x64/bin/bun", ["run"]],
]) {
	test(`the server in ${name}.md answers`, async (t) => {
		const command = name === "node" ? binary : fromRoot("node_modules", binary);
		const found = await run(command, ["--version"], { capture: true }).catch(() => ({ code: 1 }));
		if (found.code !== 0) return t.skip(`${name} does not run here`);
		const root = await project(`page-${name}`, {
			manifest: { type: "module" },
			packages: ["@hono/node-server"],
			files: { "main.js": programs(name)[0] },
		});
		const env = { PORT: String(await freePort()), DENO_DIR: join(root, ".deno"), DENO_NO_UPDATE_CHECK: "1" };
		const program = startProgram(command, [...args, "main.js"], { cwd: root, env });
		t.after(() => program.stop());
		const [, url] = await program.prints(/ready on (\S+)/);
		await check((path, init) => fetch(`${url}${path}`, init));
	});
}

test("the Worker in workers.md answers, with a KV and without", async (t) => {
	const root = await project("page-workers", {
		manifest: { type: "module" },
		files: { "main.js": programs("workers")[0] },
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
	const [byMap, engine, byEngine] = programs("from-a-map");
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
