// A load that knows what each answer must say, and what is told of it.

/** Entities that were asked for before the fault; all others are asked for once. */
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
 * @typedef {(ids: number[]) => Promise<(string | null)[] | undefined>} Ask the value of each entity, null where it is told to be missing;
 *   nothing where the request was refused with a status, and a rejection where it had no answer
 * @typedef {{ begin: () => Promise<unknown>, end: () => Promise<unknown>, lastsMs: number }} Fault
 *
 * @param {Ask} ask
 * @param {Fault} fault
 */
export async function underFault(ask, { begin, end, lastsMs }) {
	let cold = 1_000_000 + Math.floor(Math.random() * 1e9);
	for (let id = 0; id < WARM; id += ROWS) await ask(Array.from({ length: ROWS }, (_, row) => id + row));
	const told = { requests: 0, lost: 0, unserved: 0, wrong: 0, longest_ms: 0, recovery_ms: 0 };
	let endedAt = Number.POSITIVE_INFINITY;
	let isOver = false;
	const client = async (number) => {
		for (let turn = number; !isOver; turn++) {
			const isCold = turn % COLD_EVERY === 0;
			const first = isCold ? cold : (turn * ROWS) % WARM;
			if (isCold) cold += ROWS;
			const ids = Array.from({ length: ROWS }, (_, row) => first + row);
			const began = performance.now();
			const values = await ask(ids).catch(() => "lost");
			const took = performance.now() - began;
			told.requests += 1;
			told.longest_ms = Math.max(told.longest_ms, took);
			const isServed = Array.isArray(values) && values.every((value) => value !== null);
			if (Array.isArray(values))
				told.wrong += values.filter((value, row) => value !== null && value !== `name of ${ids[row]}`).length;
			if (values === "lost" || (!isCold && !isServed)) told.lost += 1;
			else if (!isServed) told.unserved += 1;
			if (!isServed && began > endedAt) told.recovery_ms = Math.max(told.recovery_ms, began + took - endedAt);
			await wait(PAUSE_MS);
		}
	};
	const clients = Array.from({ length: CLIENTS }, (_, number) => client(number * 7));
	await wait(500);
	await begin();
	await wait(lastsMs);
	await end();
	endedAt = performance.now();
	await wait(WATCHED_AFTER_MS);
	isOver = true;
	await Promise.all(clients);
	return { ...told, longest_ms: Math.round(told.longest_ms), recovery_ms: Math.round(told.recovery_ms) };
}
