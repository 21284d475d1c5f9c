// Orders the functions of a wasm module so that like code stands near like code: gzip sees 32 KB back and no further.
//
// It knows the module's outer form alone: sections, and how long each body is. Its invariant: nothing is changed but the functions' names,
// which become their places, for `wasm-opt --reorder-functions-by-name` to sort by.

/** How many bytes in a row make two bodies alike where both have them: an instruction or two with their operands. */
const RUN = 6;
/**
 * What gzip still sees, less what one large function takes of it: which of these makes a module smallest is chance, and makes a
 * difference of some hundred bytes.
 */
export const WINDOWS = [27_000, 29_000, 30_000, 31_000, 32_000];
/** Runs that more functions than these have are no likeness. */
const COMMON = 400;
/** So many runs must a function have in common before a share of them says something. */
const FEW = 3;

/** Kinds of sections. */
export const IMPORT = 2;
const CODE = 10;
export const DATA = 11;
const CUSTOM = 0;

/** Reads what a module is made of, one after the other. */
export class Reader {
	at;
	#bytes;

	constructor(bytes, at) {
		this.#bytes = bytes;
		this.at = at;
	}

	get isAtEnd() {
		return this.at >= this.#bytes.length;
	}

	byte() {
		return this.#bytes[this.at++];
	}

	/** A number in LEB128. */
	number() {
		let value = 0;
		for (let shift = 0; ; shift += 7) {
			const byte = this.byte();
			value |= (byte & 0x7f) << shift;
			if (byte < 0x80) return value >>> 0;
		}
	}

	slice() {
		const length = this.number();
		this.at += length;
		return this.#bytes.subarray(this.at - length, this.at);
	}

	/** What an import is; whether it is a function. */
	importType() {
		const kind = this.byte();
		if (kind === 1) this.byte();
		if (kind === 1 || kind === 2) this.limits();
		else if (kind === 3) this.at += 2;
		else if (kind === 4) this.at += 1;
		if (kind === 0 || kind === 4) this.number();
		return kind === 0;
	}

	limits() {
		const hasMost = this.byte() & 1;
		this.number();
		if (hasMost) this.number();
	}
}

function countImportedFunctions(section) {
	const reader = new Reader(section, 0);
	let functions = 0;
	for (let left = reader.number(); left > 0; left--) {
		reader.slice();
		reader.slice();
		if (reader.importType()) functions += 1;
	}
	return functions;
}

function bodiesOf(section) {
	const reader = new Reader(section, 0);
	return Array.from({ length: reader.number() }, () => reader.slice());
}

/** The runs of bytes in a body, each as a hash. */
function runsOf(body) {
	const runs = new Set();
	for (let at = 0; at + RUN <= body.length; at++) {
		let hash = 0;
		for (let next = at; next < at + RUN; next++) hash = (Math.imul(hash, 31) + body[next]) | 0;
		runs.add(hash);
	}
	return runs;
}

/**
 * In which order the bodies are to stand: next comes, of those that are left, whichever has the largest share of its runs in the window.
 *
 * @param {Uint8Array[]} bodies
 * @param {number} window its size, in bytes
 * @returns {number[]} their numbers
 */
function order(bodies, window) {
	const runs = bodies.map(runsOf);
	const havers = new Map();
	for (const [number, own] of runs.entries()) {
		for (const run of own) havers.get(run)?.push(number) ?? havers.set(run, [number]);
	}
	/** How often each run is in the window, and of how many of its runs each function finds one there. */
	const inWindow = new Map();
	const found = new Int32Array(bodies.length);
	const count = (number, by) => {
		for (const run of runs[number]) {
			const before = inWindow.get(run) ?? 0;
			inWindow.set(run, before + by);
			if ((before === 0) === (before + by === 0)) continue;
			const ones = havers.get(run);
			if (ones.length < COMMON) for (const one of ones) found[one] += by;
		}
	};
	const left = new Set(bodies.keys());
	const placed = [];
	let windowBytes = 0;
	let windowBegin = 0;
	while (left.size > 0) {
		let [best] = left;
		let share = -1;
		for (const number of left) {
			const own = found[number] / (runs[number].size + FEW);
			if (own > share) [best, share] = [number, own];
		}
		left.delete(best);
		placed.push(best);
		count(best, 1);
		windowBytes += bodies[best].length;
		for (; windowBytes > window && windowBegin < placed.length - 1; windowBegin++) {
			count(placed[windowBegin], -1);
			windowBytes -= bodies[placed[windowBegin]].length;
		}
	}
	return placed;
}

export const leb = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)]);
export const sized = (bytes) => [...leb(bytes.length), ...bytes];
export const text = (string) => sized([...Buffer.from(string)]);

/**
 * The module with its functions named for their places.
 *
 * @param {Uint8Array} module
 * @param {number} window how far gzip sees, of `WINDOWS`
 */
export function nameByPlace(module, window) {
	const reader = new Reader(module, 8);
	const kept = [module.subarray(0, 8)];
	let imported = 0;
	let bodies = [];
	while (!reader.isAtEnd) {
		const begin = reader.at;
		const kind = reader.byte();
		const section = reader.slice();
		if (kind === IMPORT) imported = countImportedFunctions(section);
		if (kind === CODE) bodies = bodiesOf(section);
		if (kind !== CUSTOM) kept.push(module.subarray(begin, reader.at));
	}
	const places = new Map(order(bodies, window).map((number, place) => [number + imported, place]));
	const names = [...places].sort(([left], [right]) => left - right);
	const entries = names.flatMap(([number, place]) => [...leb(number), ...text(String(place).padStart(5, "0"))]);
	const functionNames = [1, ...sized([...leb(names.length), ...entries])];
	return Buffer.concat([...kept, Buffer.from([CUSTOM, ...sized([...text("name"), ...functionNames])])]);
}
