// Looks for words that the project no longer uses. words.json has them, what to write instead, and exceptions with their reasons.

import { matchesGlob } from "node:path";

/**
 * @typedef {object} Word one of `old`, `key` and `pattern`
 * @property {string} [old] a name or phrase, found whole; a phrase in any case, and across lines
 * @property {boolean} [part] whether `old` is found as a part of a name, too: as in `theNameTime` and `has_the_name`
 * @property {string} [before] what stands before `old`, one of several: `fn|mod` finds declarations and spares ordinary English
 * @property {string} [key] of the configuration: `table.key`, in any notation
 * @property {string} [pattern] a regular expression, for what is none of these
 * @property {"code" | "documents" | "files"} [in] where it holds, both code and documents without; `files` are names of files
 * @property {string} write what to write instead
 *
 * @typedef {object} Exception
 * @property {string} files a glob
 * @property {string[]} [words] all without
 * @property {string} reason
 */

/** Between the words of a phrase: spaces, a line's end, and what begins the next line of a comment. */
const GAP = String.raw`(?:\s|\/\/[\/!]?|\*)+`;
const WHOLE = [String.raw`(?<![\w$])`, String.raw`(?![\w$])`];

const escaped = (text) => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
export const nameOf = ({ old, before, key, pattern }) => (before ? `${before} ${old}` : (old ?? key ?? pattern));

/** @param {Word} word */
function expression({ old, part, before, key, pattern, in: place }) {
	if (pattern !== undefined) return new RegExp(pattern, "g");
	if (key !== undefined) {
		const [table, name] = key.split(".").map(escaped);
		return new RegExp(String.raw`${WHOLE[0]}${table}\W{1,8}${name}${WHOLE[1]}`, "g");
	}
	if (part) return new RegExp(escaped(old), "gi");
	if (place === "files") return new RegExp(String.raw`(?<![\w-])${escaped(old)}(?![\w-])`, "g");
	const text = old.split(" ").map(escaped).join(GAP);
	if (before === undefined) return new RegExp(WHOLE[0] + text + WHOLE[1], old.includes(" ") ? "gi" : "g");
	return new RegExp(
		String.raw`${WHOLE[0]}(?:${before.replaceAll(".", String.raw`\.`)})\s*${WHOLE[0]}${text}${WHOLE[1]}`,
		"g",
	);
}

/**
 * Makes the search of a list.
 *
 * @param {{ words: Word[], exceptions: Exception[] }} list
 */
export function wordSearch({ words, exceptions }) {
	const searched = words.map((word) => ({ word, name: nameOf(word), expression: expression(word) }));
	const used = new Set();
	return {
		/**
		 * What a file has of the words, a line for each.
		 *
		 * @param {string} file
		 * @param {string} text
		 */
		find(file, text) {
			const isDocument = file.endsWith(".md");
			const excepting = exceptions.filter(({ files }) => matchesGlob(file, files));
			const found = [];
			for (const { word, name, expression } of searched) {
				if (word.in === "documents" && !isDocument) continue;
				if ((word.in === "code" || word.before !== undefined) && isDocument) continue;
				const isOfName = word.in === "files";
				for (const { 0: match, index } of (isOfName ? file : text).matchAll(expression)) {
					const exception = excepting.find(({ words }) => words?.includes(name) ?? true);
					if (exception !== undefined) {
						used.add(exception);
						continue;
					}
					const place = isOfName ? file : `${file}:${text.slice(0, index).split("\n").length}`;
					found.push(`${place}: ${JSON.stringify(match.replaceAll(/\s+/g, " "))}, write ${word.write}`);
				}
			}
			return found;
		},
		/** Exceptions that no file has needed so far. */
		unused: () => exceptions.filter((exception) => !used.has(exception)).map(({ files }) => files),
	};
}
