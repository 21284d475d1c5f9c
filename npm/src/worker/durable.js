// The Durable Objects under the Worker: the shards of the storage tier, the ledger of writes, the merged windows. They move bytes and decide
// nothing: what is stored where, for how long and how much of it, the core says with each call.
//
// Whatever is exported here, only a Worker that is bound to the class can call.

import { DurableObject } from "cloudflare:workers";
import { merge_windows } from "featheredge-core";
import * as instance from "../runtime/instance.js";

/** The least time between two looks for what has expired, in milliseconds: each look reads every row's head. */
const MIN_SWEEP_MS = 600_000;

/** How far a shard that is full is emptied, so that the next write does not find it full again. */
const FILL = 0.9;

/** How long merged windows may be in memory alone, in milliseconds: an object that is moved meanwhile loses them. */
const KEEP_AFTER_MS = 5_000;

/** The windows of all isolates, merged. */
export class MergedWindows extends DurableObject {
	#windows = new Uint8Array();
	#isKept = true;

	constructor(ctx, env) {
		super(ctx, env);
		ctx.blockConcurrencyWhile(async () => {
			this.#windows = (await ctx.storage.get("windows")) ?? this.#windows;
		});
	}

	/**
	 * Adds what an isolate sends; where that is nothing, gives all that was sent by any.
	 *
	 * @param {Uint8Array} news
	 */
	async merge(news) {
		if (news.length === 0) return this.#windows;
		let merged;
		try {
			merged = merge_windows(this.env.FEATHEREDGE, this.#windows, news, Date.now());
		} catch (error) {
			console.error(error);
			// What threw through the module's frames has left them half-finished.
			if (error instanceof WebAssembly.RuntimeError) instance.replace();
			throw new Error("the windows could not be merged");
		}
		// The sender counts them as given up.
		if (merged === undefined) throw new Error("the windows are of another deployment");
		this.#windows = merged;
		if (this.#isKept) {
			this.#isKept = false;
			await this.ctx.storage.setAlarm(Date.now() + KEEP_AFTER_MS);
		}
		return new Uint8Array();
	}

	async alarm() {
		this.#isKept = true;
		await this.ctx.storage.put("windows", this.#windows);
	}
}

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

/** What the ledger keeps at the most: this many marks, in so many bytes. An isolate that begins reads all of it. */
const MAX_MARKS = 10_000;
const MAX_MARK_BYTES = 512 * 1024;

/** How many marks come between two looks for those that need not be kept. */
const SWEEP_EVERY = 100;

/** How long before its first call a ledger begins, in milliseconds: what is fetched right after that call is not from before. None takes another's place so fast. */
const BIRTH_MS = 2;

/**
 * How far the clock may run back, in milliseconds, and how far a mark may be ahead of it: where it runs back by more, the times that were told are no
 * times to go by.
 */
const MAX_SETBACK_MS = 1_000;

/** A number that no other ledger has, and that JavaScript can tell from its neighbours; never 0. */
const newEpoch = () => Number(crypto.getRandomValues(new BigUint64Array(1))[0] >> 11n) || 1;

/** The ledger of writes: marks in the order in which they came, each with a number and a time. */
export class Ledger extends DurableObject {
	#sql;
	/** Which ledger this is. Another in its place, even under its name, has another number. */
	#epoch;
	#clock = 0;
	#last;
	#latest;
	#dropped;
	#marks;
	#bytes;

	constructor(ctx, env) {
		super(ctx, env);
		this.#sql = ctx.storage.sql;
		this.#sql.exec(
			`CREATE TABLE IF NOT EXISTS marks (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, mark BLOB NOT NULL);
			CREATE TABLE IF NOT EXISTS dropped (number INTEGER NOT NULL, at INTEGER NOT NULL);
			CREATE TABLE IF NOT EXISTS ledger (epoch INTEGER NOT NULL)`,
		);
		const [ledger] = this.#sql.exec("SELECT epoch FROM ledger");
		[this.#dropped] = this.#sql.exec("SELECT number, at FROM dropped");
		if (ledger === undefined || this.#dropped === undefined) {
			this.#begin(Date.now());
		} else {
			this.#epoch = ledger.epoch;
			this.#count();
		}
	}

	/** Begins without marks, as a ledger that nobody has heard; what was written before is known to none. */
	#begin(now) {
		this.#epoch = newEpoch();
		this.ctx.storage.transactionSync(() => {
			this.#sql.exec("DELETE FROM marks; DELETE FROM ledger");
			this.#sql.exec("INSERT INTO ledger VALUES (?)", this.#epoch);
			// The first number is of all that was written before.
			this.#drop(1, now - BIRTH_MS);
		});
		this.#count();
	}

	/** The time, which never runs back: where the clock does, it stands still, or another ledger begins. */
	#now() {
		const now = Date.now();
		if (now < Math.max(this.#clock, this.#latest) - MAX_SETBACK_MS) {
			this.#clock = now;
			this.#begin(now);
		}
		this.#clock = Math.max(now, this.#clock);
		return this.#clock;
	}

	/** Takes note that the marks up to a number are gone, and of their time. */
	#drop(number, at) {
		this.#dropped = { number, at };
		this.#sql.exec("DELETE FROM dropped");
		this.#sql.exec("INSERT INTO dropped VALUES (?, ?)", number, at);
	}

