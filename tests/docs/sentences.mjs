// Measures a document's prose: its sentences in words, its lines in columns.

import { proseLines } from "./documents.mjs";

/** A full stop that ends no sentence: abbreviations, initials and versions. */
const ABBREVIATION = /(?:^|[\s(])(?:e\.g|i\.e|etc|vs|cf|approx|No|St|[A-Z])\.$/;
/** Code, a link's target, an address and a tag are one word at most, whatever they hold. */
const asWords = (text) =>
	text
		.replaceAll(/!\[([^\]]*)\]\([^)]*\)/g, " ")
		.replaceAll(/`+[^`]+`+/g, "code")
		.replaceAll(/\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, "$1")
		.replaceAll(/<https?:[^>]*>|https?:\S+/g, "address")
		.replaceAll(/<[^>]+>/g, " ")
		.replaceAll(/(\*\*|\*|(?<!\w)_|_(?!\w))/g, "");

/**
 * The blocks of a document's prose, each with its first line: paragraphs, items of lists and cells of tables. Headings are none, nor what
 * stands in blocks of code.
 *
 * @param {string} text
 */
function* blocks(text) {
	let block;
	for (const [index, line] of proseLines(text).entries()) {
		const bare = line.replace(/^[\s>]*/, "");
		const isRow = bare.startsWith("|");
		const starts = /^(?:[-*+]|\d+[.)])\s/.test(bare) || isRow;
		const isNone =
			bare === "" || /^(?:#{1,6}\s|\[[^\]]+\]:\s|<\/?(?:picture|source|img|a id)|(?:-{3,}|\*{3,})$)/.test(bare);
		if (block !== undefined && (isNone || starts)) {
			yield block;
			block = undefined;
		}
		if (isNone) continue;
		if (isRow) {
			if (/^[|\s:-]+$/.test(bare)) continue;
			for (const cell of bare.replaceAll("\\|", " ").split("|")) {
				if (cell.trim() !== "") yield { line: index + 1, text: cell.trim(), isCell: true };
			}
			continue;
		}
		const words = bare.replace(/^(?:[-*+]|\d+[.)])\s+(?:\[[ x]\]\s)?/, "");
		block = block === undefined ? { line: index + 1, text: words } : { ...block, text: `${block.text} ${words}` };
	}
	if (block !== undefined) yield block;
}

/**
 * The sentences of a document. What stands in a table, or ends like none, is `loose`: it may be no longer than others, but says nothing
 * of how long they are.
 *
 * @param {string} text
 * @returns {{ line: number, text: string, words: number, loose: boolean }[]} `line` is that of the paragraph
 */
export function sentences(text) {
	const found = [];
	for (const block of blocks(text)) {
		let rest = [];
		const end = () => {
			const text = rest.join(" ");
			const words = rest.filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
			if (words > 0)
				found.push({ line: block.line, text, words, loose: block.isCell || !/[.!?:]["')\]]*$/.test(text) });
			rest = [];
		};
		for (const word of asWords(block.text).split(/\s+/)) {
			rest.push(word);
			if (/[.!?]["')\]]*$/.test(word) && !ABBREVIATION.test(` ${word}`)) end();
		}
		end();
	}
	return found;
}

/** The middle of numbers, the greater of two. */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

/** How long the sentence in the middle is. */
export const medianLength = (sentences) => median(sentences.filter(({ loose }) => !loose).map(({ words }) => words));

/** Lines that are too long, but those that are an address and nothing else. */
export const longLines = (text, columns) =>
	text
		.split("\n")
		.map((line, index) => ({ line: index + 1, columns: [...line].length, text: line }))
		.filter(({ text, columns: length }) => length > columns && !/^\s*(?:[-*] |\[[^\]]+\]: )?<?https?:\S+$/.test(text));
