import assert from "node:assert/strict";
import { test } from "node:test";
import { paths } from "../support/root.mjs";
import { pack, project, tool } from "./project.mjs";

const LINKED = ["ioredis", "redis", "unstorage", "@types/node"];
const STRICT = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
const LIBRARIES = ["--lib", "es2023,dom,dom.iterable,esnext.disposable", "--types", "node", "--target", "es2022"];

for (const [kind, module] of [
	["module", "nodenext"],
	["commonjs", "nodenext"],
	["module", "bundler"],
]) {
	test(`the types hold under tsc --strict, for ${module} resolution of ${kind}`, async () => {
		const root = await project(`types-${kind}-${module}`, {
			copies: ["usage.ts"],
			packages: LINKED,
			manifest: { type: kind },
		});
		// Without ESM there is no subpath that is ESM alone.
		const how =
			module === "bundler"
				? ["--module", "esnext", "--moduleResolution", "bundler"]
				: ["--module", "nodenext", "--moduleResolution", "nodenext"];
		await tool(root, "typescript/bin/tsc", ...STRICT, ...LIBRARIES, ...how, "--skipLibCheck", "usage.ts");
	});
}

test("the declarations themselves are checked", async () => {
	const root = await project("types-alone", { packages: ["@types/node"] });
	const files = ["index", "benchmark", "redis", "kv", "unstorage", "indexeddb", "cache-api", "sealed"].flatMap(
		(name) => [`node_modules/featheredge/dist/${name}.d.ts`, `node_modules/featheredge/dist/${name}.d.cts`],
	);
	await tool(root, "typescript/bin/tsc", ...STRICT, ...LIBRARIES, "--module", "nodenext", ...files);
});

test("publint has nothing to say of the package", async () => {
	const { publint } = await import("publint");
	const { messages } = await publint({ pkgDir: paths.package, strict: true, pack: false });
	assert.deepEqual(messages, []);
});

test("attw finds the types of every entry under every resolution", async () => {
	const root = await project("attw");
	// The inline variant and the module are for bundlers, which read ESM.
	const left = ["--exclude-entrypoints", "./inline", "./featheredge.wasm"];
	await tool(root, "@arethetypeswrong/cli/dist/index.js", await pack(), "--profile", "node16", "--no-color", ...left);
});
