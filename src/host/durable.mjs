// The Durable Objects under the Worker. Like `worker.mjs` they move bytes and decide nothing: what is stored where, for how long and
// how much of it, the core says with each call.
//
// Whatever is exported here, only a Worker that is bound to the class can call.

import { DurableObject } from "cloudflare:workers";

/** The least time between two looks for what has expired, in milliseconds: each look reads every row's head. */
const MIN_SWEEP_MS = 600_000;

/** How far a shard that is full is emptied, so that the next write does not find it full again. */
const FILL = 0.9;

/** One shard of the storage tier (L3): entries with a time to live, in SQLite. */
export class StorageShard extends DurableObject {
	#sql;
	#hasAlarm = false;

	constructor(ctx, env) {
		super(ctx, env);
		this.#sql = ctx.storage.sql;
		// In the order of the key and without further index, an entry costs one row written. `expires_at` stands before the value, so
		// that looking through all of them passes over what long values take.
		this.#sql.exec(
			"CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
		);
		ctx.blockConcurrencyWhile(async () => {
			this.#hasAlarm = (await ctx.storage.getAlarm()) !== null;
		});
	}

	/**
	 * For each key its value, or `undefined`.
	 *
	 * @param {string[]} keys
	 * @returns {(ArrayBuffer | undefined)[]}
	 */
	read(keys) {
		const found = new Map();
		const query = "SELECT key, value FROM entries WHERE key IN (SELECT value FROM json_each(?)) AND expires_at > ?";
		for (const { key, value } of this.#sql.exec(query, JSON.stringify(keys), Date.now())) found.set(key, value);
		return keys.map((key) => found.get(key));
	}

	/**
	 * Writes values under their keys, in one transaction; how many could not be.
	 *
	 * @param {string[]} keys
	 * @param {Uint8Array[]} values
	 * @param {number} ttlSeconds
	 * @param {number} maxBytes what the shard may take in all; past it, what expires first makes room
	 */
	async write(keys, values, ttlSeconds, maxBytes) {
		const ttlMs = ttlSeconds * 1_000;
		const expiresAt = Date.now() + ttlMs;
		let failed = 0;
		for (const [index, key] of keys.entries()) {
			try {
				this.#sql.exec("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", key, expiresAt, values[index]);
			} catch {
				// SQLite here takes no value past 2 MB. The others are as good without it.
				failed += 1;
			}
		}
		const size = this.#sql.databaseSize;
		if (size > maxBytes) {
			const { entries } = this.#sql.exec("SELECT count(*) AS entries FROM entries").one();
			this.#sql.exec(
				"DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY expires_at LIMIT ?)",
				Math.ceil(entries * (1 - (FILL * maxBytes) / size)),
			);
		}
		if (!this.#hasAlarm) {
			this.#hasAlarm = true;
			await this.ctx.storage.setAlarm(Date.now() + Math.max(ttlMs, MIN_SWEEP_MS));
		}
		return failed;
	}

	/** Lets go of what has expired. */
	async alarm() {
		const now = Date.now();
		this.#sql.exec("DELETE FROM entries WHERE expires_at <= ?", now);
		const { next } = this.#sql.exec("SELECT min(expires_at) AS next FROM entries").one();
		this.#hasAlarm = next !== null;
		if (this.#hasAlarm) await this.ctx.storage.setAlarm(Math.max(next, now + MIN_SWEEP_MS));
	}
}
