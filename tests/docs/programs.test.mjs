// Every command and program in the documents runs in a test, or programs.json says why not. Here are those that are checked without being run:
// the repository's own scripts, by the options that they take, cargo's, wrangler's, and what goes into other programs' files.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parse as parseToml } from "smol-toml";
import { parse as parseYaml } from "yaml";
import { fromRoot } from "../support/root.mjs";
import { mustRun, run } from "../support/run.mjs";
import { files, proseLines, read } from "./documents.mjs";
import { assign, commands, DOCUMENTS, documented, programsFor, programsOf } from "./programs.mjs";

const HERE = "tests/docs/programs.test.mjs";

describe("what is found and claimed", () => {
	test("commands end at their lines' ends, and go on in quotes, behind backslashes and pipes, and after variables", () => {
		const block = `one --a 'b\nc'\ntwo \\\n  three    # not a comment\nfour    # a comment\nfive=$(six)\nseven |\n  eight`;
		assert.deepEqual(commands(block), [
			`one --a 'b\nc'`,
			"two \\\n  three    # not a comment",
			"four",
			"five=$(six)\nseven |\n  eight",
		]);
	});

	test("a block in a list has its lines without the list's indentation", () => {
		const found = programsOf("a.md", "1. x\n\n   ```toml\n   [a]\n     b = 1\n   ```\n\n```sh\nc\nd\n```\n");
		assert.deepEqual(
			found.map(({ line, language, text }) => [line, language, text]),
			[
				[3, "toml", "[a]\n  b = 1"],
				[8, "sh", "c"],
				[8, "sh", "d"],
			],
		);
	});

	test("a program without a claim, one with two, and a claim on nothing or on too many are found", () => {
		const programs = programsOf("a.md", "```sh\none\ntwo\ntwo again\nthree\n```\n");
		const claims = { "*": { "sh *": "all" }, "a.md": { "sh tw": "x", "sh o*": "x", "sh on*": "x", "sh four": "x" } };
		const { programs: assigned, findings } = assign(programs, claims);
		assert.deepEqual(
			assigned.map(({ claim }) => claim),
			[undefined, "x", "x", "all"],
		);
		assert.deepEqual(findings, [
			"a.md:1: 2 claims on `sh one`",
			"a.md: sh tw: a claim on 2 programs",
			"a.md: sh o*: a claim on 0 programs",
			"a.md: sh on*: a claim on 0 programs",
			"a.md: sh four: a claim on 0 programs",
		]);
	});
});

test("every command and program of the documents has its test, or the reason why it has none", () => {
	const { programs, findings } = documented();
	assert.equal(findings.length, 0, findings.join("\n"));
	for (const { document, line, claim } of programs) {
		const where = `${document}:${line}`;
		if (typeof claim !== "string") assert.ok(claim.unrun, where);
		// A test reads its programs from the document, or takes all that are claimed for it.
		else
			assert.ok(
				read(claim).includes(document) || /programsFor\(HERE\)/.test(read(claim)),
				`${claim} does not read ${where}`,
			);
	}
});

