// A history in a file of JSON Lines. A change is a line that is appended, so that two processes lose nothing of each other's; a line that is
// torn or hostile is skipped, and the others stay.

import { randomUUID } from "node:crypto";
import { appendFile, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { BenchmarkError } from "./errors.js";
import { changed, checkLimit, LIMIT, newestFirst, recordOf, shown, surplus, unknownRun } from "./history.js";

/** The largest file that is read, and the longest line, in bytes: a hundred runs take some ten MiB. */
const MAX_FILE_BYTES = 512 << 20;
const MAX_LINE_BYTES = 8 << 20;
/** The file is written anew when it has so many lines for each run that is kept. */
const MAX_LINES_PER_RUN = 3;

/** Runs may name hosts and settings, which other users of the machine need not read. */
const PRIVATE = { mode: 0o600 };

/** Whether a value has what a list of runs shows of one. */
const isRun = (run) =>
	typeof run?.started_at === "string" &&
	Array.isArray(run.scenarios) &&
	run.scenarios.every((measured) => typeof measured?.scenario?.name === "string" && Array.isArray(measured.repeats));

function parsed(line) {
	if (line.length === 0 || line.length > MAX_LINE_BYTES) return undefined;
	try {
		const record = JSON.parse(line);
		if (typeof record?.id !== "string") return undefined;
		if (record.is_removed === true) return record;
		if (!Number.isFinite(record.saved_at) || record.run?.id !== record.id || !isRun(record.run)) return undefined;
		// A time of the future would stay the newest for ever.
		return { ...record, saved_at: Math.min(record.saved_at, Date.now()) };
	} catch {
		return undefined;
	}
}

/** The last change of each file: those of one process come one after the other. @type {Map<string, Promise<unknown>>} */
const changes = new Map();

/** @param {string} given */
export function fileHistory(given) {
	const path = resolve(given);
	const inTurn = (act) => {
		const done = (changes.get(path) ?? Promise.resolve()).then(act);
		const settled = done.catch(() => {});
		changes.set(path, settled);
		settled.then(() => changes.get(path) === settled && changes.delete(path));
		return done;
	};

	/** The records by id, and how many lines they took. */
	async function load() {
		let text = "";
		let size = 0;
		try {
			const found = await stat(path);
			// A pipe would be waited for.
			if (!found.isFile()) throw new BenchmarkError("invalid-options", `\`${path}\` is no file`);
			({ size } = found);
			if (size > MAX_FILE_BYTES)
				throw new BenchmarkError("invalid-options", `\`${path}\` is too large for a history: move it away`);
			text = await readFile(path, "utf8");
		} catch (error) {
			if (error.code !== "ENOENT") throw error;
		}
		const records = new Map();
		const lines = text.split("\n");
		for (const line of lines) {
			const record = parsed(line);
			if (record === undefined) continue;
			// A later line about a run replaces the earlier.
			records.delete(record.id);
			if (!record.is_removed) records.set(record.id, record);
		}
		return { records, size, lines: lines.length, isTorn: text !== "" && !text.endsWith("\n") };
	}

	/** Appends what `choose` makes of the records, or writes the file anew without the records that are too many. */
	async function append(choose) {
		await mkdir(dirname(path), { recursive: true, mode: 0o700 });
		const { records: known, size, lines, isTorn } = await load();
		const records = choose([...known.values()]);
		for (const record of records) {
			known.delete(record.id);
			if (!record.is_removed) known.set(record.id, record);
		}
		const tooMany = surplus(known.values());
		for (const { id } of tooMany) known.delete(id);
		const text = (some) => some.map((record) => `${JSON.stringify(record)}\n`).join("");
		if (lines < MAX_LINES_PER_RUN * LIMIT) {
			const removed = tooMany.map(({ id }) => ({ id, is_removed: true }));
			await appendFile(path, (isTorn ? "\n" : "") + text([...records, ...removed]), PRIVATE);
			return;
		}
		const beside = `${path}.${process.pid}.${randomUUID()}.tmp`;
		try {
			await writeFile(beside, text([...known.values()]), PRIVATE);
			// Another process may have appended meanwhile: then this change begins again.
			if ((await stat(path)).size !== size) return await append(choose);
			await rename(beside, path);
		} finally {
			await rm(beside, { force: true });
		}
	}

	const find = async (id) => (await load()).records.get(id);
	return {
		async history(limit = LIMIT) {
			return newestFirst((await load()).records.values())
				.slice(0, checkLimit(limit))
				.map(shown);
		},
		async get(id) {
			const record = await find(id);
			return record && shown(record);
		},
		save: (run) => inTurn(() => append((records) => [recordOf(run, records)])),
		update: (id, changes) =>
			inTurn(() =>
				append((records) => {
					const record = records.find((known) => known.id === id);
					if (record === undefined) throw unknownRun(id);
					const others = changes.is_baseline ? records.filter((known) => known.is_baseline && known.id !== id) : [];
					return [...others.map((other) => ({ ...other, is_baseline: false })), changed(record, changes)];
				}),
			),
		remove: (id) => inTurn(() => append(() => [{ id, is_removed: true }])),
		async baseline() {
			const record = [...(await load()).records.values()].find(({ is_baseline }) => is_baseline);
			return record && shown(record);
		},
	};
}
