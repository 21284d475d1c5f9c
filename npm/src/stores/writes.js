// Bulk writes to stores that accept one entry at a time, and their combined result.
//
// It knows no store: each interprets its own errors. Invariant: no write begins once the store accepts no
// more.

/** The most concurrent writes: as many connections as a Worker may open for a request. */
const MAX_CONCURRENT_WRITES = 6;

/** @typedef {import("../../types/index.d.ts").Written} Written */

/**
 * Writes entries a few at a time; resolves with the combined result.
 *
 * @param {[string, Uint8Array][]} entries
 * @param {(entry: [string, Uint8Array]) => Promise<unknown>} write
 * @param {object} [options]
 * @param {AbortSignal} [options.signal]
 * @param {(error: unknown) => Partial<Written>} [options.detailsOf] what an error means beside the failure of its entry
 * @returns {Promise<Written>}
 */
export async function writeEach(entries, write, { signal, detailsOf = () => ({}) } = {}) {
	/** @type {Written} */
	const written = { failed: 0, rateLimited: 0 };
	const isStopped = () => signal?.aborted || written.isRequestSpent || written.quotaResetsAt !== undefined;
	const rest = entries.values();
	const writeNext = async () => {
		for (const entry of rest) {
			if (isStopped()) {
				written.failed += 1;
				continue;
			}
			try {
				await write(entry);
			} catch (error) {
				const { rateLimited = 0, ...others } = detailsOf(error);
				Object.assign(written, others);
				written.failed += 1;
				written.rateLimited += rateLimited;
				written.error ??= error;
			}
		}
	};
	await Promise.all(Array.from({ length: Math.min(MAX_CONCURRENT_WRITES, entries.length) }, writeNext));
	return written;
}

/**
 * The combined result of concurrent writes.
 *
 * @param {Promise<unknown>[]} writes
 * @returns {Promise<Written>}
 */
export async function writtenOf(writes) {
	const failed = (await Promise.allSettled(writes)).filter(({ status }) => status === "rejected");
	return { failed: failed.length, error: failed[0]?.reason };
}
