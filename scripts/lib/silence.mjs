// Takes from a wasm module what only speaks of a panic, and what nobody can call.
//
// A panic's text reaches nobody, since the module has no standard error to write it to. The invariant: whatever trapped before traps
// still, at the same place, and nothing else is changed.

import { DATA, Reader } from "./likeness.mjs";
import { Failure } from "./run.mjs";

/** What functions of Rust's own are called that begin a panic or go on with one, and never return. */
const PANICS = [
	/^(core|std)\[\w+\]::panicking::(?!panic_count|try|catch_unwind|do_c|(set|take|update)_hook)/,
	/^core\[\w+\]::(slice|str|option|result|cell)::[\w:]*(fail|failed|mismatch|panic_\w+)$/,
	/^alloc\[\w+\]::(raw_vec::(handle_error|capacity_overflow)|alloc::handle_alloc_error)$/,
	/^<alloc\[\w+\]::vec::Vec<.*::assert_failed$/,
	/^std\[\w+\]::thread::local::panic_access_error$/,
];

/** What JavaScript calls a Rust closure by: those of no type that is used stay behind, as entries of the table. */
const CLOSURES = /^wasm_bindgen::convert::closures::_::invoke/;

/**
 * @param {Uint8Array} input a module with its functions' names
 * @returns {Promise<Uint8Array>} the module with the bodies of Rust's machinery for panics, and of closures that nobody can call, taken
 * out, for an optimizer to take out all that only they need
 */
export async function silence(input) {
	const { default: binaryen } = await import("binaryen");
	binaryen.setDebugInfo(true);
	const module = binaryen.readBinary(input);
	const exports = Array.from({ length: module.getNumExports() }, (_, at) =>
		binaryen.getExportInfo(module.getExportByIndex(at)),
	);
	const exported = exports.filter(({ kind }) => kind === binaryen.ExternalFunction).map(({ value }) => value);
	// What JavaScript calls may be a shim around it, which is named after it.
	const isCalled = (name) => exported.some((each) => each === name || each.startsWith(`${name} `));
	let panics = 0;
	for (let at = 0; at < module.getNumFunctions(); at++) {
		const each = module.getFunctionByIndex(at);
		const { name, results } = binaryen.getFunctionInfo(each);
		const isPanic = results === binaryen.none && PANICS.some((pattern) => pattern.test(name));
		if (isPanic || (CLOSURES.test(name) && !isCalled(name))) binaryen.Function.setBody(each, module.unreachable());
		panics += isPanic ? 1 : 0;
	}
	if (panics === 0) throw new Failure("no function of a panic was found; have their names changed?");
	const output = module.emitBinary();
	module.dispose();
	blankPlaces(output);
	return output;
}

/** An instruction: a constant address follows. */
const CONSTANT = 0x41;
const WORD = 4;
const LONGEST_PATH = 512;
const MOST_LINES = 100_000;
const MOST_COLUMNS = 1_000;

/** Overwrites with zeros the places in source files that panics tell of (`core::panic::Location`), and the files' names. */
function blankPlaces(module) {
	const reader = new Reader(module, WORD * 2);
	while (!reader.isAtEnd) {
		const kind = reader.byte();
		const section = reader.slice();
		if (kind === DATA) for (const segment of segmentsOf(section)) blankPlacesOf(segment);
	}
}

/** The segments of a data section that stand at a known address. */
function* segmentsOf(section) {
	const reader = new Reader(section, 0);
	for (let left = reader.number(); left > 0; left--) {
		if (reader.number() !== 0 || reader.byte() !== CONSTANT)
			throw new Failure("a segment of data has no fixed address");
		const address = reader.number();
		reader.byte();
		yield { address, bytes: reader.slice() };
	}
}

function blankPlacesOf({ address, bytes }) {
	const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const files = new Map();
	for (let at = -address & (WORD - 1); at + 4 * WORD <= bytes.length; at += WORD) {
		const [file, length, line, column] = [0, 1, 2, 3].map((word) => words.getUint32(at + word * WORD, true));
		const begin = file - address;
		const isPath =
			begin >= 0 &&
			length < LONGEST_PATH &&
			begin + length <= bytes.length &&
			Buffer.from(bytes.buffer, bytes.byteOffset + begin, length)
				.toString("latin1")
				.endsWith(".rs");
		if (!isPath || line === 0 || line > MOST_LINES || column === 0 || column > MOST_COLUMNS) continue;
		files.set(begin, length);
		bytes.fill(0, at, at + 4 * WORD);
	}
	for (const [begin, length] of files) bytes.fill(0, begin, begin + length);
}
