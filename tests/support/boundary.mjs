// The rules of docs/internals/boundary.md, and the tests that they name.

import { readFileSync } from "node:fs";
import { fromRoot } from "./root.mjs";

/**
 * @typedef {object} Rule
 * @property {string} rule
 * @property {{ file: string, title: string }[]} tests
 */

/** The hosts, and the files whose tests each of them runs: those that all share, and its own. */
export const HOSTS = [
	{ name: "Worker", shared: "tests/gateway/worker.test.mjs", own: "tests/workerd/" },
	{ name: "serve", shared: "tests/gateway/serve.test.mjs", own: "tests/npm/" },
].map((host) => ({ ...host, has: (file) => file.startsWith("tests/gateway/") || file.startsWith(host.own) }));

/** A file of tests, and below it their titles: `- \`tests/…\`` with `  - *title*`, which may go on in the next line. */
const FILE = /^- `(tests\/[\w/.-]+)`\n((?: {2,}.*\n?)+)/gm;
const TITLE = /\*([^*]+)\*/g;

/**
 * @param {string} [text] a document with a rule below each heading of the third level
 * @returns {Rule[]}
 */
export function readRules(text = readFileSync(fromRoot("docs/internals/boundary.md"), "utf8")) {
	const [, ...sections] = text.split(/^### /m);
	return sections.map((section) => {
		const [rule] = section.split("\n", 1);
		const tests = [...section.matchAll(FILE)].flatMap(([, file, titles]) =>
			[...titles.matchAll(TITLE)].map(([, title]) => ({ file, title: title.replace(/\s+/g, " ") })),
		);
		return { rule, tests };
	});
}

/** The test files that a host runs for the rules. */
export function boundaryFiles(rules, { shared, own }) {
	const others = rules.flatMap(({ tests }) => tests.map(({ file }) => file)).filter((file) => file.startsWith(own));
	return [shared, ...new Set(others)].map((file) => fromRoot(file));
}