const words = (command) => command.replace(/^(?:\w+=(?:'[^']*'|\S*) )+/, "").match(/"[^"]*"|\S+/g);
const mine = programsFor(HERE);
/** The commands of this test, and those within sentences. */
const all = [
	...mine.filter(({ language }) => language === "sh"),
	...DOCUMENTS.flatMap((document) =>
		proseLines(read(document)).flatMap((text, index) =>
			[...text.matchAll(/`((?:npm (?:run|start|test)|cargo (?:bench|test)|node tests\/)[^`]*)`/g)].map(([, text]) => ({
				document,
				line: index + 1,
				text,
			})),
		),
	),
].map((program) => ({
	...program,
	where: `${program.document}:${program.line}: ${program.text}`,
	words: words(program.text),
}));

const manifest = JSON.parse(read("package.json"));
/** What parse-only.mjs ends with where the script has come to its arguments. */
const PARSED = 77;

/** What `npm run`, `npm start` or `npm test` runs, and the arguments behind `--`. */
function scriptOf({ where, words: [, verb, ...rest] }) {
	const [name, ...others] = verb === "run" ? rest : [verb, ...rest];
	assert.ok(others.length === 0 || others[0] === "--", where);
	return { name, args: others.slice(1).map((word) => word.replaceAll('"', "")) };
}

const isScript = ({ words: [program, verb] }) => program === "npm" && ["run", "start", "test"].includes(verb);
/** The commands that run each script. */
const scripts = new Map();
for (const command of all.filter(isScript)) {
	const { name } = scriptOf(command);
	scripts.set(name, [...(scripts.get(name) ?? []), command]);
}

test("the scripts that the documents name exist", () => {
	assert.ok(scripts.size > 10);
	for (const [name, [{ where }]] of scripts) assert.ok(name in manifest.scripts, where);
});

for (const [name, commands] of scripts) {
	const lists = commands.map((command) => scriptOf(command).args).filter((args) => args.length > 0);
	if (lists.length === 0) continue;
	test(`the options of \`npm run ${name}\` are those that it has`, async () => {
		const [, file] = /^exec node (\S+\.mjs)$/.exec(manifest.scripts[name]);
		// One that reads no arguments would run.
		assert.match(read(file), /\bparseArgs\(/, file);
		const { code, output } = await run(process.execPath, ["--import", "./tests/docs/parse-only.mjs", file], {
			capture: true,
			env: { ARGUMENT_LISTS: JSON.stringify(lists), PARSED: String(PARSED) },
		});
		assert.deepEqual([code, output], [PARSED, ""]);
	});
}

test("the steps that the documents name exist", async () => {
	const list = await mustRun(process.execPath, [fromRoot("scripts/test.mjs"), "--list"], { capture: true });
	const names = list.trim().split("\n");
	const wanted = scripts.get("test").flatMap((command) => scriptOf(command).args.filter((word) => /^[a-z]/.test(word)));
	assert.ok(wanted.length > 0);
	assert.deepEqual(
		wanted.filter((name) => !names.includes(name)),
		[],
	);
});

test("the packages that the documents install are this one and those that it is tested with", () => {
	const installs = all.flatMap(({ words: [program, verb, ...names] }) =>
		["npm install", "bun add", "deno add"].includes(`${program} ${verb}`) ? names : [],
	);
	const known = [JSON.parse(read("npm/package.json")).name, ...Object.keys(manifest.devDependencies)];
	assert.ok(installs.length > 0);
	for (const name of installs) assert.ok(known.includes(name.replace(/^npm:/, "")), name);
});

test("cargo's benches, tests and their options are those that there are", () => {
	const { bench } = parseToml(read("Cargo.toml"));
	const crates = new Set(files("Cargo.toml", "*/Cargo.toml").map((file) => parseToml(read(file)).package?.name));
	const sources = files("*.rs").map(read).join("\n");
	const checks = {
		"--bench": (name) => bench.some((one) => one.name === name),
		"--test": (name) => files(`tests/${name}.rs`, `tests/${name}/main.rs`).length === 1,
		"-p": (name) => crates.has(name),
	};
	const found = all.filter(({ words: [program] }) => program === "cargo");
	assert.ok(found.length > 0);
	for (const { where, words } of found) {
		const end = words.includes("--") ? words.indexOf("--") : words.length;
		for (const [index, word] of words.slice(0, end).entries())
			checks[word] && assert.ok(checks[word](words[index + 1]), where);
		const after = words.slice(end + 1);
		if (words[1] === "test") {
			for (const name of after.filter((word) => !word.startsWith("-")))
				assert.match(sources, new RegExp(`fn ${name}\\(`), where);
			continue;
		}
		const path = bench.find(({ name }) => name === words[words.indexOf("--bench") + 1])?.path;
		for (const option of after.filter((word) => word.startsWith("--")))
			assert.ok(read(path).includes(`"${option}" =>`), where);
	}
});

test("the programs that the documents have Node run are there", () => {
	for (const { where, words } of all.filter(({ words: [program] }) => program === "node")) {
		assert.equal(files(words[1]).length, 1, where);
	}
});

test("wrangler has the commands and options that the documents give it", { concurrency: 2 }, async (t) => {
	const found = all.filter(({ text }) => text.startsWith("npx wrangler "));
	assert.ok(found.length > 0);
	const check = async ({ where, words: [, , ...rest] }) => {
		const options = rest.filter((word) => word.startsWith("--"));
		const command = /^[^-]*/.exec(rest.join(" "))[0].trim().split(" ");
		const help = await mustRun(
			process.execPath,
			[fromRoot("node_modules/wrangler/bin/wrangler.js"), ...command, "--help"],
			{ capture: true, env: { WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" } },
		);
		const [, name, positionals] = /^wrangler ([\w ]+?)((?: [[<]\w+[\]>])*)$/m.exec(help);
		const isName = name.split(" ").every((word, index) => word === command[index]);
		const isMore = command.length <= `${name}${positionals}`.split(" ").length;
		assert.ok(isName && isMore, `${where}\n${help}`);
		for (const option of options) assert.match(help, new RegExp(` ${option}\\b`), where);
	};
	await Promise.all(found.map((command) => t.test(command.text, () => check(command))));
});

test("Feast's remote store in the documents is a URL of Featheredge, with the credentials that Feast knows", () => {
	const yaml = mine.filter(({ language }) => language === "yaml");
	assert.ok(yaml.length > 0);
	for (const { document, line, text } of yaml) {
		const where = `${document}:${line}`;
		const { online_store: store, auth, ...others } = parseYaml(text);
		assert.deepEqual([Object.keys(store), Object.keys(others)], [["type", "path"], []], where);
		assert.equal(store.type, "remote", where);
		assert.match(new URL(store.path).protocol, /^https?:$/, where);
		if (auth === undefined) continue;
		assert.deepEqual(Object.keys(auth), ["type", "auth_discovery_url", "client_id", "client_secret"], where);
	}
});

test("every command of this file's is one of the kinds that it checks", () => {
	const KINDS =
		/^(?:npm (?:run|start|test|install|ci)|cargo (?:bench|test)|npx wrangler|node (?:scripts|tests|--test)|(?:bun|deno) add)\b/;
	for (const { where, words, language } of all.filter(({ claim }) => claim !== undefined)) {
		assert.ok(language === "sh" && KINDS.test(words.slice(0, 2).join(" ")), where);
	}
	assert.deepEqual([...new Set(mine.map(({ language }) => language))].sort(), ["sh", "yaml"]);
});
