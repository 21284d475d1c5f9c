// What Featheredge is built from: pinned, told, and in need of no install script. Licences and duplicates are cargo-deny's (deny.toml).

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { readRules } from "../support/boundary.mjs";
import { pythonOf } from "../support/python.mjs";
import { fromRoot } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

const read = (...path) => readFileSync(fromRoot(...path), "utf8");
const lock = () => Object.entries(JSON.parse(read("package-lock.json")).packages).filter(([path]) => path !== "");
const bill = (name) => fromRoot("build/sbom", `${name}.json`);
const BUILDS = ["worker", "npm", "page"];
const writeBills = () => mustRun(process.execPath, [fromRoot("scripts/sbom.mjs")], { capture: true });

test("each build has a bill of materials that fits the schema, and the same sources give the same one", async () => {
	await writeBills();
	const first = BUILDS.map((name) => readFileSync(bill(name), "utf8"));
	const validate = [fromRoot("tests/supply/validate.py"), ...BUILDS.map(bill)];
	assert.equal(await mustRun(pythonOf("supply"), validate, { capture: true }), "");
	await writeBills();
	assert.deepEqual(
		BUILDS.map((name) => readFileSync(bill(name), "utf8")),
		first,
	);
	const [worker, npm, page] = first.map((text) => JSON.parse(text).components);
	const names = (components) => components.map(({ name }) => name);
	for (const name of ["sha2", "xxhash-rust", "serde-wasm-bindgen"]) assert.ok(names(worker).includes(name), name);
	for (const name of ["xxhash-rust", "commander", "ioredis", "hyparquet"]) assert.ok(names(npm).includes(name), name);
	for (const name of ["xxhash-rust", "uplot"]) assert.ok(names(page).includes(name), name);
	assert.ok(!names(npm).includes("proptest"), "what is in no build of the package");
	for (const { name, purl, hashes } of [...worker, ...npm, ...page]) {
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
	assert.match(read("tests/support/prepare.mjs"), /"ci", "--ignore-scripts"/);
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

/** The names of a file's tests, and of its groups of tests. */
function testsIn(path) {
	const text = read(path);
	const pattern = path.endsWith(".rs")
		? /#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn (?<name>\w+)/g
		: /\b(?:test|describe)\(\s*(?<quote>["'`])(?<name>(?:\\.|(?!\k<quote>).)*)\k<quote>/gs;
	return [...text.matchAll(pattern)].map(({ groups }) => groups.name);
}

test("every test that docs/internals/boundary.md names for a rule is there, in its file", () => {
	const rules = readRules();
	assert.ok(rules.length >= 30);
	for (const { rule, tests } of rules) {
		assert.ok(tests.length > 0, `${rule} has a test`);
		for (const { file, title } of tests) {
			assert.ok(existsSync(fromRoot(file)), `${file} for ${title}`);
			// Of a title that is put together, the parts that are always the same stand there.
			const isThere = testsIn(file).some((name) => {
				const parts = name.replaceAll("\\`", "`").split(/\$\{[^}]*\}/);
				return new RegExp(`^${parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`).test(
					title,
				);
			});
			assert.ok(isThere, `${file} has no test \`${title}\``);
		}
	}
});

test("every test that SECURITY.md names for a threat is there, in its file", () => {
	const [, ...threats] = read("SECURITY.md").split("\n## Threats\n")[1].split("\n## ")[0].split("\n### ");
	assert.ok(threats.length >= 18);
	for (const text of threats) {
		const [threat] = text.split("\n");
		const [, ...files] = text.split("\n- ");
		assert.ok(files.length > 0, `${threat} has a test`);
		for (const file of files) {
			const [path, ...names] = file
				.trim()
				.split(/\n {2}- /)
				.map((item) => /^([`*])(.+)\1$/.exec(item.replaceAll(/\s+/g, " "))?.[2]);
			assert.ok(path !== undefined && existsSync(fromRoot(path)), `${threat}: ${file}`);
			assert.ok(names.length > 0, `${path} for ${threat}`);
			const known = testsIn(path);
			// Of a name that is put together, the part that is always the same stands there.
			const isKnown = (name) => known.some((other) => (path.endsWith(".rs") ? other === name : other.includes(name)));
			for (const name of names) assert.ok(isKnown(name), `${path} has no test \`${name}\``);
		}
	}
});
