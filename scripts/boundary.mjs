// `npm test -- --only boundary`: runs the tests that docs/internals/boundary.md names, on the Worker and on `featheredge serve`, and prints its rules
// with what came of each. Fails where a test does, or where a rule has none that has run on a host.

import { run } from "node:test";
import { spec } from "node:test/reporters";
import Table from "cli-table3";
import { boundaryFiles, HOSTS, readRules } from "../tests/support/boundary.mjs";

const TIMEOUT_MS = 10 * 60_000;

/** Runs the tests of a host; gives how each ended, by its title. */
async function runHost({ files }) {
	/** @type {Map<string, boolean>} */
	const results = new Map();
	const events = run({ files, timeout: TIMEOUT_MS, concurrency: true });
	events.on("test:pass", ({ name, skip }) => skip === undefined && results.set(name, results.get(name) ?? true));
	events.on("test:fail", ({ name }) => results.set(name, false));
	for await (const text of events.compose(spec)) process.stdout.write(text);
	return results;
}

const rules = readRules();
const hosts = HOSTS.map((host) => ({ ...host, files: boundaryFiles(rules, host) }));
const results = await Promise.all(hosts.map(runHost));
const isFailed = results.some((result) => [...result.values()].includes(false));

const table = new Table({
	head: ["rule", ...hosts.map(({ name }) => name)],
	colWidths: [90],
	wordWrap: true,
	style: { head: [], border: [] },
});
const untested = [];
for (const { rule, tests } of rules) {
	const cells = hosts.map(({ has }, index) => {
		const titles = tests.filter(({ file }) => has(file)).map(({ title }) => title);
		// A rule of stores that a host does not have.
		if (titles.length === 0 && tests.length > 0) return "–";
		const ended = titles.map((title) => results[index].get(title));
		if (ended.length === 0 || ended.includes(undefined))
			untested.push(`${rule}: ${titles.filter((_, at) => ended[at] === undefined)}`);
		return ended.includes(false) ? "FAILED" : `${ended.filter((isPassed) => isPassed).length} passed`;
	});
	table.push([rule, ...cells]);
}
console.log(`${table}`);
for (const rule of untested) console.log(`no such test has run on a host: ${rule}`);
process.exit(isFailed || untested.length > 0 ? 1 : 0);
