// `featheredge warm`: brings rows where servers find them, ahead of the first request: those of a file, or those of a few entities.
//
// Knows where rows come from and how far it has come, and not where they go: that is a sink's.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import Progress from "cli-progress";
import { entitiesOf, rowsOf } from "./entities.js";
import { EXIT, Failure } from "./failure.js";
import { openRows } from "./rows.js";
import { readConfig } from "./world.js";

/**
 * Where rows go.
 *
 * @typedef {object} Sink
 * @property {number} batch how many rows it takes at a time, by default
 * @property {(rows: object[]) => Promise<void>} take rejects where some were not taken
 * @property {() => number} part what it must be told when it goes on
 * @property {() => Promise<void>} close
 * @property {() => object} summary what came of all, `rows` among it
 * @property {(summary: object) => Iterable<string>} said the same for people: what follows how many and how long, and further lines
 */

function statOf(file) {
	try {
		return statSync(file);
	} catch (error) {
		throw new Failure(`cannot read \`${file}\`: ${error.code}`);
	}
}

/** How far a file has come, kept beside it until it is done. */
class Mark {
	#path;
	#of;

	constructor(file, options) {
		this.#path = `${file}.featheredge-warm`;
		const { size, mtimeMs } = statOf(file);
		this.#of = createHash("sha256")
			.update(JSON.stringify([size, mtimeMs, options]))
			.digest("hex");
	}

	/** What was kept of the same file and options. */
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

/** @returns {Promise<Sink>} where the options say that rows go */
async function openSink(options, config, part) {
	const places = [options.redis, options.kvBulk, options.url].filter((place) => place !== undefined);
	if (places.length !== 1)
		throw new Failure("say where to: `--redis URL`, `--kv-bulk FILE` or `--url URL`", EXIT.usage);
	if (options.url !== undefined) return (await import("./warm-server.js")).openServer(options);
	return (await import("./warm-store.js")).openStore(options, config, part);
}

/** Of rows that nobody needs to go on with: there is no file, and they are few. */
const NO_MARK = { read: () => undefined, write() {}, remove() {} };

/** The options with whose rows they are of: of a file that names its keys, or of entities whose columns are the keys. */
function sourceOf(options) {
	const { from, entities, keys, fetch } = options;
	if ((from === undefined) === (entities === undefined)) {
		throw new Failure("say whose rows: `--from FILE` or `--entities COLUMN=VALUES`", EXIT.usage);
	}
	if (from !== undefined) {
		if (keys === undefined)
			throw new Failure("say which columns of the file are its keys: `--keys COLUMNS`", EXIT.usage);
		return options;
	}
	const { columns } = entitiesOf(entities);
	if (columns === undefined) throw new Failure("give the key's column: `--entities COLUMN=VALUES`", EXIT.usage);
	if (fetch === undefined) throw new Failure("say which features are fetched for them: `--fetch FEATURES`", EXIT.usage);
	return { ...options, columns, keys: Object.keys(columns) };
}

export async function warm(asked) {
	const options = sourceOf(asked);
	const { from, view, keys, columns, json } = options;
	const config = await readConfig(options.config);
	const to = options.redis ?? options.kvBulk ?? options.url;
	const { fetch, origin, features, eventTime, text } = options;
	// Of what was written otherwise, or sealed by other keys, none counts.
	const sealing = process.env.FEATHEREDGE_STORE_ENCRYPTION_KEYS;
	const how = { view, keys, to, fetch, origin, features, eventTime, text, sealing, config };
	const mark = from === undefined ? NO_MARK : new Mark(from, how);
	const kept = options.restart ? undefined : mark.read();
	const started = kept?.rows ?? 0;
	const sink = await openSink(options, config, kept?.part ?? 0);
	const began = Date.now();
	const bar = new Progress.SingleBar({
		format: "{bar} {percentage} % | {value} of {total} rows | {duration_formatted}, {eta_formatted} left",
		stream: process.stderr,
		noTTYOutput: false,
		clearOnComplete: true,
	});
	const hasBar = !json && process.stderr.isTTY;
	let isInterrupted = false;
	const interrupt = () => {
		isInterrupted = true;
	};
	process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
	let done = started;
	try {
		const batch = options.batch ?? sink.batch;
		const { total, batches } =
			columns === undefined
				? await openRows(from, { batch, from: started, texts: options.text })
				: rowsOf(columns, batch);
		if (hasBar) bar.start(total ?? 0, started);
		for await (const rows of batches) {
			await sink.take(rows);
			done += rows.length;
			mark.write({ rows: done, part: sink.part() });
			if (hasBar) {
				if (total === undefined) bar.setTotal(done);
				bar.update(done);
			}
			if (isInterrupted) {
				const hint = from === undefined ? "" : ": run the same command again to go on";
				throw new Failure(`stopped after ${done} rows${hint}`, EXIT.interrupted);
			}
		}
	} finally {
		bar.stop();
		process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
		await sink.close();
	}
	mark.remove();
	const summary = { ...sink.summary(), skipped: started, seconds: (Date.now() - began) / 1_000 };
	if (json) return console.log(JSON.stringify(summary));
	const rate = Math.round(summary.rows / Math.max(summary.seconds, 0.001));
	const [first, ...lines] = sink.said(summary);
	const before = started > 0 ? `; ${started} rows were there before` : "";
	console.log(`${summary.rows} rows in ${summary.seconds.toFixed(1)} s (${rate} a second), ${first}${before}`);
	for (const line of lines) console.log(line);
}
