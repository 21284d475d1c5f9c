// Entries that a store takes one by one: a few at a time, and what became of all of them.
//
// It knows no store: each says what an error of its means. Its invariant: once the store takes nothing more, nothing more is begun.

/** How many entries are written at one time: so many connections a Worker has open for a request. */
const AT_ONCE = 6;

/** @typedef {import("../../types/index.d.ts").Written} Written */

/**
 * Writes entries, and tells what became of them.
 *
 * @param {[string, Uint8Array][]} entries
 * @param {(entry: [string, Uint8Array]) => Promise<unknown>} write
 * @param {object} [options]
 * @param {AbortSignal} [options.signal]
 * @param {(error: unknown) => Partial<Written>} [options.meaning] what an error says beside that its entry was not taken
 * @returns {Promise<Written>}
 */
export async function writeEach(entries, write, { signal, meaning = () => ({}) } = {}) {
	/** @type {Written} */
	const written = { failed: 0, rateLimited: 0 };
	const takesNoMore = () => signal?.aborted || written.isRequestSpent || written.quotaResetsAt !== undefined;
	const rest = entries.values();
	const writeOn = async () => {
		for (const entry of rest) {
			if (takesNoMore()) {
				written.failed += 1;
				continue;
			}
			try {
				await write(entry);
			} catch (error) {
				const { rateLimited = 0, ...others } = meaning(error);
				Object.assign(written, others);
				written.failed += 1;
				written.rateLimited += rateLimited;
				written.error ??= error;
			}
		}
	};
	await Promise.all(Array.from({ length: Math.min(AT_ONCE, entries.length) }, writeOn));
	return written;
}

/**
 * What became of writes that are under way all at once.
 *
 * @param {Promise<unknown>[]} writes
 * @returns {Promise<Written>}
 */
export async function writtenOf(writes) {
	const failed = (await Promise.allSettled(writes)).filter(({ status }) => status === "rejected");
	return { failed: failed.length, error: failed[0]?.reason };
}
