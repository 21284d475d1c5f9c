// A core and its surroundings, the same on every host: copies bodies and replies through the module's
// memory, performs effects by exchanges, and runs telemetry in the background.
//
// It knows plain values only, neither `Request` nor `Response`. Invariants: nothing is awaited between the
// copy of a body and the core's call for it; a trap fails the requests under way, and no later one.

import { Core, CoreState } from "featheredge-core";
import { ClosedError, ConfigError, FaultError } from "../errors.js";
import { ErrorLog } from "./error_log.js";
import { Exceptions } from "./exceptions.js";
import { Exchange } from "./exchange.js";
import * as instance from "./instance.js";
import { Telemetry } from "./telemetry.js";
import { unref } from "./unref.js";

/**
 * The size of the reused input buffer, in bytes. A longer body gets memory of its own, which the core frees.
 */
const INPUT_BUFFER_BYTES = 64 * 1024;

const OK = 200;

function randomSeed() {
	const [low, high] = crypto.getRandomValues(new Uint32Array(2));
	return (BigInt(high) << 32n) | BigInt(low);
}

/**
 * @typedef {object} Store
 * @property {(keys: string[], options: { signal: AbortSignal, shard: number }) => Promise<(Uint8Array | undefined)[]>} getMany
 *   an error with `isTooLarge` set means that fewer keys can be read at once
 * @property {(entries: [string, Uint8Array][], options: { ttl: number, signal: AbortSignal, shard: number }) =>
 *   Promise<import("../../types/index.d.ts").Written | number | void>} setMany returns what became of the entries, or how many failed
 * @property {number} [writeTimeoutMs] the timeout of a write; if omitted, that of a read
 *
 * @typedef {object} Origin
 * @property {string} [url] for an HTTP origin
 * @property {(effect: object, signal: AbortSignal, context: unknown, onPart: (part: Uint8Array, expected: number) => void) =>
 *   Promise<{ status: number, contentType?: string, body?: Uint8Array }>} fetch passes the response's body to `onPart` part by part, or returns it as a
 *   whole
 *
 * @typedef {object} Backends the stores and the invalidation log of a core
 * @property {Record<string, Store | undefined>} stores by the names of their tiers
 * @property {(effect: object) => Promise<Uint8Array>} [log] calls the invalidation log
 *
 * @typedef {object} RuntimeOptions
 * @property {unknown} config the table that `docs/reference/configuration.md` describes
 * @property {number} [maxL2Writes] the default limit of rows that a request writes to L2
 * @property {boolean} [hasLog] whether there is an invalidation log
 * @property {string} [shardSecret] makes a row's shard unpredictable
 * @property {(bindings: { project: string, l2: string, l3: string, l3ShardBytes: number, invalidationLog: string }) => Backends} connect
 * @property {Origin} [origin]
 * @property {() => number} clock the time in milliseconds
 * @property {boolean} [redactsErrors] whether the origin's error texts are redacted
 * @property {import("./telemetry.js").Send} send
 * @property {boolean} [exportsTelemetry] whether telemetry is sent anywhere without a request for it
 * @property {(error: unknown) => void} [onFault] receives the core's exceptions
 * @property {(line: string, cause?: unknown) => void} [onError] receives lines about errors of stores, of the invalidation log and of an
 *   origin's function, with what was thrown; `console.error` if omitted
 *
 * @typedef {object} ExchangeOptions the callbacks of a request that is not complete at once
 * @property {(exchange?: Exchange) => unknown} onReply reads the reply from the core, as soon as it is complete
 * @property {(base: string | undefined, signal: AbortSignal, cacheStatus?: string) => Promise<Response>} [forward] forwards the request
 *   to the origin at `base`, and adds `cacheStatus` to the response; without a base, serves a static file
 * @property {() => unknown} [onWriteTimeout] replies when the origin has not responded to a forwarded write in time
 * @property {(answer: Response, pairs: [string, string][]) => Response} [addHeaders] adds headers to a forwarded response; needed with
 *   an invalidation log
 * @property {(body: ReadableStream<Uint8Array>) => unknown} [onStream] replies with a streamed body
 * @property {unknown} [context] passed to the origin's `fetch`
 * @property {AbortSignal} [signal] ends the request
 * @property {(done: Promise<void>) => void} [waitUntil] receives the work that continues after the reply
 */

export class Runtime {
	/** @type {RuntimeOptions} */
	#options;
	/** @type {Core | undefined} */
	core;
	#generation = 0;
	#input = 0;
	#capacity = 0;
	/**
	 * How much of a body for features is copied: its limit and one byte, by which the core sees that it is
	 * too long.
	 */
	#featuresLimit = 0;
	/** @type {Backends} */
	backends;
	telemetry;
	/** @type {ErrorLog} */
	errors;
	/** @type {Exceptions} */
	exceptions;
	/** The requests under way. @type {Set<Exchange>} */
	exchanges = new Set();
	/** The requests that others may wake. @type {Map<number, Exchange>} */
	exchangesByHandle = new Map();
	/** Ends each delay in the background. @type {Set<() => void>} */
	#delays = new Set();
	isClosing = false;
	/** @type {Promise<void> | undefined} */
	#closed;

	/** @param {RuntimeOptions} options */
	constructor(options) {
		this.#options = options;
		this.errors = new ErrorLog(options.onError ?? ((line) => console.error(line)), options.clock);
		this.exceptions = new Exceptions(this.errors, this.redactsErrors);
		this.telemetry = new Telemetry(this, options.send, options.exportsTelemetry ?? true);
		this.#start();
	}

	get origin() {
		return this.#options.origin;
	}

