// Decodes a response in columns (the layout is in `crates/columnar/src/lib.rs`) as typed arrays over one
// copy of it.

/** The names of statuses, by their numbers. */
export const STATUSES = Object.freeze(["INVALID", "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]);

const FLOAT64 = 0;
const FLOAT32 = 1;

const decoder = new TextDecoder();
const padded = (length) => (length + 7) & ~7;

/** @param {Uint8Array} bytes the whole of their buffer */
export function readColumns({ buffer }) {
	const heads = new Uint32Array(buffer, 0, buffer.byteLength >> 2);
	const [rows, count] = heads;
	const columns = {};
	let at = 8;
	for (let column = 0; column < count; column++) {
		const [kind, dimension, nameLength, valuesLength] = heads.subarray(at >> 2, (at >> 2) + 4);
		at += 16;
		const name = decoder.decode(new Uint8Array(buffer, at, nameLength));
		at += padded(nameLength);
		const agesMs = new Float64Array(buffer, at, rows);
		at += rows * 8;
		const statuses = new Uint8Array(buffer, at, rows);
		at += padded(rows);
		columns[name] = { values: valuesOf(kind, buffer, at, valuesLength), dimension, statuses, agesMs };
		at += padded(valuesLength);
	}
	return { rows, columns };
}

function valuesOf(kind, buffer, at, length) {
	if (kind === FLOAT64) return new Float64Array(buffer, at, length >> 3);
	if (kind === FLOAT32) return new Float32Array(buffer, at, length >> 2);
	return JSON.parse(decoder.decode(new Uint8Array(buffer, at, length)));
}
