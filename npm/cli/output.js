// All that commands print. What a terminal would obey, or what would forge a line, is shown and never sent: texts come from servers, files,
// arguments and errors.
//
// Invariant: no other module of the command line writes to the terminal. What a library gives to `console` goes through here too.

import { Console } from "node:console";
import { Writable } from "node:stream";
import { stringify } from "../src/json.js";
import { EXIT } from "./failure.js";

/** Control characters (C0, DEL, C1), separators of lines, and what turns the direction of text. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const CONTROL_WITHIN_LINES = /(?!\n|\t|\r\n)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

const escaped = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** The text of anything: an object of JSON may have a `toString` that is none. */
function textOf(value) {
	return typeof value === "object" && value !== null ? stringify(value) : String(value);
}

/** A text as one line. @param {unknown} text */
export const visible = (text) => textOf(text).replaceAll(CONTROL, escaped);

/** A text of several lines. */
const visibleLines = (text) => text.replaceAll(CONTROL_WITHIN_LINES, escaped);

const [out, err] = [process.stdout, process.stderr];
let hasProgress = false;

/** Prints lines; a line break within one of them is shown. @param {unknown[]} lines */
export function print(...lines) {
	clearProgress();
	out.write(`${lines.map(visible).join("\n")}\n`);
}

/** Prints a value as JSON, or the text of one, on one line. Outside of strings, JSON has no control characters but white space. */
export function printJson(value) {
	const text = typeof value === "string" ? value.replaceAll(/[\r\n\t]/g, " ") : stringify(value);
	out.write(`${visible(text)}\n`);
}

/** Prints a text with lines of its own, such as a CSV. @param {string} text */
export function printLines(text) {
	out.write(visibleLines(text));
}

/** Prints an error as one line. @param {string} message */
export function printError(message) {
	clearProgress();
	err.write(`${visible(message)}\n`);
}

/** Prints a text with lines of its own on standard error: what is wrong with options. @param {string} text */
export function printErrorLines(text) {
	err.write(visibleLines(text));
}

/** Empties the terminal, if there is one, for a new view. */
export function clearScreen() {
	if (out.isTTY) out.write("\x1b[H\x1b[2J");
}

export const hasTerminal = () => err.isTTY === true;

/** The stream of a progress bar, which has nobody's texts. */
export const progressStream = err;

/** Draws a line of progress in the place of the last one. @param {string} text */
export function drawProgress(text) {
	if (!hasTerminal()) return;
	hasProgress = true;
	err.write(`\r\x1b[K${visible(text)}`);
}

export function clearProgress() {
	if (!hasProgress) return;
	hasProgress = false;
	err.write("\r\x1b[K");
}

/** Takes over `console`, and the errors of the streams: a reader that goes away is no bug. */
export function guardOutput() {
	const through = (stream) =>
		new Writable({
			decodeStrings: false,
			write(text, _, done) {
				stream.write(visibleLines(String(text)));
				done();
			},
		});
	globalThis.console = new Console({ stdout: through(out), stderr: through(err) });
	err.on("error", () => {});
	out.on("error", (error) => {
		if (error.code === "EPIPE") process.exit(EXIT.outputClosed);
		printError(`error: cannot write the output: ${error.message}`);
		process.exit(EXIT.failed);
	});
}

/** Resolves when all that was printed has been taken. */
export const flushed = () =>
	Promise.all([out, err].map((stream) => new Promise((resolve) => stream.write("", resolve))));
