// What the tab asks of the library: the history, and what it computes in the Web Worker.

import { ask } from "../bench/client.js";

export { history } from "../bench/history.js";

/** The largest export that is read, before and after it is unpacked. */
export const MAX_BYTES = 8 * 1024 * 1024;

/** A run of an export's text, checked and summarised. */
export const parse = (text) => ask("parse", { run: text });

export const compare = (baseline, run) => ask("compare", { baseline, run });

/** The run in one sentence, if it has the load with and without Featheredge. */
export const sentence = (run) => ask("summarySentence", { run });

/** The formats of an export. */
export const FORMATS = [
	{ name: "JSON", ending: "json", type: "application/json", write: (run) => ask("toJson", { run }) },
	{ name: "CSV", ending: "csv", type: "text/csv", write: (run) => ask("toCsv", { run }) },
	{ name: "Markdown", ending: "md", type: "text/markdown", write: (run) => ask("toMarkdown", { run }) },
];
