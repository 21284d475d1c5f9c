// Keeps the stores of `npm start` to one process at a time: two in one SQLite database fail in its words, and `--fresh` would take them from
// under the first.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../../tests/support/run.mjs";

const FILE = "serving.json";

/** Whether a process runs, be it another user's. */
function isRunning(pid) {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return error.code === "EPERM";
	}
}

/** Who has locked the stores, unless it has ended without letting go of them. */
function holderOf(path) {
	try {
		const holder = JSON.parse(readFileSync(path, "utf8"));
		return holder.pid !== process.pid && isRunning(holder.pid) ? holder : undefined;
	} catch {
		// It is gone, or was cut off while it was written.
		return undefined;
	}
}

/**
 * Locks a folder of stores; gives what unlocks it.
 *
 * @param {string} stores
 * @param {string} url where this process is going to serve them
 * @returns {() => void}
 * @throws {Failure} where another process has them, which says what to do
 */
export function lockStores(stores, url) {
	const path = join(stores, FILE);
	mkdirSync(stores, { recursive: true });
	for (let isFirst = true; ; isFirst = false) {
		try {
			writeFileSync(path, JSON.stringify({ pid: process.pid, url }), { flag: "wx" });
			return () => rmSync(path, { force: true });
		} catch (error) {
			if (error.code !== "EEXIST") throw error;
			const holder = holderOf(path);
			if (holder !== undefined || !isFirst) {
				throw new Failure(
					`${holder?.url ?? "a Worker"} is served with the stores in ${stores} already, by process ${holder?.pid}: stop that, or give this one stores of its own by \`--stores DIR\` (where no such process serves, remove ${path})`,
				);
			}
			rmSync(path, { force: true });
		}
	}
}
