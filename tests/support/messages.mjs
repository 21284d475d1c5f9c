// The messages to and from the Durable Objects in bytes, as the crates `storage-shard` and `invalidation-log` define them, written here once
// more so that a test calls an object as another version's Worker would: a version, and behind it postcard.

const VERSION = 1;

/** @param {number | bigint} number */
function varint(number) {
	const bytes = [];
	let rest = BigInt(number);
	for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
	return [...bytes, Number(rest)];
}

const sized = (bytes) => [...varint(bytes.length), ...bytes];
const text = (string) => sized(new TextEncoder().encode(string));
const message = (...parts) => Uint8Array.from([VERSION, ...parts.flat()]);

/** A reader of the numbers and bytes of a message. */
function reader(bytes) {
	if (bytes[0] !== VERSION) throw new Error(`version ${bytes[0]}`);
	let at = 1;
	const number = () => {
		let value = 0n;
		for (let shift = 0n; ; shift += 7n) {
			const byte = bytes[at++];
			value |= BigInt(byte & 0x7f) << shift;
			if (byte < 0x80) return Number(value);
		}
	};
	return {
		number,
		many: (read) => Array.from({ length: number() }, read),
		bytes() {
			const length = number();
			at += length;
			return bytes.slice(at - length, at);
		},
	};
}

/** What a shard is asked for. @param {string[]} keys */
export const readRequest = (keys) => message(varint(keys.length), ...keys.map(text));

/** What it answers: for each key its value, or `undefined`. */
export function valuesOf(answer) {
	const { number, many, bytes } = reader(answer);
	return many(() => (number() === 1 ? bytes() : undefined));
}

/**
 * What a shard is to write.
 *
 * @param {string[]} keys
 * @param {Uint8Array[]} values
 * @param {number} ttlMs
 * @param {number} maxBytes
 */
export function writeRequest(keys, values, ttlMs, maxBytes) {
	const head = Uint8Array.from([VERSION, ...varint(keys.length)]);
	const entries = keys.flatMap((key, index) => [text(key), varint(values[index].length), values[index]]);
	return Uint8Array.from(
		Buffer.concat([
			head,
			...entries.map((part) => Uint8Array.from(part)),
			Uint8Array.from([...varint(ttlMs), ...varint(maxBytes)]),
		]),
	);
}

/** How many entries of a write failed. */
export const failedOf = (answer) => reader(answer).number();

/** What the invalidation log is told. */
export function appendRequest({
	after = 0,
	epoch = 0,
	entries = new Uint8Array(),
	at = 0,
	spread = 0,
	keep = 3_600_000,
}) {
	return message(varint(after), varint(epoch), sized(entries), ...[at, spread, keep].map(varint));
}

/** What it answers: `entries` are the time and the bytes of each. */
export function appendedOf(answer) {
	const { number, many, bytes } = reader(answer);
	const [now, last, dropped, droppedAt, epoch] = [number(), number(), number(), number(), number()];
	return { now, last, dropped, droppedAt, epoch, entries: many(() => [number(), bytes()]) };
}
