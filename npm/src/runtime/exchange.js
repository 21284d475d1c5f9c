// One request that needs more than memory: performs the core's effects and tells it what came of them, until it has replied and all is
// done behind the reply.
//
// Decides nothing. Invariants: whatever a store or an origin does, its effect ends by its timeout and its result is told, so that no
// request hangs on it; a request goes on in its own context alone: others wake it by a promise that it waits for itself, as
// Cloudflare's runtime wants it.

import { CoreState, FetchFault } from "featheredge-core";
import { ClosedError, FeatheredgeError } from "../errors.js";
import { EncodedError, TooLargeError } from "./body.js";
import { deferred } from "./deferred.js";
import { wordsOf } from "./error_log.js";
import { headerPairs } from "./headers.js";
import * as instance from "./instance.js";
import { redacted } from "./redact.js";
import { unref } from "./unref.js";

/** In place of a value's length: there is no value. */
const NOTHING = 0xffff_ffff;

/** The status that stands for no answer of the origin. */
const LOST = 502;

/** The most that one read may bring, in bytes: what is more is asked for by halves, so that it is not in memory all at once. */
const MAX_READ_BYTES = 16 * 1024 * 1024;

/** How much of a reply in parts waits for its reader before the core is told to hold back, in bytes. */
const BUFFERED_BYTES = 64 * 1024;

/** There is no room for more of the origin's answer. */
class NoRoomError extends Error {}

/** What an error of reading the origin's answer is to the core. */
function faultOf(error) {
	if (error === undefined) return FetchFault.TimedOut;
	if (error instanceof TooLargeError) return FetchFault.TooLarge;
	if (error instanceof NoRoomError) return FetchFault.NoRoom;
	return error instanceof EncodedError ? FetchFault.Encoded : FetchFault.Unreachable;
}

/** How long the origin's answer to a write is waited for when its caller has been told that it is late, in milliseconds: less than the 30 s for
 * which a Worker may go on behind a reply. */
const LATE_MILLIS = 25_000;

/** Bytes as the core takes them, or `undefined` for what is none: a store that answers rubbish costs its own share alone. */
function bytesOf(value) {
	if (value instanceof Uint8Array) return value;
	return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}

/** A number that a store tells, within what it can be. */
const countOf = (value, most) => (Number.isInteger(value) && value > 0 ? Math.min(value, most) : 0);

/** The `count` texts of equal length that `text` is made of: one text crosses from the core sooner than many. */
function inParts(text, count) {
	const length = text.length / count;
	return Array.from({ length: count }, (_, index) => text.slice(index * length, (index + 1) * length));
}

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

export class Exchange {
	/** Resolves with what the reply was taken as. */
	reply;
	/** Resolves once nothing is done for the request any more. */
	done;
	#runtime;
	#core;
	#handling;
	/** The core's handle of the request, while it is under way. */
	#handle = 0;
	#running = 0;
	#hasReplied = false;
	#passed;
	#resolve;
	#reject;
	#finish;
	/** What ends the waits that are of no use once the request is over. @type {Set<() => void>} */
	#waits = new Set();
	/** What stops the effects under way. A signal with a listener for each would be dearer, and Node warns of it. @type {Set<() => void>} */
	#stops = new Set();
	/** What tells a request that is passed on to stop. */
	#abort = new AbortController();
	#isStopped = false;
	#wake;
	#isWoken = false;
	/** The body of a reply that goes out in parts. @type {ReadableStreamDefaultController | undefined} */
	#parts;
	/** Whether the core waits for the reader of the parts. */
	#isPaused = false;
	/** Whether it goes on since the reader wants more. */
	#isResumed = false;
	/** Whether nobody reads the parts any more, or the last is out. */
	#hasGone = false;
	/** Why the reader of the parts has gone before the last, where it has. */
	#gone;
	/** Why the core is gone, where it is. */
	#lost;
	/** What an origin that is a function has thrown last, which no JSON can hold. */
	cause;

