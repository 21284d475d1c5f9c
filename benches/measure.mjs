// How two things are measured beside each other: in rounds that are interleaved, so that a machine that slows down slows both.

/** Many short ones: a machine that others use too disturbs some of them, and so not the median. An odd number. */
export const ROUNDS = 25;

export const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)];

/** How often the clock is looked at, in microseconds. */
const LOOK_EVERY = 200;

/**
 * Measures contenders in interleaved rounds, after one round that warms each up.
 *
 * @param {{ serve: () => unknown, isAsync?: boolean }[]} contenders
 * @returns {Promise<number[][]>} for each contender its microseconds per call in each round
 */
export async function race(contenders, millis) {
	const batches = contenders.map(() => 1);
	const round = async () => {
		const times = [];
		for (const [at, { serve, isAsync }] of contenders.entries()) {
			const measured = isAsync ? await timeAsync(serve, batches[at], millis) : time(serve, batches[at], millis);
			batches[at] = Math.max(1, Math.floor(LOOK_EVERY / measured));
			times.push(measured);
		}
		return times;
	};
	await round();
	await round();
	const rounds = [];
	for (let number = 0; number < ROUNDS; number++) rounds.push(await round());
	return contenders.map((_, at) => rounds.map((times) => times[at]));
}

/** Microseconds per call over one round. */
function time(serve, batch, millis) {
	const began = process.hrtime.bigint();
	const end = began + BigInt(millis) * 1_000_000n;
	let calls = 0;
	let now = began;
	while (now < end) {
		for (let call = 0; call < batch; call++) serve();
		calls += batch;
		now = process.hrtime.bigint();
	}
	return Number(now - began) / 1_000 / calls;
}

/** As `time`, of what answers with a promise. */
async function timeAsync(serve, batch, millis) {
	const began = process.hrtime.bigint();
	const end = began + BigInt(millis) * 1_000_000n;
	let calls = 0;
	let now = began;
	while (now < end) {
		for (let call = 0; call < batch; call++) await serve();
		calls += batch;
		now = process.hrtime.bigint();
	}
	return Number(now - began) / 1_000 / calls;
}

/**
 * One row of the table: medians, and the median and spread of the rounds' ratios. A ratio says how many times faster ours is.
 *
 * @param {{ name: string, unit: string, peerName: string, goal?: number }} row
 * @param {number[]} ours
 * @param {number[]} peer of the same rounds
 */
export function compare({ name, unit, peerName, goal }, ours, peer) {
	const ratios = ours.map((time, round) => peer[round] / time);
	const ratio = median(ratios);
	return {
		name,
		unit,
		ours: median(ours),
		peer: median(peer),
		peer_name: peerName,
		ratio,
		spread: [Math.min(...ratios), Math.max(...ratios)],
		goal: goal ?? null,
		met: goal === undefined ? null : ratio >= goal,
	};
}

/**
 * A row of what is counted, where fewer is better and no more than the peer's is the goal.
 *
 * @param {{ name: string, unit: string, peerName: string }} row
 */
export function counted(row, ours, peer) {
	return compare({ ...row, goal: 1 }, [ours], [peer]);
}

/** The peer of what is only to be no more than that. */
export const LIMIT = "the limit";

/**
 * A row of what is used beside what is allowed, which it is to be no more than.
 *
 * @param {{ name: string, unit: string }} row
 * @param {number[]} ours
 * @param {number} limit
 */
export function allowed(row, ours, limit) {
	return compare(
		{ ...row, peerName: LIMIT, goal: 1 },
		ours,
		ours.map(() => limit),
	);
}
