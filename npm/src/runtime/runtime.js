// A core and what it reaches: bodies in and replies out through the module's memory, effects by exchanges, telemetry behind answers. The
// same on every host.
//
// It takes and gives plain values, and makes neither `Request` nor `Response`. Invariants: between a body's way in and the core's call nothing
// is awaited; a trap costs the requests under way and no later one.

import { Core, CoreState } from "featheredge-core";
import { ClosedError, ConfigError, FaultError } from "../errors.js";
import { ErrorLog } from "./error_log.js";
import { Exchange } from "./exchange.js";
import * as instance from "./instance.js";
import { Telemetry } from "./telemetry.js";
import { unref } from "./unref.js";

/** Bodies up to this length go in at one place, in bytes. The core gives back the memory of much longer ones. */
const KEPT_BYTES = 64 * 1024;

const OK = 200;

function randomSeed() {
	const [low, high] = crypto.getRandomValues(new Uint32Array(2));
	return (BigInt(high) << 32n) | BigInt(low);
}

/**
 * @typedef {object} Store
 * @property {(keys: string[], options: { signal: AbortSignal, shard: number }) => Promise<(Uint8Array | undefined)[]>} getMany
 *   an error whose `isTooLarge` is set says that fewer keys may be read
 * @property {(entries: [string, Uint8Array][], options: { ttl: number, signal: AbortSignal, shard: number }) =>
 *   Promise<import("../../types/index.d.ts").Written | number | void>} setMany gives what became of the entries, or how many it did not take
 * @property {number} [writeTimeoutMs] how long a write may take; without it, as long as a read
 *
 * @typedef {object} Origin
 * @property {string} [url] of an origin that is no function
 * @property {(effect: object, signal: AbortSignal, context: unknown, take: (part: Uint8Array, expected: number) => void) =>
 *   Promise<{ status: number, contentType?: string, body?: Uint8Array }>} ask gives the answer's body to `take` part by part, or as a whole
 *
 * @typedef {object} Reach what a core is connected to
 * @property {Record<string, Store | undefined>} stores by their tiers' names
 * @property {(effect: object) => Promise<Uint8Array>} [log] calls the invalidation log
 *
 * @typedef {object} RuntimeOptions
 * @property {unknown} config the table that `docs/reference/configuration.md` describes
 * @property {number} [maxL2Writes] how many rows a request writes to L2 where the configuration does not say
 * @property {boolean} [hasLog] whether there is an invalidation log
 * @property {string} [shardSecret] without it, nobody foresees a row's shard
 * @property {(bindings: { project: string, l2: string, l3: string, l3ShardBytes: number, invalidationLog: string }) => Reach} connect
 * @property {Origin} [origin]
 * @property {() => number} clock the time in milliseconds
 * @property {boolean} [isPrivate] whether the origin's own words are kept from callers
 * @property {import("./telemetry.js").Send} send
 * @property {boolean} [isHeard] whether telemetry goes anywhere by itself
 * @property {(error: unknown) => void} [onFault] told of what the core threw
 * @property {(line: string) => void} [onError] told now and then of what stores and the invalidation log failed with; `console.error` without it
 *
 * @typedef {object} Handling what becomes of a request that is not over at once
 * @property {(exchange?: Exchange) => unknown} take takes the reply, as soon as it is there
 * @property {(base: string | undefined, signal: AbortSignal, cacheStatus?: string) => Promise<Response>} [pass] passes the request on to the
 *   origin at `base`, for an answer that says `cacheStatus`, or has a file answer it
 * @property {() => unknown} [late] takes that the origin has not answered in time to a write that was passed on
 * @property {(answer: Response, pairs: [string, string][]) => Response} [addHeaders] to an answer that was passed on; needed where there is a log
 * @property {(body: ReadableStream<Uint8Array>) => unknown} [open] takes the head of a reply in parts, and its body
 * @property {unknown} [context] what the origin is to know of the request
 * @property {AbortSignal} [signal] ends the request
 * @property {(done: Promise<void>) => void} [waitUntil] told of what goes on behind the reply
 */

export class Runtime {
	/** @type {RuntimeOptions} */
	#options;
	/** @type {Core | undefined} */
	core;
	#generation = 0;
	#input = 0;
	#capacity = 0;
	/** How much of a body for features is written: one byte more than is allowed shows that it is refused. */
	#featuresLimit = 0;
	/** @type {Reach} */
	reach;
	telemetry;
	/** @type {ErrorLog} */
	errors;
	/** The requests under way. @type {Set<Exchange>} */
	exchanges = new Set();
	/** Those that others may wake. @type {Map<number, Exchange>} */
	byHandle = new Map();
	/** What ends the rests behind replies. @type {Set<() => void>} */
	#rests = new Set();
	isClosing = false;
	/** @type {Promise<void> | undefined} */
	#closed;

	/** @param {RuntimeOptions} options */
	constructor(options) {
		this.#options = options;
		this.errors = new ErrorLog(options.onError ?? console.error, options.clock);
		this.telemetry = new Telemetry(this, options.send, options.isHeard ?? true);
		this.#start();
	}

