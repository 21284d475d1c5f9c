// Finds measured figures in the prose of documents. They belong into tables that are generated from docs/figures.json, with date and
// machine: a number in a sentence outlives what it was true of.
//
// A figure is a number with a unit of time, size, rate, share or ratio. Whole seconds and longer are none: those are configuration. What
// is a constant of the product or of a platform all the same is an exception by file and text, with its reason.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const UNITS = [
	...["ms", "µs", "ns", "milliseconds?", "microseconds?", "nanoseconds?"],
	...["[kK]B", "[KM]iB", "MB", "GB", "GiB"],
	...["%", "percent", "times", "requests\\/s", "requests (?:a|per) second", "(?:a|per) second"],
];
const NUMBER = "\\d[\\d,]*(?:\\.\\d+)?";
/** `100 × 50` is the shape of a request, `3.3 ×` and `3.3×` a ratio; of seconds only what has a fraction was measured. */
const FIGURE = new RegExp(
	`(?<![\\w.$])${NUMBER}(?: (?:to|and|or) ${NUMBER})?(?: ?(?:${UNITS.join("|")})(?![\\w/])| ?×(?! ?(?:\\d|vector))|(?<=\\.\\d+) s(?!\\w))`,
	"g",
);

/** Where measured figures are looked for. */
export function checkedDocuments(root) {
	const guides = readdirSync(join(root, "docs/guide"), { recursive: true }).filter((name) => name.endsWith(".md"));
	const internals = ["boundary", "feast-suite", "performance", "reliability", "scale"];
	return [
		"README.md",
		...guides.map((name) => join("docs/guide", name)),
		...internals.map((name) => `docs/internals/${name}.md`),
	];
}

/** What a reader reads as text, in one line: without generated tables, code, HTML, and the targets of links. */
export const proseOf = (text) =>
	text
		.replace(/^---\n[\s\S]*?\n---\n/, "")
		.replace(/<!-- figures:[\s\S]*?<!-- \/figures -->/g, " ")
		.replace(/^( *)```[\s\S]*?^\1```$/gm, " ")
		.replace(/<[^>]*>/g, " ")
		.replace(/`[^`]*`/g, "`…`")
		.replace(/\]\([^)]*\)|^\[[^\]]*\]: .*$/gm, "]")
		.replace(/\s+/g, " ");

/** @returns {{ figure: string, at: number }[]} */
export const figuresIn = (prose) => [...prose.matchAll(FIGURE)].map((found) => ({ figure: found[0], at: found.index }));

const SHOWN = 50;

/**
 * What is wrong: figures that no exception covers, and exceptions that cover none.
 *
 * @param {Record<string, string>} documents text by name
 * @param {Record<string, Record<string, string>>} exceptions for each document, texts of its prose that may have figures, with the reason
 * @returns {string[]}
 */
export function problemsIn(documents, exceptions) {
	const problems = [];
	for (const [name, text] of Object.entries(documents)) {
		const prose = proseOf(text);
		const figures = figuresIn(prose);
		const excused = new Set();
		for (const [excuse, why] of Object.entries(exceptions[name] ?? {})) {
			const at = prose.indexOf(excuse);
			const covered = figures.filter((found) => found.at >= at && found.at + found.figure.length <= at + excuse.length);
			if (at < 0 || covered.length === 0) problems.push(`${name}: the exception \`${excuse}\` covers nothing`);
			if (why.length === 0) problems.push(`${name}: the exception \`${excuse}\` has no reason`);
			for (const found of covered) excused.add(found);
		}
		for (const found of figures.filter((found) => !excused.has(found))) {
			const around = prose.slice(Math.max(0, found.at - SHOWN), found.at + found.figure.length + SHOWN);
			problems.push(`${name}: \`${found.figure}\` in “${around.trim()}”`);
		}
	}
	for (const name of Object.keys(exceptions))
		if (documents[name] === undefined) problems.push(`${name} is not checked`);
	return problems;
}

export const readDocuments = (root) =>
	Object.fromEntries(checkedDocuments(root).map((name) => [name, readFileSync(join(root, name), "utf8")]));
