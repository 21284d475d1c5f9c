// What was measured: docs/figures.json holds it as tables, and the documents include them between markers. Nothing here knows a benchmark.
//
//   <!-- figures:NAME -->
//   the caption and the table, generated
//   <!-- /figures -->

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join, relative, resolve } from "node:path";
import { fromRoot } from "./root.mjs";
import { Failure } from "./run.mjs";

/**
 * @typedef {object} Table
 * @property {string} title
 * @property {string} date
 * @property {string} machine where it was measured, with the versions that matter
 * @property {string} command what measures it again
 * @property {string[]} columns
 * @property {string[][]} rows
 */

/** @typedef {Record<string, Table>} Tables */

export const FIGURES = fromRoot("docs/figures.json");
const WIDTH = 100;
/** A line that is longer is hard to read in an editor, and in a page. */
const MAX_WIDTH = 110;
const BLOCK = /^<!-- figures:([\w-]+) -->\n(?:(?!<!-- figures:)[\s\S])*?^<!-- \/figures -->$/gm;
/** A block with a marker that is missing or misspelt is no block, so that its lines would stay. */
const MARKER = /<!-- (?:figures:\S* |\/figures )-->/g;
/** Folders that hold no document of ours. */
const SKIPPED = new Set(["node_modules", "build", "target"]);

/** @returns {Tables} */
export const readTables = (file = FIGURES) => JSON.parse(readFileSync(file, "utf8")).tables;

const list = (cells) => `[${cells.map((cell) => JSON.stringify(cell)).join(", ")}]`;

/** A row a line, so that a change of one shows as that. */
export function writeTables(file, tables) {
	const entries = Object.entries(tables).map(([name, { columns, rows, ...texts }]) => {
		const lines = Object.entries(texts).map(([key, text]) => `"${key}": ${JSON.stringify(text)}`);
		lines.push(`"columns": ${list(columns)}`);
		const cells = rows.map((row) => `\n\t\t\t\t${list(row)}`);
		return `\t\t"${name}": {\n\t\t\t${lines.join(",\n\t\t\t")},\n\t\t\t"rows": [${cells}\n\t\t\t]\n\t\t}`;
	});
	writeFileSync(file, `{\n\t"tables": {\n${entries.join(",\n")}\n\t}\n}\n`);
}

/** Breaks between words, and never inside code. */
function wrapped(text) {
	const lines = [""];
	for (const word of text.match(/`[^`]*`\S*|\S+/g)) {
		const line = lines.at(-1);
		if (line === "") lines[lines.length - 1] = word;
		else if (`${line} ${word}`.length <= WIDTH) lines[lines.length - 1] = `${line} ${word}`;
		else lines.push(word);
	}
	return lines.join("\n");
}

/** @param {Table} table */
export function render({ title, date, machine, command, columns, rows }) {
	const cell = (text) => (text === "" ? " " : ` ${text.replaceAll("|", "\\|")} `);
	const row = (cells) => `|${cells.map(cell).join("|")}|`;
	const caption = wrapped(`**${title}.** Measured ${date}; ${machine}. Command: \`${command}\`.`);
	return [caption, "", row(columns), row(columns.map(() => "---")), ...rows.map(row)].join("\n");
}

/** All Markdown files of a folder and the folders in it. */
function documentsIn(folder) {
	return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) return entry.name.startsWith(".") || SKIPPED.has(entry.name) ? [] : documentsIn(path);
		return entry.name.endsWith(".md") ? [path] : [];
	});
}

/**
 * What the documents of a folder would be with the tables in them.
 *
 * @param {Tables} tables
 * @returns {{ changed: Map<string, string>, problems: string[] }} the text of each document that differs, and what is wrong with markers and tables
 */
