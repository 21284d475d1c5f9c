// The lines of a stream as they arrive, each with its time.

import { byId, el } from "../dom.js";
import { milliseconds } from "../headers.js";

/** The lines that are drawn; a long stream has its others in the JSON. */
const MAX_LINES = 200;

/** Empties the view for a new stream; returns what adds a line to it. */
export function openLines() {
	const list = el("ol.lines");
	const more = el(
		"p.note",
		{ hidden: true },
		`The first ${MAX_LINES} lines are shown. The others are in the tab JSON.`,
	);
	byId("view-lines").replaceChildren(
		el(
			"p.note",
			{},
			"One line for each entity, as soon as it is complete, and a last one about the request. Times are from the send.",
		),
		list,
		more,
	);
	/** @param {import("../exchange.js").Line} line */
	return ({ text, atMs }) => {
		more.hidden = list.children.length < MAX_LINES;
		if (!more.hidden) return;
		const isLast = !text.startsWith('{"entity"');
		const code = el("code.value", {}, text);
		const body = isLast ? el("details", {}, el("summary", {}, "The last line, about the request"), code) : code;
		list.append(el("li", {}, el("span.figure.line-time", {}, milliseconds(atMs)), body));
	};
}
