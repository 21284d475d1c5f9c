// A request that needs more than memory: performs the core's effects and passes it their results, until the
// reply is out and the background work is done.
//
// It makes no decisions. Invariants: every effect ends by its timeout and its result reaches the core, so
// that no store or origin can hang a request. A request continues only in its own I/O context, as workerd
// requires: others wake it through a promise that it awaits itself.

import { CoreState, FetchFault } from "featheredge-core";
import { ClosedError, FeatheredgeError } from "../errors.js";
import { TooLargeError, UnsupportedCodingError } from "./body.js";
import { deferred } from "./deferred.js";
import { headerPairs } from "./headers.js";
import * as instance from "./instance.js";
import { redacted } from "./redact.js";
import { unref } from "./unref.js";

/** In place of a value's length: the value is missing. */
const NO_VALUE = 0xffff_ffff;

/** The status in place of a missing response of the origin. */
const NO_RESPONSE = 502;

/**
 * The largest result of one read, in bytes. The core splits a larger read in halves, so that it is never in
 * memory as a whole.
 */
const MAX_READ_BYTES = 16 * 1024 * 1024;

/** How much of a streamed reply is buffered before the core pauses, in bytes. */
const BUFFERED_BYTES = 64 * 1024;

/** The core has no memory for more of the origin's response. */
class OutOfMemoryError extends Error {}

/** The core's name for an error of a fetch. */
function faultOf(error) {
	if (error instanceof TooLargeError) return FetchFault.TooLarge;
	if (error instanceof OutOfMemoryError) return FetchFault.NoRoom;
	return error instanceof UnsupportedCodingError ? FetchFault.Encoded : FetchFault.Unreachable;
}

/**
 * How long the exchange waits for the origin's response to a write after its caller got a timeout, in milliseconds: less than the 30 s for
 * which a Worker may continue after a reply.
 */
const LATE_WRITE_TIMEOUT_MS = 25_000;

/** A store's value as bytes; `undefined` for anything else, so that an invalid value counts as missing. */
function bytesOf(value) {
	if (value instanceof Uint8Array) return value;
	return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}

/** A number that a store tells, abortable what it can be. */
const countOf = (value, most) => (Number.isInteger(value) && value > 0 ? Math.min(value, most) : 0);

/** Splits `text` into `count` texts of equal length: one text crosses from the core faster than many. */
function splitEqually(text, count) {
	const length = text.length / count;
	return Array.from({ length: count }, (_, index) => text.slice(index * length, (index + 1) * length));
}

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

export class Exchange {
	/** Resolves with the result of `onReply`. */
	reply;
	/** Resolves when nothing is under way for the request. */
	done;
	#runtime;
	#core;
	#options;
	/** The core's handle of the request, while it is under way. */
	#handle = 0;
	#running = 0;
	#hasReplied = false;
	#forwardedReply;
	#resolve;
	#reject;
	#finish;
	/** Ends the timers that the request no longer needs once it is over. @type {Set<() => void>} */
	#timers = new Set();
	/**
	 * Cancels each effect under way. A listener for each on one signal would cost more, and Node warns about
	 * it.
	 *
	 * @type {Set<() => void>}
	 */
	#cancellations = new Set();
	/** Aborts the forwarded request. */
	#forwarding = new AbortController();
	#isCancelled = false;
	#wake;
	#isWoken = false;
	/** Controls the body of a streamed reply. @type {ReadableStreamDefaultController | undefined} */
	#streamController;
	/** Whether the core is paused until the reader wants more. */
	#isPaused = false;
	/** Whether the next wake resumes a paused core. */
	#isResumed = false;
	/** Whether the stream is closed, cancelled or failed. */
	#isStreamOver = false;
	/** The reader's cancellation, with its reason. */
	#streamCancellation;
	/** Why the core was replaced, if it was. */
	#coreFailure;