	/**
	 * @param {import("./runtime.js").Runtime} runtime
	 * @param {import("./runtime.js").Handling} handling
	 */
	constructor(runtime, handling) {
		this.#runtime = runtime;
		this.#core = runtime.core;
		this.#handling = handling;
		({ promise: this.reply, resolve: this.#resolve, reject: this.#reject } = deferred());
		// A caller who got the reply at once does not wait for it here.
		this.reply.catch(() => {});
		({ promise: this.done, resolve: this.#finish } = deferred());
		runtime.exchanges.add(this);
	}

	/** Goes on from what the last call of the core has said. */
	take(state) {
		const core = this.#core;
		if (!this.#hasReplied) this.#reply(state);
		const taken = this.#runtime.enter(() => ({ chunk: core.take_chunk() }));
		if (taken === undefined) return this.#end();
		this.#put(taken.chunk, state);
		const said = this.#runtime.enter(() => ({
			handle: core.request(),
			effects: core.take_effects(this.#runtime.now()),
			woken: core.take_woken(),
		}));
		if (said === undefined) return this.#end();
		const { handle, effects, woken } = said;
		const { byHandle } = this.#runtime;
		if (handle > 0 && handle !== this.#handle) {
			// What waited for something else before it looked for rows goes on under another handle.
			if (this.#handle > 0) byHandle.delete(this.#handle);
			this.#handle = handle;
			byHandle.set(handle, this);
			if (this.#wake === undefined) this.#listen();
		}
		for (const effect of effects) this.#run(effect);
		for (const handle of woken) byHandle.get(handle)?.wake();
		if (this.#handle > 0 && !core.is_under_way(this.#handle)) this.#leave();
		this.#settle();
	}

	/** Gives the next part of a reply in parts to its reader, and closes it behind the last. */
	#put(chunk, state) {
		if (chunk !== undefined) {
			this.#isPaused = true;
			if (this.#parts === undefined) this.#open();
			if (!this.#hasGone) this.#parts.enqueue(chunk);
		}
		if (state === CoreState.Streamed && !this.#hasGone) this.#parts.close();
		if (state === CoreState.Streamed) this.#hasGone = true;
	}

	#open() {
		const body = new ReadableStream(
			{
				start: (controller) => {
					this.#parts = controller;
				},
				pull: () => this.#resume(),
				cancel: (reason) => {
					this.#hasGone = true;
					this.#gone = { reason };
					this.wake();
				},
			},
			new ByteLengthQueuingStrategy({ highWaterMark: BUFFERED_BYTES }),
		);
		this.#answer(() => this.#handling.open(body));
	}

	/** The reader wants more. In its own context the request goes on. */
	#resume() {
		if (!this.#isPaused || this.#hasGone) return;
		this.#isPaused = false;
		this.#isResumed = true;
		this.wake();
	}

	#reply(state) {
		const { take, pass } = this.#handling;
		if (state === CoreState.Replied || state === CoreState.RepliedWithEffects) this.#answer(() => take(this));
		else if (state === CoreState.Forward) this.#answer(() => this.#forward());
		else if (state === CoreState.Forwarded) this.#answer(() => this.#forwarded());
		else if (state === CoreState.Asset) this.#answer(() => pass(undefined, this.#abort.signal));
	}

	/** Passes the request on; by the timeout the last of its answer has come, or it ends. */
	#forward() {
		const core = this.#core;
		this.#abortAfter(core.forward_timeout());
		return this.#handling.pass(core.forward_base(), this.#abort.signal, core.forward_cache_status());
	}

	/**
	 * The same for what may write; resolves with how to tell the core what came of it. That it was passed on cannot be taken back, so the origin's
	 * answer is waited for though it is too late for the caller.
	 */
	async #forwardWrite({ number, timeout, base, cacheStatus }) {
		let isLate = false;
		const timer = setTimeout(() => {
			isLate = true;
			this.#answer(this.#handling.late);
			this.#abortAfter(LATE_MILLIS);
		}, timeout);
		const began = Date.now();
		const abort = () => this.#abort.abort();
		// Who closes waits for nobody.
		this.#stops.add(abort);
		this.#passed = this.#handling.pass(base, this.#abort.signal, cacheStatus);
		const { status, isUnsent } = await this.#passed.catch(() => ({ status: LOST }));
		clearTimeout(timer);
		this.#stops.delete(abort);
		// Nobody is there for the rest of a late one.
		this.#abortAfter(isLate ? 0 : timeout - (Date.now() - began));
		return (core, now) => core.complete_pass(number, isUnsent ? undefined : status, now);
	}

	/** The timer holds nothing else of the request, which it outlives. */
	#abortAfter(millis) {
		const abort = this.#abort;
		unref(setTimeout(() => abort.abort(), millis));
	}

	#forwarded() {
		const notice = this.#core.take_notice();
		if (notice === "") return this.#passed;
		return this.#passed.then((answer) => this.#handling.addHeaders(answer, headerPairs(notice)));
	}

	#answer(give) {
		this.#hasReplied = true;
		try {
			this.#resolve(give());
		} catch (error) {
			this.#reject(error);
		}
	}

	/** Ends the request for its caller with an error; what is under way for others goes on. */
	fail(error) {
		this.#hasReplied = true;
		// Where a part is out already, all that can be said is that it was not all.
		if (this.#parts !== undefined && !this.#hasGone) this.#parts.error(error);
		this.#hasGone = true;
		this.#reject(error);
	}

	/** The caller is gone: nothing more is done for the request, and others go on in its place. */
	abandon(reason) {
		this.fail(reason);
		this.#stop(reason);
		if (this.#handle > 0 && this.#isPresent) {
			const woken = this.#runtime.enter(() => {
				this.#core.abandon(this.#handle, this.#runtime.now());
				return this.#core.take_woken();
			});
			for (const handle of woken ?? []) this.#runtime.byHandle.get(handle)?.wake();
		}
		this.#leave();
		this.#settle();
	}