export function rendered(tables, root = fromRoot()) {
	const changed = new Map();
	const problems = [];
	const unused = new Set(Object.keys(tables));
	for (const path of documentsIn(root)) {
		const before = readFileSync(path, "utf8");
		const name = relative(root, path);
		let blocks = 0;
		const after = before.replace(BLOCK, (block, table) => {
			blocks += 1;
			unused.delete(table);
			if (Object.hasOwn(tables, table))
				return `<!-- figures:${table} -->\n\n${render(tables[table])}\n\n<!-- /figures -->`;
			problems.push(`${name}: docs/figures.json has no table \`${table}\``);
			return block;
		});
		if ((before.match(MARKER)?.length ?? 0) !== 2 * blocks) problems.push(`${name}: a marker of figures has no other`);
		if (after !== before) changed.set(path, after);
	}
	for (const name of unused) problems.push(`no document has the table \`${name}\``);
	for (const [name, table] of Object.entries(tables)) {
		const uneven = table.rows.find((row) => row.length !== table.columns.length);
		if (uneven !== undefined) problems.push(`table \`${name}\`: a row has not a cell for each column: ${list(uneven)}`);
		const long = render(table)
			.split("\n")
			.find((line) => line.length > MAX_WIDTH);
		if (long !== undefined) problems.push(`table \`${name}\`: a line has more than ${MAX_WIDTH} columns: ${long}`);
	}
	return { changed, problems };
}

/** Writes the tables into the documents; gives what is wrong with them. */
export function renew(tables, root = fromRoot()) {
	const { changed, problems } = rendered(tables, root);
	for (const [path, text] of changed) writeFileSync(path, text);
	return { written: [...changed.keys()].map((path) => relative(root, path)), problems };
}

export const today = () => new Date().toISOString().slice(0, 10);

/** Where this is measured: versions, processor, and how busy it was, which a reader needs to judge times. */
export function environment() {
	const { version } = JSON.parse(readFileSync(fromRoot("node_modules/workerd/package.json"), "utf8"));
	const [load] = loadavg();
	const programs = `Node ${process.versions.node} (V8 ${process.versions.v8.split("-")[0]}), workerd ${version}`;
	return `${programs}, ${cpus().length} cores of ${cpus()[0]?.model ?? "an unknown kind"}, load average ${load.toFixed(1)}`;
}

/** The options of a command that records what it measures. */
export const RECORDING = {
	record: { type: /** @type {const} */ ("boolean") },
	figures: { type: /** @type {const} */ ("string") },
};

const fileOf = ({ figures }) => (figures === undefined ? FIGURES : resolve(process.env.INIT_CWD ?? ".", figures));
const recorded = (file) => readTables(existsSync(file) ? file : FIGURES);

/**
 * The rows that a table has, for a command that measures some of them.
 *
 * @returns {Record<string, string>[]}
 */
export function recordedRows(options, name) {
	const { columns, rows } = recorded(fileOf(options))[name];
	return rows.map((row) => Object.fromEntries(row.map((cell, at) => [columns[at], cell])));
}

/**
 * Puts rows into tables of docs/figures.json, where `--record` is given, and renews the documents. With `--figures FILE` the tables
 * go to that file, and the documents stay.
 *
 * @param {{ record?: boolean, figures?: string }} options
 * @param {Record<string, Record<string, unknown>[]>} measured for each table its rows; each takes its columns from them
 */
export function record(options, measured) {
	if (!options.record) return;
	const file = fileOf(options);
	const tables = recorded(file);
	for (const [name, rows] of Object.entries(measured)) {
		const table = tables[name];
		if (table === undefined)
			throw new Failure(`docs/figures.json has no table \`${name}\`: give it a title and columns`);
		table.rows = rows.map((row) =>
			table.columns.map((column) => {
				if (row[column] === undefined) throw new Failure(`table \`${name}\`: nothing was measured for \`${column}\``);
				return String(row[column]);
			}),
		);
		table.date = today();
		table.machine = environment();
	}
	writeTables(file, tables);
	console.log(`recorded in ${file}: ${Object.keys(measured).join(", ")}`);
	if (file !== FIGURES) return;
	const { written, problems } = renew(tables);
	for (const path of written) console.log(`renewed ${path}`);
	if (problems.length > 0) throw new Failure(problems.join("\n"));
}

/** A number as documents have it: 1,234.5. */
export const grouped = (number) => number.toLocaleString("en", { maximumFractionDigits: 1 });
