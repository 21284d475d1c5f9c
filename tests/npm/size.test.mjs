import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromRoot, paths } from "../support/root.mjs";
import { pack } from "./project.mjs";

const gzipped = (...names) =>
	names.reduce((sum, name) => sum + gzipSync(readFileSync(join(paths.package, "dist", name)), { level: 9 }).length, 0);

test("the package stays small: what a host loads, and what npm downloads", async (t) => {
	const sizes = {
		"JavaScript, gzipped": [gzipped("engine.js", "node.js"), 32 * 1024],
		"wasm, gzipped": [gzipped("featheredge.wasm"), 360 * 1024],
	};
	for (const [what, [size, limit]] of Object.entries(sizes)) {
		t.diagnostic(`${what}: ${(size / 1024).toFixed(1)} KB of ${limit / 1024}`);
		assert.ok(size <= limit, `${what}: ${size} bytes`);
	}
	t.diagnostic(`tarball: ${(statSync(await pack()).size / 1024).toFixed(1)} KB`);
});

test("the README's table says what the module weighs, without and with the Durable Objects", () => {
	const { rows } = JSON.parse(readFileSync(fromRoot("docs/figures.json"), "utf8")).tables.readme;
	const said = rows.map(([, ours]) => /^(\d+) KB$/.exec(ours)?.[1]).filter((size) => size !== undefined);
	const worker = gzipSync(readFileSync(join(paths.worker, "index.wasm")), { level: 9 }).length;
	const sizes = [gzipped("featheredge.wasm"), worker];
	assert.equal(said.length, sizes.length);
	for (const [index, size] of sizes.entries()) {
		const kilobytes = size / 1024;
		assert.ok(Math.abs(kilobytes - Number(said[index])) <= 3, `${kilobytes.toFixed(1)} KB, and not ${said[index]}`);
	}
});

test("the package has no dependencies but optional peers", () => {
	const manifest = JSON.parse(readFileSync(join(paths.package, "package.json"), "utf8"));
	assert.equal(manifest.dependencies, undefined);
	const peers = Object.keys(manifest.peerDependencies);
	assert.ok(peers.every((peer) => manifest.peerDependenciesMeta[peer].optional));
});
