// The repository's documents as tests read them.

import { execFileSync } from "node:child_process";
import { lstatSync, readFileSync } from "node:fs";
import { fromRoot, root } from "../support/root.mjs";

/**
 * Files that are there and that git knows or would add; links to elsewhere are none.
 *
 * @param {string[]} patterns as `git ls-files` takes them
 */
export const files = (...patterns) =>
	[
		...new Set(
			execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ...patterns], {
				cwd: root,
				encoding: "utf8",
				maxBuffer: 64 * 1024 * 1024,
			}).split("\0"),
		),
	].filter((file) => file !== "" && lstatSync(fromRoot(file), { throwIfNoEntry: false })?.isFile());

/** @param {string} file relative to the repository */
export const read = (file) => readFileSync(fromRoot(file), "utf8");

/**
 * A document's lines without front matter, blocks of code and comments, which become empty: lines keep their numbers.
 *
 * @param {string} text
 */
export function proseLines(text) {
	const blank = (match) => match.replaceAll(/[^\n]/g, "");
	return text
		.replace(/^---\n[\s\S]*?\n---$/m, (match, at) => (at === 0 ? blank(match) : match))
		.replaceAll(/^( *(?:> ?)*)(`{3,}|~{3,})[\s\S]*?^\1\2.*$/gm, blank)
		.replaceAll(/<!--[\s\S]*?-->/g, blank)
		.split("\n");
}
