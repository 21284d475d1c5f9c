// The memory that rows take, and that it stays within its budget however long it is used.
//
// What is measured is the module's memory, which grows and never shrinks: whatever the core takes is in it, fragmentation included.

import { Engine, memoryBytes } from "./engine.mjs";
import { bodyOf, fillRows, inventing } from "./growth.mjs";
import { generator } from "./workload.mjs";

const FEATURES = 50;
/** What the texts of a row's values may be exceeded by, in bytes. */
const LIMIT_BESIDE_VALUES = 150;
/** By how many times, at 10,000 rows. */
const LIMIT_TIMES = 1.25;

const config = (l1) => ({
	l2: { enabled: false },
	limits: { cells: 1_000_000, entities: 100_000 },
	l1,
	views: { stats: { join_keys: ["driver_id"] } },
	freshness: { early_refresh_percent: 0 },
});

/** The bytes of the JSON texts of the values of rows that `inventing` gives. */
function valueBytes(rows) {
	const sample = Math.min(rows, 2_000);
	let bytes = 0;
	for (let start = 0; start < sample; start += 500) {
		const ids = Array.from({ length: 500 }, (_, at) => start + at);
		const { results } = JSON.parse(inventing(bodyOf(ids, FEATURES)).toString());
		for (const { values } of results) for (const value of values) bytes += JSON.stringify(value).length;
	}
	return bytes / sample;
}

/** @param {number[]} counts of rows */
export function measureRows(counts) {
	const engine = new Engine(config({ max_entries: 10_000_000, max_bytes: 3_000_000_000 }));
	// What requests themselves need is there before the first row counts.
	fillRows(engine, 100_000_000, 100_000_500, FEATURES);
	const before = memoryBytes();
	const values = valueBytes(counts[0]);
	let filled = 0;
	return counts.map((rows) => {
		fillRows(engine, filled, rows, FEATURES);
		filled = rows;
		const held = (memoryBytes() - before) / rows;
		return {
			rows,
			"bytes a row": Math.round(held),
			"of its values": Math.round(values),
			beside: Math.round(held - values),
			"goal beside": `≤ ${LIMIT_BESIDE_VALUES}: ${held - values <= LIMIT_BESIDE_VALUES ? "met" : "not met"}`,
			times: (held / values).toFixed(2),
			"goal times": `≤ ${LIMIT_TIMES}: ${held / values <= LIMIT_TIMES ? "met" : "not met"}`,
		};
	});
}

/** How many rows one request is for. */
const AT_ONCE = 100;
/** Ten times as many entities as there is room for, so that most operations find a row only to take another's place. */
const ROOM = 10_000;
const ENTITIES = ROOM * 10;
const FEW_FEATURES = 5;

/**
 * Reads rows at random, those that are missing being fetched and kept.
 *
 * @param {number} operations reads of rows
 */
export function measureUse(operations) {
	const engine = new Engine(config({ max_entries: ROOM }));
	const random = generator(11);
	// A tenth of the entities get half of the requests.
	const pick = () => Math.floor(random() * (random() < 0.5 ? ENTITIES / 10 : ENTITIES));
	const shares = [0.1, 0.25, 0.5, 1];
	let done = 0;
	return shares.map((share) => {
		const began = performance.now();
		const from = done;
		while (done < operations * share) {
			const ids = new Set();
			while (ids.size < AT_ONCE) ids.add(pick());
			engine.fill(bodyOf([...ids], FEW_FEATURES), inventing);
			done += AT_ONCE;
		}
		return {
			operations: done,
			"memory, MB": (memoryBytes() / 1_048_576).toFixed(1),
			"µs a row": (((performance.now() - began) * 1_000) / (done - from)).toFixed(2),
		};
	});
}
