// JSON as it was written. JavaScript's own parser turns 1.0 into 1 and 9007199254740993 into
// 9007199254740992; here every value keeps the place where it stands in the text, and is shown from there.

/** How deep a text may nest before it is refused; each level is one call deep here. */
const MAX_DEPTH = 500;

// A string holds anything from the space on, but quotes and backslashes.
const TOKEN =
	/(?<string>"[ !#-[\]-\u{10ffff}]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[ !#-[\]-\u{10ffff}]*)*")|(?<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<literal>true|false|null)|(?<mark>[{}[\],:])|(?<space>[ \t\r\n]+)|(?<wrong>.)/suy;

/**
 * @typedef {"string" | "number" | "literal" | "mark" | "space" | "wrong"} TokenKind
 * @typedef {{ kind: TokenKind, start: number, end: number }} Token
 *
 * @typedef {object} Value
 * @property {"object" | "array" | "string" | "number" | "literal"} kind
 * @property {number} start
 * @property {number} end
 * @property {{ key: string, value: Value }[]} [members] of an object
 * @property {Value[]} [items] of an array
 */

/** A text that is no JSON. */
export class JsonError extends Error {
	/**
	 * @param {string} message
	 * @param {number} at where in the text
	 */
	constructor(message, at) {
		super(message);
		this.name = "JsonError";
		this.at = at;
	}
}

/**
 * The tokens of a text, be it right or wrong; together they are the whole text.
 *
 * @param {string} text
 * @returns {Generator<Token>}
 */
export function* tokens(text) {
	TOKEN.lastIndex = 0;
	let start = 0;
	while (start < text.length) {
		TOKEN.lastIndex = start;
		const { groups } = TOKEN.exec(text);
		const end = TOKEN.lastIndex;
		const kind = Object.keys(groups).find((name) => groups[name] !== undefined);
		yield { kind, start, end };
		start = end;
	}
}

/**
 * @param {string} text
 * @returns {Value}
 * @throws {JsonError}
 */
export function parse(text) {
	const solid = [];
	for (const token of tokens(text)) if (token.kind !== "space") solid.push(token);
	let next = 0;

	const is = (mark) => solid[next]?.kind === "mark" && text[solid[next].start] === mark;
	const fail = (wanted) => {
		const token = solid[next];
		if (token === undefined) throw new JsonError(`the text ends where ${wanted} is expected`, text.length);
		if (text[token.start] === '"' && token.kind === "wrong")
			throw new JsonError("a string does not end, or holds a bad escape", token.start);
		throw new JsonError(`${wanted} is expected`, token.start);
	};
	const take = (mark) => (is(mark) ? solid[next++] : fail(`\`${mark}\``));

	/** @returns {Value} */
	const value = (depth) => {
		const token = solid[next];
		if (depth > MAX_DEPTH) throw new JsonError(`more than ${MAX_DEPTH} levels`, token.start);
		if (is("{")) return object(depth);
		if (is("[")) return array(depth);
		if (token === undefined || token.kind === "mark" || token.kind === "wrong") fail("a value");
		next += 1;
		return { kind: token.kind, start: token.start, end: token.end };
	};
	const object = (depth) => {
		const { start } = take("{");
		const members = [];
		if (!is("}")) {
			do {
				if (members.length > 0) take(",");
				if (solid[next]?.kind !== "string") fail("a name in quotes");
				const key = JSON.parse(textOf(text, solid[next++]));
				take(":");
				members.push({ key, value: value(depth + 1) });
			} while (is(","));
		}
		return { kind: "object", start, members, end: take("}").end };
	};
	const array = (depth) => {
		const { start } = take("[");
		const items = [];
		if (!is("]")) {
			do {
				if (items.length > 0) take(",");
				items.push(value(depth + 1));
			} while (is(","));
		}
		return { kind: "array", start, items, end: take("]").end };
	};

	const root = value(1);
	if (next < solid.length) fail("the end");
	return root;
}

/** The text of a value or token, as it stands. */
export const textOf = (text, { start, end }) => text.slice(start, end);

/** The member of that name, where there is one. */
export const member = (value, key) => value?.members?.find((entry) => entry.key === key)?.value;

/** The characters of a string value; undefined for anything else. */
export const stringOf = (text, value) => (value?.kind === "string" ? JSON.parse(textOf(text, value)) : undefined);

/** A number, for reckoning and drawing, never for showing; undefined for anything else. */
export const numberOf = (text, value) => (value?.kind === "number" ? Number(textOf(text, value)) : undefined);

/**
 * The same tokens, with line breaks and indentation between them. Arrays without arrays or objects inside stay on their line.
 *
 * @param {string} text right JSON
 * @returns {string}
 */
export function indent(text) {
	const solid = [];
	for (const token of tokens(text)) if (token.kind !== "space") solid.push(textOf(text, token));
	const isFlat = flatArrays(solid);
	const out = [];
	const open = [];
	const line = () => out.push("\n", "  ".repeat(open.length));
	solid.forEach((token, index) => {
		if (token === "{" || token === "[") {
			const layout = isFlat.has(index) ? "flat" : "tall";
			out.push(token);
			open.push(layout);
			if (layout === "tall" && solid[index + 1] !== "}" && solid[index + 1] !== "]") line();
		} else if (token === "}" || token === "]") {
			const layout = open.pop();
			if (layout === "tall" && solid[index - 1] !== "{" && solid[index - 1] !== "[") line();
			out.push(token);
		} else if (token === ",") {
			out.push(token);
			if (open.at(-1) === "flat") out.push(" ");
			else line();
		} else {
			out.push(token === ":" ? ": " : token);
		}
	});
	return out.join("");
}

/** The positions of `[` whose array holds neither arrays nor objects. */
function flatArrays(solid) {
	const flat = new Set();
	let lastOpen = -1;
	solid.forEach((token, index) => {
		if (token === "[" || token === "{") lastOpen = index;
		else if (token === "]" && lastOpen >= 0 && solid[lastOpen] === "[") flat.add(lastOpen);
		if (token === "]" || token === "}") lastOpen = -1;
	});
	return flat;
}

/** Line and column of a place in a text, both from 1. */
export function lineAndColumn(text, at) {
	const before = text.slice(0, at);
	const line = before.split("\n").length;
	return { line, column: at - before.lastIndexOf("\n") };
}
