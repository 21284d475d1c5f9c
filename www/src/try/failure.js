// Error responses in the API's three formats: RFC 9457 problems, FastAPI's `detail`, and Feast's JSON in a
// string.

import { lineAndColumn, member, parse, stringOf, textOf } from "../json.js";

/**
 * @param {import("../exchange.js").Exchange} exchange
 * @returns {{ title: string, lines: string[] }}
 */
export function failureOf({ status, statusText, text, requestText }) {
	const title = `${status} ${statusText}`.trim();
	let root;
	try {
		root = parse(text);
	} catch {
		return { title, lines: [text.trim() || "The response has no body."] };
	}
	const inner = stringOf(text, root);
	if (inner !== undefined) return { title, lines: feastError(inner) };
	const detail = member(root, "detail");
	if (detail?.kind === "array")
		return { title, lines: detail.items.map((item) => fieldError(text, item, requestText)) };
	const problemTitle = stringOf(text, member(root, "title"));
	const words = stringOf(text, detail);
	return { title: problemTitle ? `${status} ${problemTitle}` : title, lines: [words ?? text] };
}

/** `{"module":…,"class":…,"message":…}` inside a string, or plain text. */
function feastError(inner) {
	try {
		const root = parse(inner);
		const message = stringOf(inner, member(root, "message"));
		const kind = stringOf(inner, member(root, "class"));
		return message ? [kind ? `${kind}: ${message}` : message] : [inner];
	} catch {
		return [inner];
	}
}

function fieldError(text, item, requestText) {
	const message = stringOf(text, member(item, "msg")) ?? textOf(text, item);
	const reason = stringOf(text, member(member(item, "ctx"), "error"));
	const path = (member(item, "loc")?.items ?? []).map((part) => stringOf(text, part) ?? textOf(text, part));
	const words = reason ? `${message}: ${reason}` : message;
	if (stringOf(text, member(item, "type")) === "json_invalid")
		return `${words}, ${place(requestText, Number(path[1]))}.`;
	return path.length > 1 ? `${path.slice(1).join(".")}: ${words}` : words;
}

/** Line and column of an offset in bytes. */
function place(requestText, offset) {
	const before = new TextDecoder().decode(new TextEncoder().encode(requestText).subarray(0, offset));
	const { line, column } = lineAndColumn(requestText, before.length);
	return `at line ${line}, column ${column}`;
}
