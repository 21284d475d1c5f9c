// The guides to the benchmark as code and in CI: what they show runs as it stands, on less.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { fromRoot } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";
import { project } from "./project.mjs";

const blocks = (page, language) => {
	const text = readFileSync(fromRoot(page), "utf8");
	return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block);
};

let root;
before(async () => {
	root = await project("benchmark-guide", { manifest: { type: "module" } });
});

test("the programs of the guide to the library run, one after the other", async () => {
	const code = blocks("docs/guide/benchmark-library.md", "js").join("\n");
	const shorter = [
		["\trepeats: 3,", "\trepeats: 3,\n\tscale: 0.05,"],
		['urlTarget("https://features.example.com")', "engineTarget({ createEngine })"],
		["targets: { p99_ms: 50 },", "targets: { p99_ms: 50 }, max_rate: 60, step_ms: 100,"],
	];
	const short = shorter.reduce((text, [from, to]) => {
		assert.ok(text.includes(from), from);
		return text.replace(from, to);
	}, code);
	const shown =
		"console.log(JSON.stringify([comparison.verdict, is_met, checks.length, ramp.stages, latest.length, steps.length]));";
	writeFileSync(join(root, "main.js"), `${short}\n${shown}`);
	const lines = (await mustRun(process.execPath, ["main.js"], { cwd: root, capture: true })).trim().split("\n");
	assert.match(lines[0], /instead of .* calls to the origin/);
	const [verdict, isMet, checks, stages, latest, steps] = JSON.parse(lines.at(-1));
	assert.deepEqual([verdict, typeof isMet, checks, stages.length, latest], ["noise", "boolean", 3, 2, 1]);
	assert.ok(steps >= 1);
});

test("the budget of the guide to CI is held by its command", async () => {
	const [budget] = blocks("docs/guide/benchmark-ci.md", "json");
	const [command] = blocks("docs/guide/benchmark-ci.md", "sh");
	writeFileSync(join(root, "benchmark-budget.json"), budget);
	const [npx, program, ...args] = command.trim().split(" ");
	assert.deepEqual([npx, program], ["npx", "featheredge"]);
	const cli = join(root, "node_modules/featheredge/cli/featheredge.js");
	const output = await mustRun(process.execPath, [cli, ...args, "--repeats", "1", "--scale", "0.2", "--no-history"], {
		...{ cwd: root, capture: true },
	});
	assert.match(output, /all met/);
	assert.doesNotMatch(output, /MISSED/);
});
