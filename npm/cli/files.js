// Files that a command reads whole. Invariant: only a regular file of a bounded size is read, so that neither a pipe that nobody writes to
// nor a disk's image holds the command up.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { parseJson } from "./answer.js";
import { EXIT, Failure } from "./failure.js";

const MIB = 1 << 20;

const REASONS = {
	ENOENT: "there is no such file",
	EACCES: "you may not read it",
	EISDIR: "it is a folder",
	ENXIO: "it is no regular file",
};

/**
 * The text of a file.
 *
 * @param {string} file
 * @param {{ maxBytes: number, exitCode?: number }} options
 */
export function readText(file, { maxBytes, exitCode = EXIT.failed }) {
	const fail = (reason) => {
		throw new Failure(`cannot read \`${file}\`: ${reason}`, exitCode);
	};
	let descriptor;
	try {
		// A pipe without a writer would be waited for.
		descriptor = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
		const stat = fstatSync(descriptor);
		if (stat.isDirectory()) fail(REASONS.EISDIR);
		if (!stat.isFile()) fail(REASONS.ENXIO);
		if (stat.size > maxBytes) fail(`it has ${Math.ceil(stat.size / MIB)} MiB, and the most is ${maxBytes / MIB}`);
		return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(descriptor));
	} catch (error) {
		if (error instanceof Failure) throw error;
		return fail(
			error.code === "ERR_ENCODING_INVALID_ENCODED_DATA" ? "it is not UTF-8" : (REASONS[error.code] ?? error.message),
		);
	} finally {
		if (descriptor !== undefined) closeSync(descriptor);
	}
}

/**
 * The value of a file of JSON.
 *
 * @param {string} file
 * @param {{ maxBytes: number, exitCode?: number }} options
 */
export function readJson(file, options) {
	const text = readText(file, options);
	try {
		return parseJson(text);
	} catch (error) {
		throw new Failure(`cannot read \`${file}\`: it is ${error.message}`, options.exitCode);
	}
}
