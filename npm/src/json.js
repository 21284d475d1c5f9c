// JSON with whole numbers of any size: JavaScript's own reads 9007199254740993 as ...992.

/** Strings, in which nothing is a number, and numbers. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** A whole number that a float may not hold. */
const LONG = /^-?\d{16,}$/;

/** What stands before a whole number while it travels as a string. */
const MARK = "\u0000featheredge:integer:";
const NAME = MARK.slice(1);
const MARKED = /"\\u0000featheredge:integer:(-?\d+)"/g;

/** Parses `text`; whole numbers that a float does not hold become `bigint`. */
export function parse(text) {
	// A text that has the mark of its own accord is read as JavaScript reads it.
	if (!/\d{16}/.test(text) || text.includes(NAME)) return JSON.parse(text);
	const marked = text.replace(STRING_OR_NUMBER, (found) => (LONG.test(found) ? `"\\u0000${NAME}${found}"` : found));
	return JSON.parse(marked, (_, value) => {
		if (typeof value !== "string" || !value.startsWith(MARK)) return value;
		const digits = value.slice(MARK.length);
		return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits);
	});
}

/** The JSON of `value`, in which a `bigint` is a whole number. */
export function stringify(value) {
	try {
		return JSON.stringify(value);
	} catch (error) {
		// A `bigint` brings us here, or a circle, which fails once more.
		if (!(error instanceof TypeError)) throw error;
	}
	const text = JSON.stringify(value, (_, item) => {
		if (typeof item === "string" && item.includes(NAME)) throw new TypeError(`a string may not hold \`${NAME}\``);
		return typeof item === "bigint" ? `${MARK}${item}` : item;
	});
	return text.replace(MARKED, "$1");
}
