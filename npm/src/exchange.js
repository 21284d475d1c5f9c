// One request that needs more than memory: performs the core's orders and tells it what came of them, until it has replied and all is
// done behind the reply.
//
// Decides nothing. Invariant: whatever a store or an origin does, it ends by its order's timeout and its outcome is told, so that no
// request hangs on it. A request goes on in its own context alone: others wake it by a promise that it waits for itself, as
// Cloudflare's runtime wants it.

import { State } from "featheredge-core";
import { withheld } from "../../src/host/withheld.mjs";
import { ClosedError, FeatheredgeError } from "./errors.js";
import * as instance from "./instance.js";
import { TooLargeError } from "./origins.js";

/** Bytes as the core takes them, or `undefined` for what is none: a store that answers rubbish costs its own share alone. */
function bytesOf(value) {
	if (value instanceof Uint8Array) return value;
	return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}

/** In place of a value's length: there is no value. */
const NOTHING = 0xffff_ffff;

/** The `count` texts of equal length that `text` is made of: one text crosses from the core sooner than many. */
function inParts(text, count) {
	const length = text.length / count;
	return Array.from({ length: count }, (_, index) => text.slice(index * length, (index + 1) * length));
}

/** How much of a reply in parts waits for its reader before the core is told to hold back, in bytes. */
const BUFFERED_BYTES = 64 * 1024;

export class Exchange {
	/** Resolves with what the reply was taken as. */
	reply;
	/** Resolves once nothing is done for the request any more. */
	done;
	#host;
	#core;
	#take;
	#pass;
	#ticket = 0;
	#running = 0;
	#hasReplied = false;
	#passed;
	#resolve;
	#reject;
	#finish;
	/** What ends the waits that are of no use once the request is over. @type {Set<() => void>} */
	#waits = new Set();
	/** What tells the orders under way to stop. */
	#abort = new AbortController();
	#wake;
	#isWoken = false;
	/** The body of a reply that goes out in parts. @type {ReadableStreamDefaultController | undefined} */
	#parts;
	#openParts;
	/** Whether the core waits for the reader of the parts. */
	#isHeld = false;
	/** Whether it goes on since the reader wants more. */
	#isFed = false;
	/** Whether nobody reads the parts any more, or the last is out. */
	#hasGone = false;
	/** What an origin of ours has thrown last, which no JSON can hold. */
	cause;

	/**
	 * @param {object} host the engine's side of it: its `core` and clock, its stores and origin, and what is under way
	 * @param {(exchange: Exchange) => unknown} take takes the reply, as soon as it is there
	 * @param {(base: string, signal: AbortSignal) => Promise<Response>} [pass] passes the request on to the origin
	 * @param {(body: ReadableStream<Uint8Array>) => unknown} [openParts] takes the head of a reply in parts, and its body
	 */
	constructor(host, take, pass, openParts) {
		this.#openParts = openParts;
		this.#host = host;
		this.#core = host.core;
		this.#take = take;
		this.#pass = pass;
		this.reply = new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
		// A caller who got the reply at once does not wait for it here.
		this.reply.catch(() => {});
		this.done = new Promise((resolve) => {
			this.#finish = resolve;
		});
		host.exchanges.add(this);
	}

