// The documents of the npm package say what the package does.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse as parseToml } from "smol-toml";
import { EXIT } from "../../npm/cli/failure.js";
import { documentedKeys } from "../support/configuration.mjs";
import { startProgram } from "../support/program.mjs";
import { fromRoot, paths } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

const read = (name) => readFileSync(fromRoot(name), "utf8");

test("the reference is what the types say", async () => {
	await mustRun(process.execPath, [fromRoot("scripts/reference.mjs"), "--check"], { capture: true });
});

test("the reference has every export of the types and every member", () => {
	const types = read("npm/types/index.d.ts");
	const reference = read("docs/reference/npm-api.md").replaceAll("\\_", "_");
	const exports = [...types.matchAll(/^export (?:interface|type|class|function|const) (\w+)/gm)].map(
		([, name]) => name,
	);
	// The text of a class says how it is made.
	const members = [...types.matchAll(/^\t+(?:readonly )?(?!constructor\b)(\w+)\??[:(]/gm)].map(([, name]) => name);
	assert.ok(exports.length > 30 && members.length > 100);
	for (const name of exports) assert.match(reference, new RegExp(`^### ${name}(?:\\(\\))?$`, "m"));
	for (const name of members)
		assert.match(reference, new RegExp(`^#+ (?:\\w+\\.)?${name}(?:\\?|\\(\\))?$|\`${name}\\??\`:`, "m"));
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

/** A literal status, or what stands for one, and the problem's name behind it. */
const NAMED = /(\d{3}|\bstatus),\s*"([a-z-]+)",/g;
/** A refusal's name and title. */
const REFUSED = /=> \("([a-z-]+)", "/g;
/** Calls that make a problem; those whose name is a variable have it from one of the above. */
const MADE = {
	rs: /\bproblem(?:::body)?\((?:[\w.*]|\(\))+,\s*("?)([\w-]+)\1,/g,
	js: /\b(?:problem|refuse)\(\s*\w+,\s*("?)([\w-]+)\1,/g,
};

/** Each problem that the sources name, with the statuses that they give it as literals. */
function problemsInSources() {
	const problems = new Map();
	const crates = readdirSync(fromRoot("crates")).map((crate) => `crates/${crate}/src`);
	const files = ["src", "npm/src", ...crates].flatMap((folder) =>
		readdirSync(fromRoot(folder), { recursive: true }).map((name) => `${folder}/${name}`),
	);
	for (const file of files.filter((name) => /\.(?:rs|js)$/.test(name))) {
		const source = read(file);
		const named = [...source.matchAll(NAMED)].map(([, status, name]) => [name, status]);
		if (file === "crates/protocol/src/problem.rs") {
			named.push(...[...source.matchAll(REFUSED)].map(([, name]) => [name]));
		}
		for (const [name, status = ""] of named) {
			const statuses = problems.get(name) ?? problems.set(name, new Set()).get(name);
			if (/^\d/.test(status)) statuses.add(status);
		}
		for (const [call, quote, name] of source.matchAll(MADE[file.slice(-2)])) {
			if (quote === "") assert.ok(["code", "kind", "name"].includes(name), `${file}: ${call}`);
			else assert.ok(problems.has(name), `${file}: ${call}`);
		}
	}
	return problems;
}

test("every problem that the sources make is documented with its statuses, and no other", () => {
	const entries = read("docs/reference/problems.md").matchAll(/^### `([a-z-]+)`\n\nStatus: (.+)\.$/gm);
	const documented = new Map([...entries].map(([, name, statuses]) => [name, statuses]));
	const made = problemsInSources();
	assert.deepEqual([...documented.keys()].sort(), [...made.keys()].sort());
	for (const [name, statuses] of made) {
		for (const status of statuses) assert.ok(documented.get(name).includes(status), `${status} of ${name}`);
	}
});

test("wrangler.toml shows every key of the configuration", () => {
	// A key that is commented out stands behind `# `, and so does its table.
	const shown = parseToml(read("wrangler.toml").replaceAll(/^# (?=\[vars|[a-z]\w* = )/gm, ""));
	const { views, push_sources, feature_services, ...tables } = shown.vars.FEATHEREDGE;
	const keys = Object.entries(tables).flatMap(([table, value]) =>
		typeof value === "object" ? Object.keys(value).map((key) => `${table}.${key}`) : [table],
	);
	for (const [table, named] of Object.entries({ views, feature_services })) {
		keys.push(...Object.values(named).flatMap((value) => Object.keys(value).map((key) => `${table}.NAME.${key}`)));
	}
	keys.push(...Object.keys(push_sources).map(() => "push_sources.NAME"));
	assert.deepEqual(keys.sort(), [...documentedKeys().keys()].sort());
});