	/**
	 * @param {import("./runtime.js").Runtime} runtime
	 * @param {import("./runtime.js").ExchangeOptions} options
	 */
	constructor(runtime, options) {
		this.#runtime = runtime;
		this.#core = runtime.core;
		this.#options = options;
		({ promise: this.reply, resolve: this.#resolve, reject: this.#reject } = deferred());
		// A caller with a synchronous reply does not await this promise.
		this.reply.catch(() => {});
		({ promise: this.done, resolve: this.#finish } = deferred());
		runtime.exchanges.add(this);
	}

	/** Handles the state that the last call of the core returned, and performs its effects. */
	advance(state) {
		const core = this.#core;
		if (!this.#hasReplied) this.#reply(state);
		const next = this.#runtime.enter(() => ({ chunk: core.take_chunk() }));
		if (next === undefined) return this.#abortWithoutCore();
		this.#enqueueChunk(next.chunk, state);
		const result = this.#runtime.enter(() => ({
			handle: core.request(),
			effects: core.take_effects(this.#runtime.now()),
			woken: core.take_woken(),
		}));
		if (result === undefined) return this.#abortWithoutCore();
		const { handle, effects, woken } = result;
		const { exchangesByHandle } = this.#runtime;
		if (handle > 0 && handle !== this.#handle) {
			// A request that awaited something else before its lookup continues under another handle.
			if (this.#handle > 0) exchangesByHandle.delete(this.#handle);
			this.#handle = handle;
			exchangesByHandle.set(handle, this);
			if (this.#wake === undefined) this.#wakeInContext();
		}
		for (const effect of effects) this.#start(effect);
		for (const handle of woken) exchangesByHandle.get(handle)?.wake();
		if (this.#handle > 0 && !core.is_under_way(this.#handle)) this.#unregister();
		this.#finishIfIdle();
	}

	/** Passes the next chunk of a streamed reply to its reader, and closes the stream after the last. */
	#enqueueChunk(chunk, state) {
		if (chunk !== undefined) {
			this.#isPaused = true;
			if (this.#streamController === undefined) this.#openStream();
			if (!this.#isStreamOver) this.#streamController.enqueue(chunk);
		}
		if (state === CoreState.Streamed && !this.#isStreamOver) this.#streamController.close();
		if (state === CoreState.Streamed) this.#isStreamOver = true;
	}

	#openStream() {
		const body = new ReadableStream(
			{
				start: (controller) => {
					this.#streamController = controller;
				},
				pull: () => this.#resume(),
				cancel: (reason) => {
					this.#isStreamOver = true;
					this.#streamCancellation = { reason };
					this.wake();
				},
			},
			new ByteLengthQueuingStrategy({ highWaterMark: BUFFERED_BYTES }),
		);
		this.#resolveReply(() => this.#options.onStream(body));
	}

	/** The reader wants more, so the core resumes. */
	#resume() {
		if (!this.#isPaused || this.#isStreamOver) return;
		this.#isPaused = false;
		this.#isResumed = true;
		this.wake();
	}

	#reply(state) {
		const { onReply, forward } = this.#options;
		if (state === CoreState.Replied || state === CoreState.RepliedWithEffects) this.#resolveReply(() => onReply(this));
		else if (state === CoreState.Forward) this.#resolveReply(() => this.#forward());
		else if (state === CoreState.Forwarded) this.#resolveReply(() => this.#forwarded());
		else if (state === CoreState.Asset) this.#resolveReply(() => forward(undefined, this.#forwarding.signal));
	}

	/** Forwards the request. The response is complete by the timeout, or is aborted. */
	#forward() {
		const core = this.#core;
		this.#abortAfter(core.forward_timeout());
		return this.#options.forward(core.forward_base(), this.#forwarding.signal, core.forward_cache_status());
	}

	/**
	 * Forwards a request that may write; resolves with a function that passes the result to the core. A write that was sent cannot be undone,
	 * so the exchange awaits the origin's response even when it is too late for the caller.
	 */
	async #forwardWrite({ number, timeout, base, cacheStatus }) {
		let isLate = false;
		const timer = setTimeout(() => {
			isLate = true;
			this.#resolveReply(this.#options.onWriteTimeout);
			this.#abortAfter(LATE_WRITE_TIMEOUT_MS);
		}, timeout);
		const began = Date.now();
		const abort = () => this.#forwarding.abort();
		// Closing aborts it at once.
		this.#cancellations.add(abort);
		this.#forwardedReply = this.#options.forward(base, this.#forwarding.signal, cacheStatus);
		const { status, isUnsent } = await this.#forwardedReply.catch(() => ({ status: NO_RESPONSE }));
		clearTimeout(timer);
		this.#cancellations.delete(abort);
		// A late response has no reader, so its rest is aborted.
		this.#abortAfter(isLate ? 0 : timeout - (Date.now() - began));
		return (core, now) => core.complete_forward(number, isUnsent ? undefined : status, now);
	}

	/** The timer outlives the request, so it refers to nothing else of it. */
	#abortAfter(millis) {
		const abort = this.#forwarding;
		unref(setTimeout(() => abort.abort(), millis));
	}

	#forwarded() {
		const notice = this.#core.take_added_header();
		if (notice === "") return this.#forwardedReply;
		return this.#forwardedReply.then((answer) => this.#options.addHeaders(answer, headerPairs(notice)));
	}

	#resolveReply(produce) {
		this.#hasReplied = true;
		try {
			this.#resolve(produce());
		} catch (error) {
			this.#reject(error);
		}
	}

	/** Fails the request for its caller; effects that others wait for continue. */
	fail(error) {
		this.#hasReplied = true;
		// A stream that has begun can only break off.
		if (this.#streamController !== undefined && !this.#isStreamOver) this.#streamController.error(error);
		this.#isStreamOver = true;
		this.#reject(error);
	}

	/**
	 * Ends the request because its caller has disconnected; requests that wait for it are woken to fetch for
	 * themselves.
	 */
	abandon(reason) {
		this.fail(reason);
		this.#cancel(reason);
		if (this.#handle > 0 && this.#isCoreCurrent) {
			const woken = this.#runtime.enter(() => {
				this.#core.abandon(this.#handle, this.#runtime.now());
				return this.#core.take_woken();
			});
			for (const handle of woken ?? []) this.#runtime.exchangesByHandle.get(handle)?.wake();
		}
		this.#unregister();
		this.#finishIfIdle();
	}

