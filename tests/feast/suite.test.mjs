// `npm run feast-suite`: what it makes of the outcomes of Feast's own tests. These need a checkout and a network; here a program stands in for pytest.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startProgram } from "../support/program.mjs";
import { fromRoot } from "../support/root.mjs";

const MODULES = ["tests/unit/test_feature_server.py", "tests/integration/online_store/test_remote_online_store.py"];

/** Runs no test, and tells the outcomes that `SCRIPTED` has for its module; those through Featheredge only if its operator is heard there. */
const PYTEST = `#!${process.execPath}
const { appendFileSync } = require("node:fs");
const { FEAST_URL, FEAST_PORT, OPERATOR_TOKEN, OUTCOMES, SCRIPTED } = process.env;
(async () => {
	if (OPERATOR_TOKEN !== undefined) {
		const headers = { authorization: "Bearer " + OPERATOR_TOKEN };
		const body = JSON.stringify({ everything: true });
		const reply = await fetch(FEAST_URL + "/v1/invalidate", { method: "POST", headers, body });
		if (reply.status !== 200) process.exit(4);
	} else if (FEAST_URL !== "http://127.0.0.1:" + FEAST_PORT) process.exit(4);
	const { code = 0, ...outcomes } = JSON.parse(SCRIPTED);
	for (const [test, [direct, edge, requests = 1]] of Object.entries(outcomes)) {
		const outcome = OPERATOR_TOKEN === undefined ? direct : edge;
		if (outcome === null) continue;
		const line = { test: process.argv.at(-1) + "::" + test, outcome, reason: "first line\\nE  " + outcome, requests };
		appendFileSync(OUTCOMES, JSON.stringify(line) + "\\n");
	}
	process.exit(code);
})();
`;

let folder;

before(() => {
	folder = mkdtempSync(join(tmpdir(), "feast-suite-test-"));
	for (const path of ["tests/conftest.py", "pytest.ini", ...MODULES]) {
		const file = join(folder, "checkout/sdk/python", path);
		mkdirSync(join(file, ".."), { recursive: true });
		writeFileSync(file, "");
	}
	writeFileSync(join(folder, "python"), PYTEST);
	chmodSync(join(folder, "python"), 0o755);
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function suite(args, outcomes = {}) {
	const program = startProgram(process.execPath, [fromRoot("scripts/feast-suite.mjs"), ...args], {
		cwd: folder,
		env: { SCRIPTED: JSON.stringify(outcomes), INIT_CWD: undefined },
	});
	const code = await program.ends(600_000);
	return { code, output: program.output() };
}

const compare = (outcomes, ...more) =>
	suite(["--feast", "checkout", "--python", "python", "--version", "0.0.1", "--only", "unit", ...more], outcomes);

test("tests that pass both ways, or fail directly, are no difference", async () => {
	const { code, output } = await compare({ both: ["passed", "passed"], neither: ["failed", "failed"] });
	assert.equal(code, 0, output);
	assert.match(output, /^ {2}passed {3}passed {3}test_feature_server\.py::both$/m);
	assert.match(output, /^ {2}failed {3}failed {3}test_feature_server\.py::neither$/m);
	assert.match(
		output,
		/^2 tests of Feast 0\.0\.1 ask a server something: 1 pass directly\n1 of these pass through `serve`$/m,
	);
});

test("a test that passes directly alone is marked, with its reason, and fails the run", async () => {
	for (const [outcome, name] of [
		["failed", "failed"],
		["skipped", "skipped"],
		[null, "absent"],
	]) {
		const { code, output } = await compare({ both: ["passed", "passed"], direct_alone: ["passed", outcome] });
		assert.equal(code, 1, output);
		assert.match(output, new RegExp(`^≠ passed {3}${name.padEnd(8)} test_feature_server\\.py::direct_alone\\n`, "m"));
		if (outcome !== null) assert.match(output, new RegExp(`direct_alone\\n {2}E {2}${outcome}$`, "m"));
	}
});

test("what asks no server is left out, and a run of which nothing passes directly has failed", async () => {
	const { code, output } = await compare({ silent: ["passed", "passed", 0], failing: ["failed", "passed"] });
	assert.equal(code, 1, output);
	assert.match(output, /^1 tests of Feast 0\.0\.1 ask a server something: 0 pass directly$/m);
});

test("a pytest that does not get to its end fails the run, and its log is named", async () => {
	const { code, output } = await compare({ code: 3, both: ["passed", "passed"] });
	assert.equal(code, 1, output);
	assert.match(output, /pytest ended with code 3: \S+0\.0\.1-app-direct\.log/);
});

for (const [name, args, reason] of [
	["no checkout", [], /`--feast` is missing/],
	["a folder that is none", ["--feast", "."], /`\.` is no checkout of Feast's sources/],
	["a host that is not known", ["--feast", "checkout", "--host", "lambda"], /`--host` is `serve` or `worker`/],
	["no such module", ["--feast", "checkout", "--only", "nothing"], /`checkout` has no module .* `nothing`/],
	["no release", ["--feast", "checkout", "--version", "latest"], /`latest` is no release of Feast/],
]) {
	test(`${name} is said in words`, async () => {
		const { code, output } = await suite(args);
		assert.equal(code, 1, output);
		assert.match(output, reason);
	});
}