	get redactsErrors() {
		return this.#options.redactsErrors === true;
	}

	now() {
		return this.#options.clock();
	}

	/** Creates a core, and fails the requests of the one before it. */
	#start(cause) {
		for (const exchange of [...this.exchanges]) exchange.failWithCore(new FaultError({ cause }));
		const { config, maxL2Writes, hasLog = false, shardSecret, connect } = this.#options;
		try {
			this.core = new Core(config, randomSeed(), maxL2Writes, hasLog, shardSecret);
		} catch (error) {
			throw new ConfigError(error.message);
		}
		this.#generation = instance.generation;
		this.#capacity = 0;
		this.#featuresLimit = this.core.body_limit("POST", "/v1/features") + 1;
		this.backends = connect(this.core.bindings());
	}

	/** The core, which belongs to the current instance. */
	open() {
		if (this.isClosing) throw new ClosedError();
		// Another runtime's trap has replaced the instance that the core belongs to.
		if (this.#generation !== instance.generation) this.#start();
		return this.core;
	}

	/**
	 * Calls the core; `undefined` if it throws. An exception that unwinds the core's frames counts as a
	 * trap.
	 */
	enter(call) {
		// The runtime is closed.
		if (this.core === undefined) return undefined;
		if (this.#generation !== instance.generation) return this.#start();
		try {
			return call();
		} catch (error) {
			this.#options.onFault?.(error);
			instance.replace();
			return this.#start(error);
		}
	}

	/** Copies at most `limit` bytes of a body into the core's input buffer; returns how many. */
	write(body, limit = this.#featuresLimit) {
		this.open();
		const length = Math.min(body.length, limit);
		const at = this.inputBuffer(length);
		instance.bytes().set(length < body.length ? body.subarray(0, length) : body, at);
		return length;
	}

	/** The address of an input buffer of at least `length` bytes, which the core's next call reads. */
	inputBuffer(length) {
		if (length <= this.#capacity) return this.#input;
		const at = this.enter(() => this.core.input(Math.max(length, INPUT_BUFFER_BYTES)));
		// The memory is exhausted.
		if (at === undefined) throw new FaultError();
		// The core frees a longer buffer after its call.
		this.#capacity = length > INPUT_BUFFER_BYTES ? 0 : INPUT_BUFFER_BYTES;
		this.#input = at;
		return at;
	}

	/** The reply's body in the module's memory, valid until the core's next call. */
	get replyBody() {
		const at = this.core.reply_at();
		return instance.bytes().subarray(at, at + this.core.reply_length());
	}

	/**
	 * Begins a request.
	 *
	 * @param {(core: Core, now: number) => CoreState} begin
	 * @returns {CoreState} `Replied` if the reply is complete and no effect is left; any other must be passed to `finish`
	 */
	begin(begin) {
		const core = this.open();
		const state = this.enter(() => begin(core, this.now()));
		if (state === undefined) throw new FaultError();
		return state;
	}

	/**
	 * Finishes a request that is not complete at once; resolves with the result of `onReply`.
	 *
	 * @param {CoreState} state
	 * @param {ExchangeOptions} options
	 * @returns {Promise<any>}
	 */
	finish(state, options) {
		return this.#exchange(state, options).reply;
	}

	/**
	 * Performs the remaining effects of a complete reply in the background; returns the result of `onReply`.
	 *
	 * @param {ExchangeOptions} options
	 */
	finishInBackground(options) {
		// An exception reaches the caller after the effects have begun.
		let result;
		const onReply = (exchange) => {
			try {
				const reply = options.onReply(exchange);
				result = () => reply;
			} catch (error) {
				result = () => {
					throw error;
				};
			}
		};
		this.#exchange(CoreState.RepliedWithEffects, { ...options, onReply });
		return result();
	}

	#exchange(state, options) {
		const { signal, waitUntil } = options;
		const exchange = new Exchange(this, options);
		if (signal !== undefined) {
			const abandon = () => exchange.abandon(signal.reason);
			signal.addEventListener("abort", abandon);
			const forget = () => signal.removeEventListener("abort", abandon);
			exchange.reply.then(forget, forget);
		}
		exchange.advance(state);
		if (signal?.aborted) exchange.abandon(signal.reason);
		waitUntil?.(exchange.done);
		return exchange;
	}

	/** Resolves after a time in milliseconds, or earlier whenever the closing runtime ends all delays. */
	delay(millis) {
		return new Promise((resolve) => {
			const end = () => {
				clearTimeout(timer);
				this.#delays.delete(end);
				resolve();
			};
			const timer = setTimeout(end, millis);
			// A closing runtime waits for it.
			if (!this.isClosing) unref(timer);
			this.#delays.add(end);
		});
	}

	/** Fails the requests under way, writes pending rows, and serves no more. */
	close() {
		this.#closed ??= this.#close();
		return this.#closed;
	}

	async #close() {
		this.isClosing = true;
		for (const exchange of this.exchanges) exchange.fail(new ClosedError());
		this.enter(() => this.core.close());
		while (this.exchanges.size > 0 || this.telemetry.sending.size > 0) {
			for (const end of [...this.#delays]) end();
			await Promise.race([...[...this.exchanges].map(({ done }) => done), ...this.telemetry.sending]);
		}
		if (this.#generation === instance.generation) this.core.free();
		this.core = undefined;
	}

	/** What the origin's function threw, where the reply fails or lacks values for that reason. */
	get replyException() {
		return this.exceptions.of(this.core.reply_exception());
	}

	/** Whether the reply has the status 200. */
	get isOk() {
		return this.core.reply_status() === OK;
	}
}