	get origin() {
		return this.#options.origin;
	}

	get isPrivate() {
		return this.#options.isPrivate === true;
	}

	now() {
		return this.#options.clock();
	}

	/** Makes a core, and gives up what waits for the one before it. */
	#start(cause) {
		for (const exchange of [...this.exchanges]) exchange.giveUp(new FaultError({ cause }));
		const { config, maxL2Writes, hasLog = false, shardSecret, connect } = this.#options;
		try {
			this.core = new Core(config, randomSeed(), maxL2Writes, hasLog, shardSecret);
		} catch (error) {
			throw new ConfigError(error.message);
		}
		this.#generation = instance.generation;
		this.#capacity = 0;
		this.#featuresLimit = this.core.body_limit("POST", "/v1/features") + 1;
		this.reach = connect(this.core.bindings());
	}

	/** The core, of the present instance. */
	open() {
		if (this.isClosing) throw new ClosedError();
		// Another runtime's trap has replaced the instance that the core belongs to.
		if (this.#generation !== instance.generation) this.#start();
		return this.core;
	}

	/** What a call of the core gives; `undefined` where it throws: through the core's frames, any error is as bad as a trap. */
	enter(call) {
		// It is closed.
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

	/** Writes a body where the core reads the next request's, at most `limit` bytes of it, or as much as shows that it is too long for features; gives how many. */
	write(body, limit = this.#featuresLimit) {
		this.open();
		const length = Math.min(body.length, limit);
		const at = this.room(length);
		instance.bytes().set(length < body.length ? body.subarray(0, length) : body, at);
		return length;
	}

	/** Where the core reads up to `length` bytes that are written there just before it is called. */
	room(length) {
		if (length <= this.#capacity) return this.#input;
		const at = this.enter(() => this.core.input(Math.max(length, KEPT_BYTES)));
		// There is no memory for it.
		if (at === undefined) throw new FaultError();
		// A longer one's place is given back.
		this.#capacity = length > KEPT_BYTES ? 0 : KEPT_BYTES;
		this.#input = at;
		return at;
	}

	/** The reply's body where it stands, until the core is called again. */
	get replyBody() {
		const at = this.core.reply_at();
		return instance.bytes().subarray(at, at + this.core.reply_length());
	}

	/**
	 * Begins a request.
	 *
	 * @param {(core: Core, now: number) => CoreState} begin
	 * @returns {CoreState} `Replied` where the reply is there and nothing else is to be done; any other is to be attended to
	 */
	begin(begin) {
		const core = this.open();
		const state = this.enter(() => begin(core, this.now()));
		if (state === undefined) throw new FaultError();
		return state;
	}

	/**
	 * Attends to a request that is not over at once; resolves with what `take` makes of its reply.
	 *
	 * @param {CoreState} state
	 * @param {Handling} handling
	 * @returns {Promise<any>}
	 */
	attend(state, handling) {
		return this.#exchange(state, handling).reply;
	}

	/**
	 * Attends to what is to be done behind a reply that is there; gives what `take` makes of it.
	 *
	 * @param {Handling} handling
	 */
	attendBehind(handling) {
		// An error is the caller's, who is told once all is under way.
		let give;
		const take = (exchange) => {
			try {
				const reply = handling.take(exchange);
				give = () => reply;
			} catch (error) {
				give = () => {
					throw error;
				};
			}
		};
		this.#exchange(CoreState.RepliedWithEffects, { ...handling, take });
		return give();
	}

	#exchange(state, handling) {
		const { signal, waitUntil } = handling;
		const exchange = new Exchange(this, handling);
		if (signal !== undefined) {
			const abandon = () => exchange.abandon(signal.reason);
			signal.addEventListener("abort", abandon);
			const forget = () => signal.removeEventListener("abort", abandon);
			exchange.reply.then(forget, forget);
		}
		exchange.take(state);
		if (signal?.aborted) exchange.abandon(signal.reason);
		waitUntil?.(exchange.done);
		return exchange;
	}

	/** Resolves after so many milliseconds, or when all is to end, or something has ended that it waits for then. */
	rest(millis) {
		return new Promise((resolve) => {
			const end = () => {
				clearTimeout(timer);
				this.#rests.delete(end);
				resolve();
			};
			const timer = setTimeout(end, millis);
			// Who closes waits for it.
			if (!this.isClosing) unref(timer);
			this.#rests.add(end);
		});
	}

	/** Ends what is under way, writes what was put off, and serves no more. */
	close() {
		this.#closed ??= this.#close();
		return this.#closed;
	}

	async #close() {
		this.isClosing = true;
		for (const exchange of this.exchanges) exchange.fail(new ClosedError());
		this.enter(() => this.core.close());
		while (this.exchanges.size > 0 || this.telemetry.sending.size > 0) {
			for (const end of [...this.#rests]) end();
			await Promise.race([...[...this.exchanges].map(({ done }) => done), ...this.telemetry.sending]);
		}
		if (this.#generation === instance.generation) this.core.free();
		this.core = undefined;
	}

	/** Whether the reply is an answer, and no error. */
	get isOk() {
		return this.core.reply_status() === OK;
	}
}
