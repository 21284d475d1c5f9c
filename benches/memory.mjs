// The memory that rows take beside their values, and that L1 keeps within its budget however long it is used.
//
// What is measured is the module's memory, which grows and never shrinks: whatever the core takes is in it, fragmentation included. So
// each measurement has a process of its own.

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Engine, memoryBytes } from "./engine.mjs";
import { bodyOf, fillRows, inventing, power } from "./growth.mjs";
import { allowed, compare } from "./measure.mjs";
import { generator } from "./workload.mjs";

const FEATURES = 50;
/** What the texts of a row's values may be exceeded by, in bytes. */
const LIMIT_BESIDE_VALUES = 150;
/** By how many times, and at how many rows. */
const LIMIT_TIMES = 1.25;
const LIMIT_TIMES_ROWS = 10_000;
/** More rows for the longer form. */
const ROWS = [10_000, 100_000];
const MORE_ROWS = [...ROWS, 1_000_000];

const config = (l1) => ({
	l2: { enabled: false },
	limits: { cells: 1_000_000, entities: 100_000 },
	l1,
	memory: { max_bytes: 4_000_000_000 },
	views: { stats: { join_keys: ["driver_id"] } },
	freshness: { early_refresh_percent: 0 },
});

/** The bytes of the JSON texts of the values of a row that `inventing` gives. */
function valueBytes() {
	const sample = 2_000;
	let bytes = 0;
	for (let start = 0; start < sample; start += 500) {
		const ids = Array.from({ length: 500 }, (_, at) => start + at);
		const { results } = JSON.parse(inventing(bodyOf(ids, FEATURES)).toString());
		for (const { values } of results) for (const value of values) bytes += JSON.stringify(value).length;
	}
	return bytes / sample;
}

/** For each of so many rows, the bytes that one takes. */
function heldBy(counts) {
	const engine = new Engine(config({ max_entries: 10_000_000, max_bytes: 3_000_000_000 }));
	// What requests themselves need is there before the first row counts.
	fillRows(engine, 100_000_000, 100_000_500, FEATURES);
	const before = memoryBytes();
	let filled = 0;
	return counts.map((rows) => {
		fillRows(engine, filled, rows, FEATURES);
		filled = rows;
		return (memoryBytes() - before) / rows;
	});
}

/** How many rows one request is for, and of how many features at the most. */
const AT_ONCE = 100;
/** What L1 may take, in bytes: some 20,000 of the rows that are asked for. */
const BUDGET = 16 * 1_048_576;
const ENTITIES = 100_000;
/** By how many times the memory after all operations may be that after a tenth of them: holes come and are filled. */
const LIMIT_GROWTH = 1.05;

/**
 * Reads rows at random, of one to fifty features: such as are there, such as lack some of these, and such as are missing. What is missing is
 * fetched and kept, and most of it only takes another's place.
 *
 * @returns by how many bytes the module's memory has grown after a tenth of so many reads of rows, and after all
 */
function grownBy(operations) {
	const engine = new Engine(config({ max_entries: 10_000_000, max_bytes: BUDGET }));
	fillRows(engine, 100_000_000, 100_000_500, FEATURES);
	const before = memoryBytes();
	const random = generator(11);
	// A tenth of the entities get half of the requests.
	const pick = () => Math.floor(random() * (random() < 0.5 ? ENTITIES / 10 : ENTITIES));
	let done = 0;
	return [operations / 10, operations].map((until) => {
		while (done < until) {
			const ids = new Set();
			while (ids.size < AT_ONCE) ids.add(pick());
			engine.fill(bodyOf([...ids], 1 + Math.floor(random() * FEATURES)), inventing);
			done += AT_ONCE;
		}
		return memoryBytes() - before;
	});
}

const MEASUREMENTS = { heldBy, grownBy, valueBytes };

/**
 * What one of the measurements gives in a process of its own.
 *
 * @param {"heldBy" | "grownBy"} name
 */
async function inProcess(name, argument) {
	const child = fork(fileURLToPath(import.meta.url), [name, JSON.stringify(argument)]);
	const [result] = await Promise.race([once(child, "message"), once(child, "exit")]);
	if (!Array.isArray(result)) throw new Error(`the measurement of memory ended with ${result}`);
	return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const [name, argument] = process.argv.slice(2);
	process.send(MEASUREMENTS[name](JSON.parse(argument)));
}

/**
 * @param {(name: string) => boolean} isWanted
 * @param {{ isLong?: boolean }} [options] the longer form: 10^6 rows too, and ten times as many operations
 * @returns rows that `isWanted`
 */
export async function measureMemory(isWanted, { isLong = false } = {}) {
	if (!isWanted("memory")) return [];
	const values = valueBytes();
	const counts = isLong ? MORE_ROWS : ROWS;
	const held = await inProcess("heldBy", counts);
	const rows = counts.flatMap((count, at) => {
		const name = `memory, ${power(count)} rows × ${FEATURES}`;
		const beside = { name: `${name}, beside the values`, unit: "bytes a row" };
		const times = { name: `${name}, times the values`, unit: "times" };
		return [
			allowed(beside, [held[at] - values], LIMIT_BESIDE_VALUES),
			...(count === LIMIT_TIMES_ROWS ? [allowed(times, [held[at] / values], LIMIT_TIMES)] : []),
		];
	});
	const operations = isLong ? 10_000_000 : 1_000_000;
	const grown = await inProcess("grownBy", operations);
	const [early, late] = grown.map((bytes) => [bytes / 1_048_576]);
	const name = `memory, ${power(operations)} mixed operations`;
	return [
		...rows,
		allowed({ name: `${name}, beside the budget`, unit: "MB" }, late, BUDGET / 1_048_576),
		compare({ name: `${name}, growth`, unit: "MB", peerName: "a tenth of them", goal: 1 / LIMIT_GROWTH }, late, early),
	];
}