	/** Goes on from what the last call of the core has said. */
	take(state) {
		const core = this.#core;
		if (!this.#hasReplied) this.#end(state);
		this.#takeChunk(state);
		const said = this.#host.enter(() => ({
			ticket: core.ticket(),
			orders: core.take_orders(),
			woken: core.take_woken(),
		}));
		if (said === undefined) return;
		const { ticket, orders, woken } = said;
		if (ticket > 0 && ticket !== this.#ticket) {
			if (this.#ticket > 0) this.#host.byTicket.delete(this.#ticket);
			this.#ticket = ticket;
			this.#host.byTicket.set(ticket, this);
			if (this.#wake === undefined) this.#listen();
		}
		for (const order of orders) this.#run(order);
		for (const ticket of woken) this.#host.byTicket.get(ticket)?.wake();
		if (this.#ticket > 0 && !core.is_under_way(this.#ticket)) this.#leave();
		this.#settle();
	}

	/** Gives the next part of a reply in parts to its reader, and closes it behind the last. */
	#takeChunk(state) {
		const chunk = this.#host.enter(() => this.#core.take_chunk());
		if (chunk !== undefined) {
			this.#isHeld = true;
			if (this.#parts === undefined) this.#open();
			if (!this.#hasGone) this.#parts.enqueue(chunk);
		}
		if (state === State.Streamed && !this.#hasGone) this.#parts.close();
		if (state === State.Streamed) this.#hasGone = true;
	}

	#open() {
		const body = new ReadableStream(
			{
				start: (controller) => {
					this.#parts = controller;
				},
				pull: () => this.#feed(),
				cancel: (reason) => {
					this.#hasGone = true;
					this.abandon(reason);
				},
			},
			new ByteLengthQueuingStrategy({ highWaterMark: BUFFERED_BYTES }),
		);
		this.#answer(() => this.#openParts(body));
	}

	/** The reader wants more. In its own context the request goes on. */
	#feed() {
		if (!this.#isHeld || this.#hasGone) return;
		this.#isHeld = false;
		this.#isFed = true;
		this.wake();
	}

	#end(state) {
		if (state === State.Replied || state === State.RepliedWithOrders) this.#answer(() => this.#take(this));
		else if (state === State.Forward) this.#answer(() => this.#pass(this.#core.forward_base(), this.#abort.signal));
		else if (state === State.Forwarded) this.#answer(() => this.#passed);
		else if (state === State.Asset) this.#answer(() => this.#pass(undefined, this.#abort.signal));
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
		this.#abort.abort(reason);
		if (this.#ticket > 0 && this.isPresent) {
			const woken = this.#host.enter(() => {
				this.#core.abandon(this.#ticket, this.#host.now());
				return this.#core.take_woken();
			});
			for (const ticket of woken ?? []) this.#host.byTicket.get(ticket)?.wake();
		}
		this.#leave();
		this.#settle();
	}

	/** The core is gone, and nothing can be told to it any more. */
	giveUp(error) {
		this.fail(error);
		this.#abort.abort(error);
		this.#leave();
		this.#running = 0;
		this.#settle();
	}

	/** Whether the core that it began with is still the engine's. */
	get isPresent() {
		return this.#host.core === this.#core;
	}

	/** Lets it go on, in its own context. */
	wake() {
		this.#isWoken = true;
		this.#wake?.(true);
	}

	async #listen() {
		for (;;) {
			const isWoken =
				this.#isWoken ||
				(await new Promise((resolve) => {
					this.#wake = resolve;
				}));
			this.#isWoken = false;
			if (!isWoken || this.#ticket === 0) return;
			const isFed = this.#isFed;
			this.#isFed = false;
			this.#tell((core, now) => (isFed ? core.taken(this.#ticket, now) : core.wake(this.#ticket, now)));
		}
	}

	/** The core knows the request no more: what waits for its sake need not. */
	#leave() {
		if (this.#ticket > 0) this.#host.byTicket.delete(this.#ticket);
		this.#ticket = 0;
		for (const end of this.#waits) end();
		this.#waits.clear();
		this.#wake?.(false);
	}

	#settle() {
		if (this.#running > 0) return;
		if (!this.#hasReplied) this.fail(new FeatheredgeError("internal", "the request was lost"));
		if (this.#ticket > 0) return;
		this.#host.exchanges.delete(this);
		this.#finish();
	}

	#tell(outcome) {
		if (!this.isPresent) return this.giveUp(new ClosedError());
		const state = this.#host.enter(() => outcome(this.#core, this.#host.now()));
		if (state !== undefined) this.take(state);
	}

	async #run(order) {
		this.#running += 1;
		const outcome = await this.#perform(order);
		if (this.#running === 0) return;
		this.#running -= 1;
		if (outcome !== undefined) return this.#tell(outcome);
		if (this.isPresent) this.#host.enter(() => this.#core.forget(order.number));
		this.#settle();
	}

	/** Performs an order; resolves with how to tell the core, or with nothing where it need not be told. */
	async #perform(order) {
		const { number, timeout } = order;
		if (order.keys) {
			const keys = inParts(order.keys, order.count);
			const values = await this.#within(timeout, async (signal) => {
				const found = await this.#host.stores[order.tier].getMany(keys, { signal });
				return Array.isArray(found) && found.length === keys.length ? found.map(bytesOf) : undefined;
			});
			return (core, now) => {
				if (values !== undefined) this.#enterValues(values);
				return core.complete_read(number, values?.length, now);
			};
		}
		if (order.entries) {
			const { entries, ttl } = order;
			const refused = await this.#within(timeout, async (signal) => {
				const refused = await this.#host.stores[order.tier].setMany(entries, { ttl, signal });
				return Number.isInteger(refused) ? refused : 0;
			});
			return (core, now) => core.complete_write(number, refused ?? entries.length, now);
		}
		if (order.passTo) {
			// However long it takes: that it was passed on cannot be taken back.
			this.#passed = this.#pass(order.passTo, this.#abort.signal);
			await this.#passed.catch(() => {});
			return (core, now) => core.complete_pass(number, now);
		}
		if (order.records) {
			await this.#host.watch(timeout);
			return (core, now) => core.complete_wait(number, now);
		}
		if (order.outlives) {
			await this.#host.rest(timeout);
			return (core, now) => core.complete_wait(number, now);
		}
		if (order.outlives === false) {
			return (await this.#wait(timeout)) ? (core, now) => core.complete_wait(number, now) : undefined;
		}
		if (order.url) return this.#fetch(order);
		await this.#sleep(Math.min(order.delay, timeout));
		if (order.delay > timeout) return (core, now) => core.fail_fetch(number, true, false, now);
		return (core, now) => core.complete_fetch(number, 200, "application/json", core.synthesize(order.body, now), now);
	}

	/** Writes what a read gave where the core reads it: the length of each value, and behind all lengths the values. */
	#enterValues(values) {
		let length = values.length * 4;
		for (const value of values) length += value?.length ?? 0;
		const start = this.#host.input(length);
		const memory = instance.bytes();
		const lengths = new DataView(memory.buffer, start, values.length * 4);
		let at = start + values.length * 4;
		for (let index = 0; index < values.length; index++) {
			const value = values[index];
			lengths.setUint32(index * 4, value?.length ?? NOTHING, true);
			if (value === undefined) continue;
			memory.set(value, at);
			at += value.length;
		}
	}

	async #fetch(order) {
		const { number, timeout } = order;
		let isTimeout = true;
		let isTooLarge = false;
		const reply = await this.#within(
			timeout,
			(signal) => this.#host.origin.ask(order, signal),
			(error) => {
				isTimeout = false;
				isTooLarge = error instanceof TooLargeError;
				this.cause = this.#host.isPrivate ? undefined : error;
			},
		);
		const isOwnError = reply === undefined && !isTimeout && !isTooLarge && this.#host.origin.url === undefined;
		if (this.#host.isPrivate && (isOwnError || (reply !== undefined && reply.status !== 200))) {
			const { contentType, body } = withheld();
			return (core, now) => core.complete_fetch(number, reply?.status ?? 500, contentType, body, now);
		}
		if (isOwnError) {
			// A function's own error is no loss of a connection, and its text is worth more.
			const body = new TextEncoder().encode(this.cause?.message ?? String(this.cause));
			return (core, now) => core.complete_fetch(number, 500, "text/plain", body, now);
		}
		if (reply === undefined) return (core, now) => core.fail_fetch(number, isTimeout, isTooLarge, now);
		return (core, now) => core.complete_fetch(number, reply.status, reply.contentType, reply.body, now);
	}

	/** What `act` gives, or `undefined` where it fails or takes longer than `timeout`. */
	#within(timeout, act, onError = () => {}) {
		const controller = new AbortController();
		const signal = this.#abort.signal;
		return new Promise((resolve) => {
			const end = (value) => {
				clearTimeout(timer);
				signal.removeEventListener("abort", stop);
				resolve(value);
			};
			// Only what did not end well has something left to stop; an abort makes an error with its stack, which costs more than a read.
			const stop = () => {
				end(undefined);
				controller.abort();
			};
			const timer = setTimeout(stop, timeout);
			if (signal.aborted) return stop();
			signal.addEventListener("abort", stop);
			// A function that throws before its first wait is as good as one that rejects.
			(async () => act(controller.signal))().then(end, (error) => {
				if (!controller.signal.aborted) onError(error);
				stop();
			});
		});
	}

	#sleep(millis) {
		return new Promise((resolve) => setTimeout(resolve, millis));
	}

	/** Resolves with `true` after so many milliseconds, or with `false` once the request is over. */
	#wait(millis) {
		return new Promise((resolve) => {
			const timer = setTimeout(() => {
				this.#waits.delete(end);
				resolve(true);
			}, millis);
			const end = () => {
				clearTimeout(timer);
				resolve(false);
			};
			this.#waits.add(end);
		});
	}
}
