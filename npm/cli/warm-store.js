// The sink of `featheredge warm` for a store: Redis, or files for `wrangler kv bulk put`.
//
// The file of rows is the origin of an engine, which fetches each batch from it and writes it to the store
// as usual. So keys and values have the form that servers with the same configuration read. With `--fetch`,
// the origin stays the origin.

import { closeSync, openSync, writeSync } from "node:fs";
import { createEngine } from "../dist/node.js";
import { redisStore } from "../dist/redis.js";
import { stringify } from "../src/json.js";
import { encrypted, originOf } from "./connections.js";
import { EXIT, Failure } from "./failure.js";
import { columnsOf, qualifiedBy } from "./rows.js";

/** Workers KV's price for a million writes, in dollars. */
const KV_DOLLARS_PER_MILLION = 5;
/** The most pairs for one call of `wrangler kv bulk put`. */
const KV_BULK_PAIRS = 10_000;
/** The default batch for Redis: large enough to keep it busy, small enough to show progress. */
const REDIS_BATCH = 1_000;

/** A store that counts the rows it accepts. */
class CountingStore {
	rows = 0;
	bytes = 0;
	failed = 0;
	#store;

	constructor(store) {
		this.#store = store;
	}

	// Nothing is read: the file's rows replace those of the store.
	getMany = async (keys) => keys.map(() => undefined);

	setMany = async (entries, options) => {
		const written = await this.#store.setMany(entries, options).catch((error) => ({ failed: entries.length, error }));
		const { failed = 0, error } = typeof written === "number" ? { failed: written } : (written ?? {});
		this.error ??= error;
		this.failed += failed;
		this.rows += entries.length - failed;
		this.bytes += entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
		return written;
	};
}

/**
 * Files for `wrangler kv bulk put`, in the form that the Worker reads: each an array of at most 10,000
 * pairs.
 */
class KvBulkFiles {
	files = [];
	#base;
	#part;
	#pairs = 0;
	#file;

	constructor(base, part) {
		this.#base = base.replace(/\.json$/, "");
		this.#part = part;
	}