	/** The core is gone, and nothing can be told to it any more. Whoever says so may be another request, so what is the request's own ends in its own context. */
	giveUp(error) {
		this.#lost = error;
		this.#hasReplied = true;
		this.#reject(error);
		this.wake();
	}

	/** Ends all that is under way: there is no core any more that could be told of it. */
	#end() {
		const error = this.#lost ?? new ClosedError();
		this.fail(error);
		this.#stop(error);
		this.#leave();
		this.#running = 0;
		this.#settle();
	}

	/** Stops the effects under way. */
	#stop(reason) {
		this.#isStopped = true;
		for (const stop of this.#stops) stop();
		this.#abort.abort(reason);
	}

	/** Whether the core that it began with is still the runtime's. */
	get #isPresent() {
		return this.#runtime.core === this.#core;
	}

	/** Lets it go on, in its own context. */
	wake() {
		this.#isWoken = true;
		this.#wake?.(true);
	}

	async #listen() {
		for (;;) {
			const { promise, resolve } = deferred();
			this.#wake = resolve;
			const isWoken = this.#isWoken || (await promise);
			this.#isWoken = false;
			if (this.#lost !== undefined) return this.#end();
			if (!isWoken || this.#handle === 0) return;
			if (this.#gone !== undefined) return this.abandon(this.#gone.reason);
			const isResumed = this.#isResumed;
			this.#isResumed = false;
			this.#tell((core, now) => (isResumed ? core.resume(this.#handle, now) : core.wake(this.#handle, now)));
		}
	}

	/** The core knows the request no more: what waits for its sake need not. */
	#leave() {
		if (this.#handle > 0) this.#runtime.byHandle.delete(this.#handle);
		this.#handle = 0;
		for (const end of this.#waits) end();
		this.#waits.clear();
		this.#wake?.(false);
	}

	#settle() {
		if (this.#running > 0) return;
		if (!this.#hasReplied) this.fail(new FeatheredgeError("internal", "the request was lost"));
		if (this.#handle > 0) return;
		this.#runtime.exchanges.delete(this);
		this.#finish();
	}

	#tell(result) {
		if (!this.#isPresent) return this.#end();
		const state = this.#runtime.enter(() => result(this.#core, this.#runtime.now()));
		if (state === undefined) return this.#end();
		this.take(state);
	}

	async #run(effect) {
		this.#running += 1;
		const result = await this.#perform(effect);
		if (this.#running === 0) return;
		this.#running -= 1;
		if (result !== undefined) return this.#tell(result);
		if (this.#isPresent) this.#runtime.enter(() => this.#core.forget(effect.number));
		this.#settle();
	}

	/** Performs an effect; resolves with how to tell the core, or with nothing where it need not be told. */
	async #perform(effect) {
		const { number, kind, timeout } = effect;
		const waited = (core, now) => core.complete_wait(number, now);
		switch (kind) {
			case "read":
				return this.#read(effect);
			case "write":
				return this.#write(effect);
			case "fetch":
				return this.#fetch(effect);
			case "synthesize": {
				const { delay, body } = effect;
				await sleep(Math.min(delay, timeout));
				if (delay > timeout) return (core, now) => core.fail_fetch(number, FetchFault.TimedOut, undefined, now);
				return (core, now) => core.complete_fetch(number, 200, "application/json", core.synthesize(body, now), now);
			}
			case "pass":
				return this.#forwardWrite(effect);
			case "log": {
				const answer = await this.#reach("the invalidation log", timeout, () => this.#runtime.reach.log(effect));
				return (core, now) => core.complete_log(number, answer, now);
			}
			case "ingest":
				await this.#runtime.telemetry.behind(timeout);
				return waited;
			case "rest":
				await this.#runtime.rest(timeout);
				return waited;
			default:
				return (await this.#wait(timeout)) ? waited : undefined;
		}
	}

	async #read({ number, timeout, tier, shard, keys, count }) {
		let isTooLarge = false;
		const read = async (signal) => {
			const found = await this.#runtime.reach.stores[tier].getMany(inParts(keys, count), { signal, shard });
			if (Array.isArray(found) && found.length === count) return found.map(bytesOf);
			throw new TypeError(`the store gave no list of ${count} values`);
		};
		const values = await this.#reach(`reading from ${tier}`, timeout, read, (error) => {
			isTooLarge = error?.isTooLarge === true;
		});
		return (core, now) => {
			if (values === undefined) return core.fail_read(number, isTooLarge, now);
			return this.#enterValues(values) ? core.complete_read(number, count, now) : core.fail_read(number, true, now);
		};
	}

	async #write({ number, timeout, tier, shard, entries, ttl }) {
		const store = this.#runtime.reach.stores[tier];
		const most = entries.length;
		const kind = `writing to ${tier}`;
		const write = async (signal) => {
			const written = await store.setMany(entries, { ttl, signal, shard });
			return typeof written === "object" && written !== null ? written : { failed: written };
		};
		const written = await this.#reach(kind, store.writeTimeoutMs ?? timeout, write);
		const failed = written === undefined ? most : countOf(written.failed, most);
		if (written !== undefined && failed > 0) {
			this.#runtime.errors.note(kind, written.error ?? `${failed} of ${most} entries were not taken`);
		}
		const { rateLimited, quotaResetsAt, isRequestSpent } = written ?? {};
		const resetsAt = Number.isFinite(quotaResetsAt) ? quotaResetsAt : undefined;
		return (core, now) =>
			core.complete_write(number, failed, countOf(rateLimited, failed), resetsAt, isRequestSpent === true, now);
	}

	/** As `#within`, of a store or the invalidation log: whoever operates the engine is told of its errors. */
	async #reach(kind, timeout, act, onError = () => {}) {
		let thrown = `no answer within ${timeout} ms`;
		const result = await this.#within(timeout, act, (error) => {
			thrown = error;
			onError(error);
		});
		// What ended with its request is no error.
		if (result === undefined && !this.#isStopped) this.#runtime.errors.note(kind, thrown);
		return result;
	}

	/**
	 * Writes what a read gave where the core reads it: the length of each value, and behind all lengths the values.
	 *
	 * @returns whether it did: it may be more than one read may bring
	 */
	#enterValues(values) {
		let length = values.length * 4;
		for (const value of values) length += value?.length ?? 0;
		if (length > MAX_READ_BYTES) return false;
		const start = this.#runtime.room(length);
		const memory = instance.bytes();
		const lengths = new DataView(memory.buffer, start, values.length * 4);
		let at = start + values.length * 4;
		for (let index = 0; index < values.length; index++) {
			const value = values[index];
			// No row is empty; what is has been transferred to another thread meanwhile, and cannot be read.
			const isThere = value?.length > 0;
			lengths.setUint32(index * 4, isThere ? value.length : NOTHING, true);
			if (!isThere) continue;
			memory.set(value, at);
			at += value.length;
		}
		return true;
	}

	async #fetch(effect) {
		const { number, timeout } = effect;
		const { origin, isPrivate } = this.#runtime;
		let thrown;
		const take = (part, expected) => this.#extendBody(number, part, expected);
		const reply = await this.#within(
			timeout,
			(signal) => origin.ask(effect, signal, this.#handling.context, take),
			(error) => {
				thrown = error ?? new Error();
				this.cause = isPrivate ? undefined : error;
			},
		);
		const isOwnError = reply === undefined && thrown !== undefined && origin.url === undefined;
		// Redirects and refusals alike: whatever is no answer may quote what was asked.
		if (isPrivate && (isOwnError || (reply !== undefined && reply.status !== 200))) {
			const { contentType, body } = redacted();
			return (core, now) => core.complete_fetch(number, reply?.status ?? 500, contentType, body, now);
		}
		if (isOwnError) {
			// A function's own error is no loss of a connection, and its text is worth more.
			const body = new TextEncoder().encode(wordsOf(this.cause));
			return (core, now) => core.complete_fetch(number, 500, "text/plain", body, now);
		}
		if (reply === undefined) {
			const coding = thrown instanceof EncodedError ? thrown.coding : undefined;
			return (core, now) => core.fail_fetch(number, faultOf(thrown), coding, now);
		}
		return (core, now) => core.complete_fetch(number, reply.status, reply.contentType, reply.body, now);
	}

	/** Writes a part of the origin's answer behind what the core has of it. */
	#extendBody(number, part, expected) {
		if (part.length === 0) return;
		const at = this.#isPresent ? this.#runtime.enter(() => this.#core.extend_body(number, part.length, expected)) : 0;
		if (!at) throw new NoRoomError();
		instance.bytes().set(part, at);
	}

	/** What `act` gives, or `undefined` where it fails or takes longer than `timeout`. */
	#within(timeout, act, onError = () => {}) {
		const controller = new AbortController();
		const { promise, resolve } = deferred();
		const end = (value) => {
			clearTimeout(timer);
			this.#stops.delete(stop);
			resolve(value);
		};
		// Only what did not end well has something left to stop; an abort makes an error with its stack, which costs more than a read.
		const stop = () => {
			end(undefined);
			controller.abort();
		};
		const timer = setTimeout(stop, timeout);
		if (this.#isStopped) {
			stop();
			return promise;
		}
		this.#stops.add(stop);
		// A function that throws before its first wait is as good as one that rejects.
		(async () => act(controller.signal))().then(end, (error) => {
			if (!controller.signal.aborted) onError(error);
			stop();
		});
		return promise;
	}

	/** Resolves with `true` after so many milliseconds, or with `false` once the request is over. */
	#wait(millis) {
		const { promise, resolve } = deferred();
		const end = (isDue) => {
			clearTimeout(timer);
			this.#waits.delete(drop);
			resolve(isDue);
		};
		const drop = () => end(false);
		const timer = setTimeout(end, millis, true);
		this.#waits.add(drop);
		return promise;
	}
}
