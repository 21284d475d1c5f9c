// Colours JSON without touching its text: ranges over one text node, by the CSS Custom Highlight API. A
// browser without it shows the text in one colour.

import { tokens } from "./json.js";

/** Beyond this, finding and painting the ranges would be felt. */
const MAX_TOKENS = 20_000;
const KINDS = ["key", "string", "number", "literal", "wrong"];
const isSupported = typeof Highlight === "function" && CSS.highlights !== undefined;
const registry = new Map();
/** @type {WeakMap<Element, [string, Range][]>} */
const painted = new WeakMap();

if (isSupported) {
	for (const kind of KINDS) {
		registry.set(kind, new Highlight());
		CSS.highlights.set(`json-${kind}`, registry.get(kind));
	}
}

/**
 * Shows `text` in `element`, and colours it.
 *
 * @param {Element} element
 * @param {string} text
 */
export function paint(element, text) {
	unpaint(element);
	element.textContent = text;
	const node = element.firstChild;
	if (!isSupported || node === null) return;
	const ranges = [];
	let lastString;
	let count = 0;
	for (const { kind, start, end } of tokens(text)) {
		if (kind === "space") continue;
		count += 1;
		if (count > MAX_TOKENS) return;
		if (kind === "mark") {
			if (text[start] === ":" && lastString) lastString[0] = "key";
			lastString = undefined;
			continue;
		}
		const range = new Range();
		range.setStart(node, start);
		range.setEnd(node, end);
		const entry = [kind, range];
		lastString = kind === "string" ? entry : undefined;
		ranges.push(entry);
	}
	for (const [kind, range] of ranges) registry.get(kind).add(range);
	painted.set(element, ranges);
}

/** Forgets the colours of an element, for one that leaves the page. */
export function unpaint(element) {
	for (const [kind, range] of painted.get(element) ?? []) registry.get(kind).delete(range);
	painted.delete(element);
}
