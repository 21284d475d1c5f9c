// The spellings of keys that the core's hash is tested with (crates/model/tests/spellings.rs) are what the Python that runs Feast makes of them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { besides, feastEnvironment, python } from "../support/feast.mjs";

const spellings = (...args) =>
	execFileSync(python, [besides("spellings.py"), ...args], {
		cwd: tmpdir(),
		encoding: "utf8",
		env: { ...process.env, ...feastEnvironment(tmpdir()) },
	});

test("the spellings are those that Python generates", () => {
	assert.equal(spellings(), readFileSync(besides("spellings.jsonl"), "utf8"));
});

test("Feast converts the spellings of a key to one key", () => {
	assert.match(spellings("--feast"), /\d{3,} values are the same keys to Feast as to Python/);
});
