// `featheredge warm`: loads the rows of a file, or of a few entities, into a store or a server before the
// first request.
//
// It knows the source of rows and the progress. A sink knows the destination.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import Progress from "cli-progress";
import { entitiesOf, rowsOf } from "./entities.js";
import { EXIT, Failure } from "./failure.js";
import { onSignal } from "./interrupt.js";
import { hasTerminal, print, printJson, progressStream } from "./output.js";
import { openRows } from "./rows.js";
import { readConfig } from "./settings.js";

/**
 * The destination of rows.
 *
 * @typedef {object} Sink
 * @property {number} batch the default number of rows at a time
 * @property {(rows: object[]) => Promise<void>} write rejects if some rows were not accepted
 * @property {() => number} part its position, to resume from
 * @property {() => Promise<void>} close
 * @property {() => object} summary the totals, including `rows`
 * @property {(summary: object) => Iterable<string>} describe the summary for people: the end of its first line, and further lines
 */

function statOf(file) {
	try {
		return statSync(file);
	} catch (error) {
		throw new Failure(`cannot read \`${file}\`: ${error.code}`);
	}
}

/** The progress of a file, stored beside it until it is complete. */
class Checkpoint {
	#path;
	#of;

	constructor(file, options) {
		this.#path = `${file}.featheredge-warm`;
		const { size, mtimeMs } = statOf(file);
		this.#of = createHash("sha256")
			.update(JSON.stringify([size, mtimeMs, options]))
			.digest("hex");
	}

	/** The stored progress, if it is of the same file and options. */
	read() {
		if (!existsSync(this.#path)) return undefined;
		try {
			const kept = JSON.parse(readFileSync(this.#path, "utf8"));
			return kept.of === this.#of ? kept : undefined;
		} catch {
			return undefined;
		}
	}

	write(kept) {
		writeFileSync(this.#path, JSON.stringify({ of: this.#of, ...kept }));
	}

	remove() {
		rmSync(this.#path, { force: true });
	}
}

/** @returns {Promise<Sink>} the destination that the options name */
async function openSink(options, config, part) {
	const targets = [options.redis, options.kvBulk, options.url].filter((target) => target !== undefined);
	if (targets.length !== 1)
		throw new Failure("give one destination: `--redis URL`, `--kv-bulk FILE` or `--url URL`", EXIT.usage);
	if (options.url !== undefined) return (await import("./warm-server.js")).openServer(options);
	return (await import("./warm-store.js")).openStore(options, config, part);
}

/** In place of a checkpoint: without a file there are few rows. */
const NO_CHECKPOINT = { read: () => undefined, write() {}, remove() {} };

/** The options with the columns of the keys: those of a file, or of the entities. */
function sourceOf(options) {
	const { from, entities, keys, fetch } = options;
	if ((from === undefined) === (entities === undefined)) {
		throw new Failure("give the rows: `--from FILE` or `--entities COLUMN=VALUES`", EXIT.usage);
	}
	if (from !== undefined) {
		if (keys === undefined) throw new Failure("give the file's key columns: `--keys COLUMNS`", EXIT.usage);
		return options;
	}
	const { columns } = entitiesOf(entities);
	if (columns === undefined) throw new Failure("give the key columns: `--entities COLUMN=VALUES`", EXIT.usage);
	if (fetch === undefined) throw new Failure("give the features to fetch: `--fetch FEATURES`", EXIT.usage);
	return { ...options, columns, keys: Object.keys(columns) };
}

export async function warm(given) {
	const options = sourceOf(given);
	const { from, view, keys, columns, json } = options;
	const config = await readConfig(options.config);
	const to = options.redis ?? options.kvBulk ?? options.url;
	const { fetch, origin, features, eventTime, text } = options;
	// Progress with other options, or under other encryption keys, does not count.
	const encryption = process.env.FEATHEREDGE_STORE_ENCRYPTION_KEYS;
	const how = { view, keys, to, fetch, origin, features, eventTime, text, encryption, config };
	const checkpoint = from === undefined ? NO_CHECKPOINT : new Checkpoint(from, how);
	const progress = options.restart ? undefined : checkpoint.read();
	const started = progress?.rows ?? 0;
	const sink = await openSink(options, config, progress?.part ?? 0);
	const began = Date.now();
	const bar = new Progress.SingleBar({
		format: "{bar} {percentage} % | {value} of {total} rows | {duration_formatted}, {eta_formatted} left",
		stream: progressStream,
		noTTYOutput: false,
		clearOnComplete: true,
	});
	const hasBar = !json && hasTerminal();
	let done = started;
	// The batch under way is written again by the next run.
	onSignal(() => {
		bar.stop();
		return `stopped after ${done} rows${from === undefined ? "" : ": run the same command again to resume"}`;
	});
	try {
		const batch = options.batch ?? sink.batch;
		const { total, batches } =
			columns === undefined
				? await openRows(from, { batch, from: started, texts: options.text })
				: rowsOf(columns, batch);
		if (hasBar) bar.start(total ?? 0, started);
		for await (const rows of batches) {
			await sink.write(rows);
			done += rows.length;
			checkpoint.write({ rows: done, part: sink.part() });
			if (hasBar) {
				if (total === undefined) bar.setTotal(done);
				bar.update(done);
			}
		}
	} finally {
		bar.stop();
		await sink.close();
	}
	checkpoint.remove();
	const summary = { ...sink.summary(), skipped: started, seconds: (Date.now() - began) / 1_000 };
	if (json) return printJson(summary);
	const rate = Math.round(summary.rows / Math.max(summary.seconds, 0.001));
	const [first, ...lines] = sink.describe(summary);
	const before = started > 0 ? `; ${started} rows were loaded before` : "";
	print(`${summary.rows} rows in ${summary.seconds.toFixed(1)} s (${rate} per second), ${first}${before}`, ...lines);
}
