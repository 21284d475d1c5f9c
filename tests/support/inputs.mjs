// Knows whether a build's inputs have changed since it last ran, by their contents: a checkout that touches every file rebuilds nothing.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { paths, root } from "./root.mjs";

/** Every file under the given files and folders, sorted; what is not there is left out. */
function* filesUnder(entries) {
	for (const entry of [...entries].sort()) {
		const path = join(root, entry);
		if (!existsSync(path)) continue;
		if (!statSync(path).isDirectory()) yield entry;
		else if (!/(^|\/)(node_modules|dist|target)$/.test(entry)) {
			yield* filesUnder(readdirSync(path).map((name) => join(entry, name)));
		}
	}
}

/**
 * @param {string[]} entries files and folders, from the root
 * @param {string[]} [extra] anything else that the build depends on
 */
export function hashInputs(entries, extra = []) {
	const hash = createHash("sha256");
	for (const text of extra) hash.update(`${text}\0`);
	for (const file of filesUnder(entries)) {
		hash.update(`${file}\0`);
		hash.update(readFileSync(join(root, file)));
		hash.update("\0");
	}
	return hash.digest("hex");
}

/**
 * Runs `build` unless it ran before with the same inputs and its outputs are there.
 *
 * @param {string} name of the stamp file
 * @param {string} inputs from `hashInputs`
 * @param {string[]} outputs
 * @param {() => Promise<void>} build
 * @returns {Promise<boolean>} whether it ran
 */
export async function unlessUnchanged(name, inputs, outputs, build) {
	const stamp = join(paths.cache, "stamps", name);
	const isFresh =
		existsSync(stamp) && readFileSync(stamp, "utf8") === inputs && outputs.every((output) => existsSync(output));
	if (isFresh) return false;
	await build();
	mkdirSync(dirname(stamp), { recursive: true });
	writeFileSync(stamp, inputs);
	return true;
}
