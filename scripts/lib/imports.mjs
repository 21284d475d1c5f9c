// Names what a wasm module imports by numbers: wasm-bindgen's names end in a hash each, which gzip cannot make smaller.
//
// Invariant: a module and its JavaScript side are renamed together, and nothing else of them changes.

import { IMPORT, leb, Reader, sized, text } from "./likeness.mjs";

/**
 * @param {Uint8Array} module
 * @param {string} script its JavaScript side, which has each name of an import as a word of its own
 * @returns {{ module: Uint8Array, script: string }} both with short names
 */
export function shortenImports(module, script) {
	const reader = new Reader(module, 8);
	const parts = [module.subarray(0, 8)];
	let renamed = script;
	while (!reader.isAtEnd) {
		const begin = reader.at;
		const kind = reader.byte();
		const section = reader.slice();
		if (kind !== IMPORT) {
			parts.push(module.subarray(begin, reader.at));
			continue;
		}
		const entries = importsOf(section).map(({ from, name, type }, number) => {
			const short = `i${number}`;
			const word = new RegExp(`\\b${name}\\b`, "g");
			if (!word.test(renamed)) throw new Error(`the JavaScript side has no import \`${name}\``);
			renamed = renamed.replace(word, short);
			return [...text(from), ...text(short), ...type];
		});
		parts.push(Buffer.from([IMPORT, ...sized([...leb(entries.length), ...entries.flat()])]));
	}
	return { module: Buffer.concat(parts), script: renamed };
}

/** Each import: the module it is from, its name, and the bytes that say what it is. */
function importsOf(section) {
	const reader = new Reader(section, 0);
	return Array.from({ length: reader.number() }, () => {
		const [from, name] = [reader.slice(), reader.slice()].map((bytes) => Buffer.from(bytes).toString());
		const begin = reader.at;
		reader.importType();
		return { from, name, type: section.subarray(begin, reader.at) };
	});
}
