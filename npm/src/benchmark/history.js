// What both histories have in common: the records of runs, and which of them are kept.

import { BenchmarkError } from "./errors.js";

/** The most runs that are kept, as in the original specification. */
export const LIMIT = 100;

/**
 * @typedef {object} StoredRun
 * @property {string} id
 * @property {number} saved_at in milliseconds since 1970: an old run that was imported is new in the history
 * @property {boolean} is_baseline
 * @property {any} run
 */

/** The records, those that were saved last first; of one time, as after a clock that ran back, the one stored last. */
export const newestFirst = (records) => [...records].reverse().sort((left, right) => right.saved_at - left.saved_at);

/** The records that are one too many: the oldest, but for the baseline. */
export const surplus = (records) =>
	newestFirst(records)
		.slice(LIMIT)
		.filter(({ is_baseline }) => !is_baseline);

/** A run as it is given out. */
export const shown = ({ run, is_baseline }) => (is_baseline ? { ...run, is_baseline } : run);

/** A run as it is stored, after all that are stored, even those of this millisecond. */
export function recordOf(given, records) {
	const savedAt = Math.max(Date.now(), ...records.map(({ saved_at }) => saved_at + 1));
	const { is_baseline = false, ...run } = given;
	if (typeof run.id !== "string" || !/^[\w.:-]{1,100}$/.test(run.id) || !Array.isArray(run.scenarios)) {
		throw new BenchmarkError("invalid-run", "only a run can be saved: what `run` or `parse` returned");
	}
	return { id: run.id, saved_at: savedAt, is_baseline, run };
}

/** A record with changes of people. */
export function changed(record, { name, notes, is_baseline: isBaseline }) {
	const run = { ...record.run };
	for (const [field, text] of Object.entries({ name, notes })) {
		if (text === undefined) continue;
		if (typeof text !== "string" || text.length > 2_000) {
			throw new BenchmarkError("invalid-options", `\`${field}\` is no text of at most 2,000 characters`);
		}
		run[field] = text;
	}
	return { ...record, run, ...(isBaseline !== undefined && { is_baseline: Boolean(isBaseline) }) };
}

/** Checks how many runs are asked for. */
export function checkLimit(limit) {
	if (Number.isInteger(limit) && limit >= 0) return limit;
	throw new BenchmarkError("invalid-options", "`limit` is a whole number from 0");
}

export const unknownRun = (id) => new BenchmarkError("unknown-run", `there is no run \`${id}\` in the history`);
