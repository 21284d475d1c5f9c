// Which spellings of a key an origin takes for one entity, by the rules of Python's `int()` and `str()`, which Feast applies to what
// `json.loads` gives it; and such spellings, to ask and write with.
//
// A spelling is JSON text: `1`, `"1"` and `1.0` are three.

/** JSON's tokens of a kind that `JSON.parse` does not keep as they are written. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** A number as it stands in JSON. */
export class NumberText {
	constructor(text) {
		this.text = text;
	}
}

/** `JSON.parse`, but numbers stay as they are written. */
export function parseExact(json) {
	const marked = json.replace(TOKENS, (token) => (token[0] === '"' ? token : `"\\u0000${token}"`));
	return JSON.parse(marked, (_, value) =>
		typeof value === "string" && value[0] === "\u0000" ? new NumberText(value.slice(1)) : value,
	);
}

/** The spelling of what `parseExact` gave for a key. */
export const spellingOf = (value) => (value instanceof NumberText ? value.text : JSON.stringify(value));

/** The zeros of some scripts' digits, each followed by the nine others. */
const ZEROS = [0x30, 0x660, 0x6f0, 0x966, 0x9e6, 0xff10];
/** What `int` takes for a space, by code points from and to: not those of ASCII's separators that `str.strip` takes. */
const SPACES = [
	[0x09, 0x0d],
	[0x20, 0x20],
	[0x85, 0x85],
	[0xa0, 0xa0],
	[0x1680, 0x1680],
	[0x2000, 0x200a],
	[0x2028, 0x2029],
	[0x202f, 0x202f],
	[0x205f, 0x205f],
	[0x3000, 0x3000],
];

function strip(text) {
	const isSpace = (letter) => SPACES.some(([from, to]) => letter.codePointAt(0) >= from && letter.codePointAt(0) <= to);
	const letters = [...text];
	const first = letters.findIndex((letter) => !isSpace(letter));
	const last = letters.findLastIndex((letter) => !isSpace(letter));
	return letters.slice(Math.max(first, 0), last + 1).join("");
}

function asciiDigits(text) {
	return text.replace(/\p{Nd}/gu, (digit) => {
		const code = digit.codePointAt(0);
		const zero = ZEROS.find((zero) => code >= zero && code <= zero + 9);
		return zero === undefined ? digit : String(code - zero);
	});
}

/** Python's `int(json.loads(spelling))` as text, or `undefined` where it raises. */
export function pythonInt(spelling) {
	const value = parseExact(spelling);
	if (typeof value === "boolean") return value ? "1" : "0";
	if (value instanceof NumberText) {
		if (/^-?\d+$/.test(value.text)) return BigInt(value.text).toString();
		const number = Math.trunc(Number(value.text));
		return Number.isFinite(number) ? BigInt(number).toString() : undefined;
	}
	if (typeof value !== "string") return undefined;
	const text = asciiDigits(strip(value));
	return /^[+-]?\d+(_\d+)*$/.test(text) ? BigInt(text.replace(/[+_]/g, "")).toString() : undefined;
}

/** Python's `str(json.loads(spelling))`, or `undefined` for what is no key. */
export function pythonStr(spelling) {
	const value = parseExact(spelling);
	if (typeof value === "boolean") return value ? "True" : "False";
	if (typeof value === "string") return value;
	if (!(value instanceof NumberText)) return undefined;
	if (/^-?\d+$/.test(value.text)) return BigInt(value.text).toString();
	// Of floats only those are used here that JavaScript and Python write alike.
	const text = String(Number(value.text));
	return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** Kinds of spellings of an integer, each by name: how it is written, or nothing where it cannot be. */
const INTEGER = {
	number: (id) => id,
	text: (id) => `"${id}"`,
	"float .0": (id) => (Math.abs(Number(id)) < 2 ** 53 ? `${id}.0` : undefined),
	"float cut": (id) => (Math.abs(Number(id)) < 2 ** 50 ? (id === "0" ? "0.5" : `${id}.7`) : undefined),
	exponent: (id) => (Math.abs(Number(id)) < 2 ** 53 ? `${id}e0` : undefined),
	"exponent digits": (id) =>
		id.length > 1 && id.length < 15 ? `${id[0]}.${id.slice(1)}E+${id.length - 1}` : undefined,
	boolean: (id) => ({ 0: "false", 1: "true" })[id],
	"text spaces": (id) => `" ${id}\\t"`,
	"text no-break": (id) => `" ${id}\u00a0"`,
	"text em space": (id) => `"\u2003${id}\u3000"`,
	"text plus": (id) => `"+${id}"`,
	"text zeros": (id) => `"00${id}"`,
	"text underscore": (id) => (id.length > 1 ? `"${id[0]}_${id.slice(1)}"` : undefined),
	"text fullwidth": (id) => `"${otherDigits(id, 0xff10)}"`,
	"text arabic": (id) => `"${otherDigits(id, 0x660)}"`,
	"text devanagari": (id) => `"${otherDigits(id, 0x966)}"`,
	"text escaped": (id) => `"\\u003${id[0]}${id.slice(1)}"`,
};

const otherDigits = (id, zero) => id.replace(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)));

/** The same of a text. */
const TEXT = {
	text: (key) => JSON.stringify(key),
	"text escaped": (key) => `"\\u00${key.charCodeAt(0).toString(16).padStart(2, "0")}${key.slice(1)}"`,
	number: (key) => (/^\d+$/.test(key) ? key : undefined),
	float: (key) => (/^\d+\.\d+$/.test(key) ? key : undefined),
	"float zero": (key) => (/^\d+\.[1-9]+$/.test(key) ? `${key}0` : undefined),
	exponent: (key) => (/^\d+\.0$/.test(key) ? `${key.slice(0, -2)}e0` : undefined),
	boolean: (key) => ({ True: "true", False: "false" })[key],
};

/** @typedef {{ name: string, kinds: string[], spell: (key: string, kind: string) => string | undefined, read: (spelling: string) => string | undefined }} KeyType */

const keyType = (name, kinds, read) => ({
	name,
	kinds: Object.keys(kinds),
	read,
	spell(key, kind) {
		const spelling = kinds[kind]?.(key);
		return spelling !== undefined && read(spelling) === key ? spelling : undefined;
	},
});

/** @type {Record<string, KeyType>} */
export const KEY_TYPES = { integer: keyType("integer", INTEGER, pythonInt), text: keyType("text", TEXT, pythonStr) };
