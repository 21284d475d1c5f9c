// The documents of the npm package say what the package does.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EXIT } from "../../npm/cli/failure.js";
import { startProgram } from "../support/program.mjs";
import { fromRoot, paths } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

const read = (name) => readFileSync(fromRoot(name), "utf8");

test("the reference is what the types say", async () => {
	await mustRun(process.execPath, [fromRoot("scripts/reference.mjs"), "--check"], { capture: true });
});

test("every entry of the package is documented, and no other", () => {
	const { exports } = JSON.parse(read("npm/package.json"));
	const entries = Object.keys(exports)
		.filter((name) => /^\.\/[a-z-]+$/.test(name))
		.map((name) => `featheredge${name.slice(1)}`);
	const documented = new Set(read("docs/guide/npm.md").match(/featheredge\/[a-z-]+(?=")/g));
	assert.deepEqual([...documented].sort(), entries.sort());
});

test("every command, option and exit code is documented", async () => {
	const text = read("docs/reference/cli.md");
	const help = async (...args) => {
		const program = startProgram(process.execPath, [join(paths.package, "cli/featheredge.js"), ...args, "--help"]);
		await program.ends();
		return program.output();
	};
	const commands = [...(await help()).matchAll(/^ {2}([a-z]+) (?:\[options\])/gm)].map(([, name]) => name);
	assert.ok(commands.length >= 4, commands.join());
	for (const command of commands) {
		assert.ok(text.includes(`featheredge ${command}`), command);
		for (const [, option] of (await help(command)).matchAll(/(--[a-z-]+)/g)) {
			if (option !== "--help") assert.ok(text.includes(option), `${option} of ${command}`);
		}
	}
	for (const code of Object.values(EXIT)) assert.match(text, new RegExp(`^\\| ${code} \\|`, "m"));
});
