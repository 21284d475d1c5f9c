// The shapes of servers' answers: nothing that another program sent is used before it is known to have the type that is expected.
//
// A shape is a function that says what is wrong with a value at a path, or nothing.

import { parse } from "../src/json.js";
import { EXIT, Failure } from "./failure.js";

/** The deepest JSON: `limits.depth` allows 1,024 levels in an answer of an origin. */
const MAX_DEPTH = 1_100;

const [QUOTE, BACKSLASH] = ['"', "\\"].map((letter) => letter.charCodeAt(0));
const OPENING = new Set(["[", "{"].map((letter) => letter.charCodeAt(0)));
const CLOSING = new Set(["]", "}"].map((letter) => letter.charCodeAt(0)));

/** Whether a text of JSON is nested deeper than any reader of it can bear. */
function isTooDeep(text) {
	let depth = 0;
	let isString = false;
	for (let at = 0; at < text.length; at++) {
		const code = text.charCodeAt(at);
		if (code === QUOTE) isString = !isString;
		else if (isString) at += code === BACKSLASH ? 1 : 0;
		else if (OPENING.has(code)) {
			depth += 1;
			if (depth > MAX_DEPTH) return true;
		} else if (CLOSING.has(code)) depth -= 1;
	}
	return false;
}

/**
 * The value of a text of JSON; integers keep their digits.
 *
 * @param {string} text
 * @throws {Error} whose message completes "this is ..."
 */
export function parseJson(text) {
	if (isTooDeep(text)) throw new Error(`nested deeper than ${MAX_DEPTH} levels`);
	try {
		return parse(text);
	} catch {
		throw new Error(/^\s*</.test(text) ? "a web page" : text.trim() === "" ? "empty" : "not JSON");
	}
}

const kind = (what, is) => (value, path) => (is(value) ? undefined : `\`${path}\` is not ${what}`);

export const number = kind("a number", Number.isFinite);
export const count = kind("a whole number", (value) => Number.isSafeInteger(value) && value >= 0);
export const string = kind("a string", (value) => typeof value === "string");
export const boolean = kind("a boolean", (value) => typeof value === "boolean");
export const anything = () => undefined;

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const firstFault = (entries, path, shapeOf) => {
	for (const [name, value] of entries) {
		const fault = shapeOf(name)(value, path === "" ? name : `${path}.${name}`);
		if (fault !== undefined) return fault;
	}
	return undefined;
};

const within = (is, what, check) => (value, path) =>
	is(value) ? check(value, path) : `${path === "" ? "it" : `\`${path}\``} is not ${what}`;

export const optional = (shape) => (value, path) =>
	value === undefined || value === null ? undefined : shape(value, path);

/** An object with these fields, and any others. */
export const object = (fields) =>
	within(isObject, "an object", (value, path) =>
		firstFault(
			Object.keys(fields).map((name) => [name, Object.hasOwn(value, name) ? value[name] : undefined]),
			path,
			(name) => fields[name],
		),
	);

export const mapOf = (shape) =>
	within(isObject, "an object", (value, path) => firstFault(Object.entries(value), path, () => shape));

export const listOf = (shape) =>
	within(Array.isArray, "a list", (value, path) => firstFault(value.entries(), path, () => shape));

/**
 * @param {unknown} value
 * @param {(value: unknown, path: string) => string | undefined} shape
 * @param {string} source who gave it
 */
export function checked(value, shape, source) {
	const fault = shape(value, "");
	if (fault === undefined) return value;
	throw new Failure(`${source} gave something else than Featheredge does: ${fault}`, EXIT.refused);
}
