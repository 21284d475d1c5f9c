// What Featheredge is built from: pinned, told, and in need of no install script. Licences and duplicates are cargo-deny's (deny.toml).

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { pythonOf } from "../../scripts/lib/python.mjs";
import { fromRoot } from "../../scripts/lib/root.mjs";
import { mustRun } from "../../scripts/lib/run.mjs";

const read = (...path) => readFileSync(fromRoot(...path), "utf8");
const lock = () => Object.entries(JSON.parse(read("package-lock.json")).packages).filter(([path]) => path !== "");
const bill = (name) => fromRoot("build/sbom", `${name}.json`);
const writeBills = () => mustRun(process.execPath, [fromRoot("scripts/sbom.mjs")], { capture: true });

test("each build has a bill of materials that fits the schema, and the same sources give the same one", async () => {
	await writeBills();
	const first = ["worker", "npm"].map((name) => readFileSync(bill(name), "utf8"));
	assert.equal(
		await mustRun(pythonOf("supply"), [fromRoot("tests/supply/validate.py"), bill("worker"), bill("npm")], {
			capture: true,
		}),
		"",
	);
	await writeBills();
	assert.deepEqual(
		["worker", "npm"].map((name) => readFileSync(bill(name), "utf8")),
		first,
	);
	const [worker, npm] = first.map((text) => JSON.parse(text).components);
	const names = (components) => components.map(({ name }) => name);
	for (const name of ["sha2", "xxhash-rust", "worker"]) assert.ok(names(worker).includes(name), name);
	for (const name of ["xxhash-rust", "commander", "ioredis", "hyparquet"]) assert.ok(names(npm).includes(name), name);
	assert.ok(!names(npm).includes("worker"), "what is in no build of the package");
	for (const { name, purl, hashes } of [...worker, ...npm]) {
		assert.ok(name.startsWith("featheredge") || hashes?.length === 1, `${purl} has a checksum`);
	}
});

test("the lock files pin all that comes from a registry, by checksum", () => {
	for (const [path, { version, integrity }] of lock()) {
		assert.match(version, /^\d/, path);
		assert.match(integrity ?? "", /^sha512-/, path);
	}
	const crates = read("Cargo.lock").split("[[package]]").slice(1);
	for (const crate of crates.filter((text) => text.includes("source = "))) {
		assert.match(crate, /source = "registry\+[^"]+"\nchecksum = "[0-9a-f]{64}"/);
	}
});

test("no install script is needed, and none runs", async () => {
	assert.match(read(".npmrc"), /^ignore-scripts=true$/m);
	assert.match(read("scripts/lib/prepare.mjs"), /"ci", "--ignore-scripts"/);
	const withScripts = lock().filter(([path, entry]) => entry.hasInstallScript && existsSync(fromRoot(path)));
	// What of them is a program that is used here was unpacked, and runs.
	for (const program of ["esbuild", "workerd"]) {
		assert.ok(
			withScripts.some(([path]) => path === `node_modules/${program}`),
			program,
		);
		const path = fromRoot("node_modules/.bin", program);
		assert.match(await mustRun(path, ["--version"], { capture: true }), /\d/);
	}
});

test("every file that SECURITY.md names as a threat's test is there", () => {
	const paths = [...read("SECURITY.md").matchAll(/`((?:tests|src)\/[\w./-]+)`/g)].map(([, path]) => path);
	assert.ok(paths.length > 20);
	for (const path of paths) assert.ok(existsSync(fromRoot(path)), path);
});
