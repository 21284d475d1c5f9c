// What the documents give to run or to copy: each command and each block of code, and what programs.json says of it.

import { files, read } from "./documents.mjs";

/**
 * @typedef {object} Program
 * @property {string} document
 * @property {number} line
 * @property {string} language of its block
 * @property {string} text a command of a block of `sh`, or a whole block of another language
 * @property {string | { unrun: string }} [claim] the test that runs it, or the reason why none does
 */

/** Whether a command of `sh` goes on: in a quote, behind `\` or `|`, or after variables that are set for what follows. */
function continues(text) {
	let quote = "";
	for (let at = 0; at < text.length; at += 1) {
		const character = text[at];
		if (character === "\\" && quote !== "'") at += 1;
		else if (quote === "") quote = /["']/.test(character) ? character : "";
		else if (character === quote) quote = "";
	}
	return quote !== "" || /[\\|]$/.test(text) || /^(?:\w+=\$\(.*\)\n?)+$/.test(text);
}

/** @param {string} block of `sh` */
export function commands(block) {
	const found = [];
	let open = false;
	for (const line of block.split("\n").filter((line) => line !== "")) {
		if (open) found.push(`${found.pop()}\n${line}`);
		else found.push(line);
		open = continues(found.at(-1));
	}
	// A comment behind a command is for the reader.
	return found.map((command) => (command.includes("\n") ? command : command.replace(/ +# .*$/, "")));
}

/**
 * @param {string} document
 * @param {string} markdown
 * @returns {Program[]}
 */
export function programsOf(document, markdown) {
	const blocks = markdown.matchAll(/^( *)(`{3,}|~{3,})(\w*).*\n([\s\S]*?)^ *\2$/gm);
	return [...blocks].flatMap(({ index, 1: indent, 3: language, 4: block }) => {
		const line = markdown.slice(0, index).split("\n").length;
		const text = block.replaceAll(new RegExp(`^${indent}`, "gm"), "").trimEnd();
		return (language === "sh" ? commands(text) : [text]).map((text) => ({ document, line, language, text }));
	});
}

/** Whether a claim such as `sh npm run *` or `toml [registry]` is on a program: one that ends with `*` may be on several. */
const isOn = (pattern, { language, text }) => `${language} ${text}`.startsWith(pattern.replace(/\*$/, ""));

/** The rules of programs.json: for each document, and for all under `*`, what begins a program and what answers for it. */
export const CLAIMS = JSON.parse(read("tests/docs/programs.json"));

/**
 * Gives each program its claim: its document's own goes before that for all. Finds those without one or with two, and claims on nothing.
 *
 * @param {Program[]} programs
 * @param {Record<string, Record<string, string | { unrun: string }>>} claims
 */
export function assign(programs, claims) {
	const findings = [];
	const counts = new Map();
	const assigned = programs.map((program) => {
		const { document, line, language, text } = program;
		const of = (scope) => Object.entries(claims[scope] ?? {}).filter(([pattern]) => isOn(pattern, program));
		const [scope, found] = of(document).length > 0 ? [document, of(document)] : ["*", of("*")];
		if (found.length !== 1) {
			findings.push(`${document}:${line}: ${found.length} claims on \`${language} ${text.split("\n")[0]}\``);
			return program;
		}
		const [[pattern, claim]] = found;
		const name = `${scope}: ${pattern}`;
		counts.set(name, (counts.get(name) ?? 0) + 1);
		return { ...program, claim };
	});
	for (const [scope, patterns] of Object.entries(claims)) {
		for (const pattern of Object.keys(patterns)) {
			const name = `${scope}: ${pattern}`;
			const count = counts.get(name) ?? 0;
			if (count === 0 || (count > 1 && !pattern.endsWith("*"))) findings.push(`${name}: a claim on ${count} programs`);
		}
	}
	return { programs: assigned, findings };
}

const isRecord = (document) => document.startsWith("docs/internals/adr/");
export const DOCUMENTS = files(
	...["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/*.md", "examples/*/README.md", "npm/README.md"],
).filter((document) => !isRecord(document));

/** Every program of the documents. */
export const documented = () =>
	assign(
		DOCUMENTS.flatMap((document) => programsOf(document, read(document))),
		CLAIMS,
	);

/**
 * The programs that a test answers for.
 *
 * @param {string} file of the test, from the repository's root
 */
export const programsFor = (file) => documented().programs.filter(({ claim }) => claim === file);