	async setMany(entries, { ttl }) {
		for (const [key, value] of entries) {
			if (this.#file === undefined) this.#open();
			const pair = { key, value: Buffer.from(value).toString("base64"), expiration_ttl: Math.max(ttl, 60) };
			writeSync(this.#file, `${this.#pairs === 0 ? "[" : ","}\n${JSON.stringify(pair)}`);
			this.#pairs += 1;
			if (this.#pairs === KV_BULK_PAIRS) this.close();
		}
	}

	#open() {
		const name = `${this.#base}-${String(this.#part).padStart(5, "0")}.json`;
		this.#part += 1;
		this.#file = openSync(name, "w");
		this.files.push(name);
	}

	/** Completes the current file, so that every file is valid. */
	close() {
		if (this.#file === undefined) return;
		writeSync(this.#file, "\n]\n");
		closeSync(this.#file);
		this.#file = undefined;
		this.#pairs = 0;
	}

	get nextPart() {
		return this.#part;
	}
}

/** The engine's request for one batch, and the origin's response from the file. */
function batchOf(rows, { view, keys, eventTime, features, fetch }) {
	const request = { consistency_level: "strong", priority: "low" };
	if (fetch !== undefined) {
		const { columns } = columnsOf(rows, { keys, features: [] });
		const names = fetch.map(qualifiedBy(view));
		return { request: { ...request, entities: columns, feature_names: names, include: ["status"] } };
	}
	const { columns, values, eventTimestamps } = columnsOf(rows, { keys, eventTime, features });
	const rowOf = new Map(rows.map((row, at) => [keyOf(keys.map((key) => row[key])), at]));
	return {
		request: { ...request, entities: columns, feature_names: Object.keys(values).map(qualifiedBy(view)) },
		// The engine fetches parts of a batch, so rows are found by their keys.
		respond(entities, requested) {
			const count = entities[keys[0]].length;
			const at = Array.from({ length: count }, (_, row) => rowOf.get(keyOf(keys.map((key) => entities[key][row]))));
			return Object.fromEntries(
				requested.map((reference) => {
					const column = values[reference.slice(reference.indexOf(":") + 1)];
					return [
						reference,
						{
							values: at.map((row) => column[row]),
							...(eventTimestamps && { eventTimestamps: at.map((row) => eventTimestamps[row]) }),
						},
					];
				}),
			);
		},
	};
}

/** The status of a value that the origin did not return. In a value the quotes would be escaped. */
const UNKNOWN = '"status":"INVALID"';

const keyOf = (values) => stringify(values);

/** Refuses keys other than the configuration's: servers would look the rows up under other keys. */
function refuseOtherKeys(view, keys, known) {
	if (known === undefined || (known.length === keys.length && keys.every((key) => known.includes(key)))) return;
	const named = (columns) => columns.map((column) => `\`${column}\``).join(", ");
	throw new Failure(`\`${view}\` is keyed by ${named(known)} in the configuration, not by ${named(keys)}`, EXIT.usage);
}

/**
 * @param {object} options the command's
 * @param {object} settings the configuration
 * @param {number} part the number of the first file
 * @returns {Promise<import("./warm.js").Sink>}
 */
export async function openStore(options, settings, part) {
	const { view, keys, fetch } = options;
	const { origin: origins, registry, ...rest } = settings;
	refuseOtherKeys(view, keys, settings.views?.[view]?.join_keys);
	const origin = fetch === undefined ? undefined : originOf(options, origins);
	if (fetch !== undefined && origin === undefined) {
		throw new Failure("`--fetch` into a store needs an origin: `--origin URL`", EXIT.usage);
	}
	// The file replaces the configuration's origin.
	const config = fetch === undefined ? rest : { ...rest, ...(registry && { registry }) };
	const client =
		options.redis === undefined ? undefined : await (await import("./redis.js")).connectRedis(options.redis);
	const target = client === undefined ? new KvBulkFiles(options.kvBulk, part) : redisStore(client);
	const counting = new CountingStore(target);
	const store = encrypted(counting);
	let current;
	const engine = await createEngine({
		l2: store,
		origin: origin ?? ((entities, features) => current.respond(entities, features)),
		config: {
			...config,
			// Each batch is fetched once and never served: no cache, no circuit breaker, no delayed writes.
			l1: { ...config.l1, max_entries: 1 },
			l2: { ...config.l2, enabled: true, max_writes_per_day: undefined, timeout_ms: 60_000, write_interval_ms: 0 },
			breaker: { ...config.breaker, enabled: false },
			// There are no requests to measure.
			telemetry: { ...config.telemetry, enabled: false },
			deadlines: { ...config.deadlines, default_ms: 300_000, soft_percent: 100 },
			limits: { ...config.limits, ...LIMITS },
			memory: { max_bytes: 3 << 29, pending_bytes: 1 << 30 },
			views: { ...config.views, [view]: { ...config.views?.[view], join_keys: keys } },
		},
	});
	return {
		batch: client === undefined ? KV_BULK_PAIRS : REDIS_BATCH,
		async write(rows) {
			current = batchOf(rows, options);
			let background;
			const body = new TextEncoder().encode(stringify(current.request));
			const response = await engine.serveBytes(body, {
				waitUntil: (promise) => {
					background = promise;
				},
			});
			await background;
			if (Buffer.from(response).includes(UNKNOWN)) throw new Failure("the origin did not return all rows");
			if (counting.failed > 0) {
				throw new Failure(
					`the store did not accept ${counting.failed} rows: ${counting.error?.message ?? "no reason given"}`,
				);
			}
			if (client === undefined) target.close();
		},
		part: () => target.nextPart,
		async close() {
			await engine.close();
			client?.disconnect();
		},
		summary: () => ({
			rows: counting.rows,
			bytes: counting.bytes,
			kv_dollars: (counting.rows * KV_DOLLARS_PER_MILLION) / 1_000_000,
			...(client === undefined && { files: target.files }),
		}),
		*describe({ bytes, kv_dollars, files = [] }) {
			yield `${(bytes / 1_048_576).toFixed(1)} MB; as writes to Workers KV ${kv_dollars.toFixed(4)} $`;
			if (files.length > 0) {
				yield `now run, for each file: wrangler kv bulk put FILE --binding ${config.l2?.binding ?? "FEATURES"} --remote`;
			}
			for (const file of files) yield `  ${file}`;
		},
	};
}

/** The limits for requests protect servers; the batch is the operator's choice. */
const LIMITS = {
	entities: 1_000_000,
	cells: 100_000_000,
	features: 100_000,
	body_bytes: 1 << 30,
	origin_body_bytes: 1 << 30,
};
