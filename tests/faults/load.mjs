// A load that knows what each answer must say, and what is told of it.

const WARM = 200;
const ROWS = 5;
const CLIENTS = 8;
const PAUSE_MS = 10;
/** Longer than a circuit breaker stays open, so that recovery is seen. */
const WATCHED_AFTER_MS = 8_000;
/** One request in so many is for entities that no tier has. */
const COLD_EVERY = 5;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Who is asked for, and what must be answered.
 *
 * @typedef {object} World
 * @property {number[][]} warm the entities of each request that is made before the fault
 * @property {() => number[]} cold those of a request that must ask the origin
 * @property {(id: number) => string} valueOf
 */

/** @returns {World} of entities that are asked for before the fault, and others that are each asked for once */
export function namedWorld() {
	let next = 1_000_000 + Math.floor(Math.random() * 1e9);
	const range = (first) => Array.from({ length: ROWS }, (_, row) => first + row);
	return {
		warm: Array.from({ length: WARM / ROWS }, (_, number) => range(number * ROWS)),
		cold() {
			next += ROWS;
			return range(next);
		},
		valueOf: (id) => `name of ${id}`,
	};
}

/**
 * @typedef {(ids: number[], isCold: boolean) => Promise<(string | null)[] | undefined>} ReadValues the value of each entity, null where it is told to be
 *   missing; nothing where the request was refused with a status, and a rejection where it had no answer
 * @typedef {{ begin: () => Promise<unknown>, end: () => Promise<unknown>, lastsMs: number }} Fault
 *
 * @param {ReadValues} ask
 * @param {Fault} fault
 * @param {World} [world]
 */
export async function underFault(ask, { begin, end, lastsMs }, world = namedWorld()) {
	for (const ids of world.warm) await ask(ids, false);
	const told = { requests: 0, lost: 0, unserved: 0, wrong: 0, longest_ms: 0, recovery_ms: 0 };
	let endedAt = Number.POSITIVE_INFINITY;
	let isOver = false;
	const client = async (number) => {
		for (let turn = number; !isOver; turn++) {
			const isCold = turn % COLD_EVERY === 0;
			const ids = isCold ? world.cold() : world.warm[turn % world.warm.length];
			const began = performance.now();
			const values = await ask(ids, isCold).catch(() => "lost");
			const took = performance.now() - began;
			told.requests += 1;
			told.longest_ms = Math.max(told.longest_ms, took);
			const isServed = Array.isArray(values) && values.every((value) => value !== null);
			if (Array.isArray(values))
				told.wrong += values.filter((value, row) => value !== null && value !== world.valueOf(ids[row])).length;
			if (values === "lost" || (!isCold && !isServed)) told.lost += 1;
			else if (!isServed) told.unserved += 1;
			if (!isServed && began > endedAt) told.recovery_ms = Math.max(told.recovery_ms, began + took - endedAt);
			await wait(PAUSE_MS);
		}
	};
	const clients = Array.from({ length: CLIENTS }, (_, number) => client(number * 7));
	await wait(500);
	const beganAt = performance.now();
	await begin();
	await wait(lastsMs);
	await end();
	told.lasted_ms = Math.round(performance.now() - beganAt);
	endedAt = performance.now();
	await wait(WATCHED_AFTER_MS);
	isOver = true;
	await Promise.all(clients);
	return { ...told, longest_ms: Math.round(told.longest_ms), recovery_ms: Math.round(told.recovery_ms) };
}