	#count() {
		const query =
			"SELECT max(number) AS last, max(at) AS latest, count(*) AS marks, total(length(mark)) AS bytes FROM marks";
		const { last, latest, marks, bytes } = this.#sql.exec(query).one();
		this.#last = last ?? this.#dropped.number;
		this.#latest = latest ?? this.#dropped.at;
		this.#marks = marks;
		this.#bytes = bytes;
	}

	/**
	 * Keeps marks, where there are any, and gives all that came after another.
	 *
	 * @param {number} after the number of the last mark that the caller knows
	 * @param {Uint8Array} mark
	 * @param {number} at the latest that the clock here can show, as the caller knows it
	 * @param {number} keepMs how long any mark needs to be kept
	 * @param {number} epoch which ledger the caller has heard that from; where that is not this one, it knows neither marks nor the clock
	 * @param {number} spreadMs by how much `at` may be too late
	 * @returns {Uint8Array} in numbers of eight bytes, little-endian: the clock, the number of the last mark, the number and time of the last
	 *   one that was dropped before its time, and the epoch; then for each mark its time, its length and itself
	 */
	tell(after, mark, at, keepMs, epoch, spreadMs) {
		const now = this.#now();
		const isKnown = epoch === this.#epoch;
		if (mark.byteLength > 0) {
			const latest = isKnown ? Math.min(at, now + Math.min(spreadMs, MAX_SETBACK_MS)) : now;
			this.#append(mark, Math.max(now, latest), now - keepMs);
		}
		const query = "SELECT at, mark FROM marks WHERE number > ? ORDER BY number";
		const marks = [...this.#sql.exec(query, isKnown ? after : 0)];
		const head = [now, this.#last, this.#dropped.number, this.#dropped.at, this.#epoch];
		const length = marks.reduce((length, { mark }) => length + 16 + mark.byteLength, 8 * head.length);
		const answer = new Uint8Array(length);
		const view = new DataView(answer.buffer);
		let offset = 0;
		const put = (number) => {
			view.setBigUint64(offset, BigInt(number), true);
			offset += 8;
		};
		head.forEach(put);
		for (const { at, mark } of marks) {
			put(at);
			put(mark.byteLength);
			answer.set(new Uint8Array(mark), offset);
			offset += mark.byteLength;
		}
		return answer;
	}

	#append(mark, at, oldest) {
		this.#last += 1;
		this.#latest = Math.max(at, this.#latest);
		this.#marks += 1;
		this.#bytes += mark.byteLength;
		this.#sql.exec("INSERT INTO marks VALUES (?, ?, ?)", this.#last, at, mark);
		const isFull = this.#marks > MAX_MARKS || this.#bytes > MAX_MARK_BYTES;
		if (!isFull && this.#last % SWEEP_EVERY !== 0) return;
		// The last one stays, since its number is what the next one's follows.
		this.#sql.exec("DELETE FROM marks WHERE at < ? AND number < ?", oldest, this.#last);
		this.#count();
		if (this.#marks <= MAX_MARKS && this.#bytes <= MAX_MARK_BYTES) return;
		// Of the older half only the time is kept: whoever does not know these marks takes all that was fetched before for changed.
		const half = this.#last - Math.ceil(this.#marks / 2);
		const dropped = this.#sql.exec("SELECT max(at) AS at FROM marks WHERE number <= ?", half).one();
		this.#sql.exec("DELETE FROM marks WHERE number <= ?", half);
		this.#drop(half, Math.max(dropped.at ?? 0, this.#dropped.at));
		this.#count();
	}
}
