// Error responses in the API's three formats: RFC 9457 problems, FastAPI's `detail`, and Feast's JSON in a
// string.

import { lineAndColumn, member, parse, stringOf, textOf } from "../json.js";
import { needsToken, tokenHelp } from "../token.js";

/** Messages of Feast's contract, which are those of Python's pydantic, in plain words. */
const PLAIN = {
	missing: "is missing",
	model_attributes_type: "must be an object in braces",
	list_type: "must be a list",
	dict_type: "must be an object in braces",
	string_type: "must be a string",
};

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
	const words = stringOf(text, detail) ?? text;
	const named = problemTitle ? `${status} ${problemTitle}` : title;
	if (needsToken(status)) return { title: named, lines: tokenHelp(status, words) };
	const offset = /^(.*) at byte (\d+)$/s.exec(words);
	return { title: named, lines: [offset ? `${offset[1]}, ${place(requestText, Number(offset[2]))}.` : words] };
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
	const type = stringOf(text, member(item, "type"));
	if (type === "json_invalid") return `${words}, ${place(requestText, Number(path[1]))}.`;
	const name = path.slice(1).join(".");
	if (Object.hasOwn(PLAIN, type)) return `${name === "" ? "The body" : `The field ${name}`} ${PLAIN[type]}.`;
	return name === "" ? words : `${name}: ${words}`;
}

/** Line and column of an offset in bytes. */
function place(requestText, offset) {
	const before = new TextDecoder().decode(new TextEncoder().encode(requestText).subarray(0, offset));
	const { line, column } = lineAndColumn(requestText, before.length);
	return `at line ${line}, column ${column}`;
}