	/**
	 * Fails the request because its core was replaced. The call may come from another request, so the effects end in the exchange's own
	 * context.
	 */
	failWithCore(error) {
		this.#coreFailure = error;
		this.#hasReplied = true;
		this.#reject(error);
		this.wake();
	}

	/** Ends everything under way, since its core no longer exists. */
	#abortWithoutCore() {
		const error = this.#coreFailure ?? new ClosedError();
		this.fail(error);
		this.#cancel(error);
		this.#unregister();
		this.#running = 0;
		this.#finishIfIdle();
	}

	/** Cancels the effects under way. */
	#cancel(reason) {
		this.#isCancelled = true;
		for (const stop of this.#cancellations) stop();
		this.#forwarding.abort(reason);
	}

	/** Whether the request's core is still the runtime's. */
	get #isCoreCurrent() {
		return this.#runtime.core === this.#core;
	}

	/** Makes the request continue, in its own I/O context. */
	wake() {
		this.#isWoken = true;
		this.#wake?.(true);
	}

	async #wakeInContext() {
		for (;;) {
			const { promise, resolve } = deferred();
			this.#wake = resolve;
			const isWoken = this.#isWoken || (await promise);
			this.#isWoken = false;
			if (this.#coreFailure !== undefined) return this.#abortWithoutCore();
			if (!isWoken || this.#handle === 0) return;
			if (this.#streamCancellation !== undefined) return this.abandon(this.#streamCancellation.reason);
			const isResumed = this.#isResumed;
			this.#isResumed = false;
			this.#complete((core, now) => (isResumed ? core.resume(this.#handle, now) : core.wake(this.#handle, now)));
		}
	}

	/** Drops the request's handle and its timers, since the core has finished with it. */
	#unregister() {
		if (this.#handle > 0) this.#runtime.exchangesByHandle.delete(this.#handle);
		this.#handle = 0;
		for (const end of this.#timers) end();
		this.#timers.clear();
		this.#wake?.(false);
	}

	#finishIfIdle() {
		if (this.#running > 0) return;
		if (!this.#hasReplied) this.fail(new FeatheredgeError("internal", "the core lost the request"));
		if (this.#handle > 0) return;
		this.#runtime.exchanges.delete(this);
		this.#finish();
	}

	#complete(result) {
		if (!this.#isCoreCurrent) return this.#abortWithoutCore();
		const state = this.#runtime.enter(() => result(this.#core, this.#runtime.now()));
		if (state === undefined) return this.#abortWithoutCore();
		this.advance(state);
	}

	async #start(effect) {
		this.#running += 1;
		const result = await this.#perform(effect);
		if (this.#running === 0) return;
		this.#running -= 1;
		if (result !== undefined) return this.#complete(result);
		if (this.#isCoreCurrent) this.#runtime.enter(() => this.#core.forget(effect.number));
		this.#finishIfIdle();
	}

	/**
	 * Performs an effect; resolves with a function that passes its result to the core, or with `undefined`
	 * if the core needs none.
	 */
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
			case "forward":
				return this.#forwardWrite(effect);
			case "log": {
				const answer = await this.#callBackend("the invalidation log", timeout, () =>
					this.#runtime.backends.log(effect),
				);
				return (core, now) => core.complete_log(number, answer, now);
			}
			case "ingest":
				await this.#runtime.telemetry.ingestInBackground(timeout);
				return waited;
			case "delay":
				await this.#runtime.delay(timeout);
				return waited;
			default:
				return (await this.#wait(timeout)) ? waited : undefined;
		}
	}

	async #read({ number, timeout, tier, shard, keys, count }) {
		let isTooLarge = false;
		const read = async (signal) => {
			const found = await this.#runtime.backends.stores[tier].getMany(splitEqually(keys, count), { signal, shard });
			if (Array.isArray(found) && found.length === count) return found.map(bytesOf);
			throw new TypeError(`the store returned no list of ${count} values`);
		};
		const values = await this.#callBackend(`reading from ${tier}`, timeout, read, (error) => {
			isTooLarge = error?.isTooLarge === true;
		});
		return (core, now) => {
			if (values === undefined) return core.fail_read(number, isTooLarge, now);
			return this.#writeValues(values) ? core.complete_read(number, count, now) : core.fail_read(number, true, now);
		};
	}

	async #write({ number, timeout, tier, shard, entries, ttl }) {
		const store = this.#runtime.backends.stores[tier];
		const most = entries.length;
		const kind = `writing to ${tier}`;
		const write = async (signal) => {
			const written = await store.setMany(entries, { ttl, signal, shard });
			return typeof written === "object" && written !== null ? written : { failed: written };
		};
		const written = await this.#callBackend(kind, store.writeTimeoutMs ?? timeout, write);
		const failed = written === undefined ? most : countOf(written.failed, most);
		if (written !== undefined && failed > 0) {
			this.#runtime.errors.log(kind, written.error ?? `${failed} of ${most} entries were not stored`);
		}
		const { rateLimited, quotaResetsAt, isRequestSpent } = written ?? {};
		const resetsAt = Number.isFinite(quotaResetsAt) ? quotaResetsAt : undefined;
		return (core, now) =>
			core.complete_write(number, failed, countOf(rateLimited, failed), resetsAt, isRequestSpent === true, now);
	}

	/** As `#withTimeout`, for a store or the invalidation log, whose errors are logged. */
	async #callBackend(kind, timeout, act, onError = () => {}) {
		let thrown = `no response within ${timeout} ms`;
		const result = await this.#withTimeout(timeout, act, (error) => {
			thrown = error;
			onError(error);
		});
		// A cancelled effect is no error.
		if (result === undefined && !this.#isCancelled) this.#runtime.errors.log(kind, thrown);
		return result;
	}

	/**
	 * Writes values to the core's input buffer: the length of each, then the values.
	 *
	 * @returns whether they were within the limit of one read
	 */
	#writeValues(values) {
		let length = values.length * 4;
		for (const value of values) length += value?.length ?? 0;
		if (length > MAX_READ_BYTES) return false;
		const start = this.#runtime.inputBuffer(length);
		const memory = instance.bytes();
		const lengths = new DataView(memory.buffer, start, values.length * 4);
		let at = start + values.length * 4;
		for (let index = 0; index < values.length; index++) {
			const value = values[index];
			// No row is empty. An empty value was transferred to another thread meanwhile, and cannot be
			// read.
			const isPresent = value?.length > 0;
			lengths.setUint32(index * 4, isPresent ? value.length : NO_VALUE, true);
			if (!isPresent) continue;
			memory.set(value, at);
			at += value.length;
		}
		return true;
	}

	async #fetch(effect) {
		const { number, timeout } = effect;
		const { origin, redactsErrors } = this.#runtime;
		let thrown;
		const onPart = (part, expected) => this.#extendBody(number, part, expected);
		const reply = await this.#withTimeout(
			timeout,
			(signal) => origin.fetch(effect, signal, this.#options.context, onPart),
			(error) => {
				thrown = { error };
			},
		);
		// An origin without a URL is a function.
		if (thrown !== undefined && origin.url === undefined) {
			const { response, number: exception } = this.#runtime.exceptions.take(thrown.error);
			if (response === undefined) return (core, now) => core.fail_thrown(number, exception, now);
			const { status, contentType, body } = response;
			return (core, now) => core.complete_fetch(number, status, contentType, body, now);
		}
		// Any other response, redirects included, may quote the request.
		if (redactsErrors && reply !== undefined && reply.status !== 200) {
			const { contentType, body } = redacted();
			return (core, now) => core.complete_fetch(number, reply.status, contentType, body, now);
		}
		if (reply === undefined) {
			const error = thrown?.error;
			const coding = error instanceof UnsupportedCodingError ? error.coding : undefined;
			return (core, now) =>
				core.fail_fetch(number, thrown === undefined ? FetchFault.TimedOut : faultOf(error), coding, now);
		}
		return (core, now) => core.complete_fetch(number, reply.status, reply.contentType, reply.body, now);
	}

	/** Appends a part of the origin's response to the core's copy. */
	#extendBody(number, part, expected) {
		if (part.length === 0) return;
		const at = this.#isCoreCurrent
			? this.#runtime.enter(() => this.#core.extend_body(number, part.length, expected))
			: 0;
		if (!at) throw new OutOfMemoryError();
		instance.bytes().set(part, at);
	}

	/** The result of `act`; `undefined` if it fails, is cancelled, or takes longer than `timeout`. */
	#withTimeout(timeout, act, onError = () => {}) {
		const controller = new AbortController();
		const { promise, resolve } = deferred();
		const end = (value) => {
			clearTimeout(timer);
			this.#cancellations.delete(stop);
			resolve(value);
		};
		// A success needs no abort, which creates an error with a stack and costs more than a read.
		const stop = () => {
			end(undefined);
			controller.abort();
		};
		const timer = setTimeout(stop, timeout);
		if (this.#isCancelled) {
			stop();
			return promise;
		}
		this.#cancellations.add(stop);
		// An exception before the first await counts as a rejection.
		(async () => act(controller.signal))().then(end, (error) => {
			if (!controller.signal.aborted) onError(error);
			stop();
		});
		return promise;
	}

	/** Resolves with `true` after a time in milliseconds, or with `false` as soon as the request is over. */
	#wait(millis) {
		const { promise, resolve } = deferred();
		const end = (isDue) => {
			clearTimeout(timer);
			this.#timers.delete(cancel);
			resolve(isDue);
		};
		const cancel = () => end(false);
		const timer = setTimeout(end, millis, true);
		this.#timers.add(cancel);
		return promise;
	}
}
