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

const CITATION = /`(tests\/[\w/.-]+)`: ((?:\*[^*]+\*(?:, )?)+)/g;

/** @returns {Rule[]} */
export function readRules() {
	const lines = readFileSync(fromRoot("docs/internals/boundary.md"), "utf8").split("\n");
	const rows = lines.filter((line) => line.startsWith("|") && line.includes("`tests/"));
	return rows.map((row) => {
		const cells = row
			.slice(1, -1)
			.split(" | ")
			.map((cell) => cell.trim());
		const tests = [...cells.at(-1).matchAll(CITATION)].flatMap(([, file, titles]) =>
			[...titles.matchAll(/\*([^*]+)\*/g)].map(([, title]) => ({ file, title })),
		);
		return { rule: cells.slice(0, -1).join(": "), tests };
	});
}

/** The test files that a host runs for the rules. */
export function boundaryFiles(rules, { shared, own }) {
	const others = rules.flatMap(({ tests }) => tests.map(({ file }) => file)).filter((file) => file.startsWith(own));
	return [shared, ...new Set(others)].map((file) => fromRoot(file));
}
