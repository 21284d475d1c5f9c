// JSON with integers of any size: JavaScript's own parser reads 9007199254740993 as ...992.

/** Strings, whose digits are skipped, and numbers. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** An integer that a float may not represent. */
const LONG = /^-?\d{16,}$/;

/** The prefix of an integer that is parsed or written as a string. */
const PREFIX = "\u0000featheredge:integer:";
const PREFIX_TEXT = PREFIX.slice(1);
const PREFIXED = /"\\u0000featheredge:integer:(-?\d+)"/g;

/** Parses `text`; integers that a float cannot represent become `bigint`. */
export function parse(text) {
	// A text that contains the prefix itself is parsed as JavaScript does.
	if (!/\d{16}/.test(text) || text.includes(PREFIX_TEXT)) return JSON.parse(text);
	const prefixed = text.replace(STRING_OR_NUMBER, (found) =>
		LONG.test(found) ? `"\\u0000${PREFIX_TEXT}${found}"` : found,
	);
	return JSON.parse(prefixed, (_, value) => {
		if (typeof value !== "string" || !value.startsWith(PREFIX)) return value;
		const digits = value.slice(PREFIX.length);
		return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits);
	});
}

/** The JSON of `value`; a `bigint` becomes an integer. */
export function stringify(value) {
	try {
		return JSON.stringify(value);
	} catch (error) {
		// The cause is a `bigint`, or a cycle, which fails again below.
		if (!(error instanceof TypeError)) throw error;
	}
	const text = JSON.stringify(value, (_, item) => {
		if (typeof item === "string" && item.includes(PREFIX_TEXT))
			throw new TypeError(`a string must not contain \`${PREFIX_TEXT}\``);
		return typeof item === "bigint" ? `${PREFIX}${item}` : item;
	});
	return text.replace(PREFIXED, "$1");
}
