// Telemetry behind answers: has the core ingest what it noted, sends what there is to send, and asks for reports.
//
// Invariant: no answer waits for it.

/** How long what is sent together waits for more at the most, in milliseconds. */
const BATCHED_MS = 1_000;

/**
 * @callback Send sends to a place of that kind; fails where it is not taken. From `windows`, no bytes bring all that was sent there.
 * @param {string} kind `webhook`, `traces`, `windows` or `analytics`
 * @param {string} to its URL, or the name under which the host has it
 * @param {Uint8Array} body
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */

/** How long the windows of all isolates may take to come, in milliseconds. */
const WINDOWS_TIMEOUT_MS = 5_000;

export class Telemetry {
	#runtime;
	#send;
	/** Whether telemetry goes anywhere by itself. */
	#isHeard;
	/** Whether anybody has asked for a report. */
	#isAsked = false;
	/** Until when somebody rests to look again. */
	#restingUntil = 0;
	/** What is sent with no request to wait for it. @type {Set<Promise<void>>} */
	sending = new Set();

	/**
	 * @param {import("./runtime.js").Runtime} runtime
	 * @param {Send} send
	 * @param {boolean} isHeard
	 */
	constructor(runtime, send, isHeard) {
		this.#runtime = runtime;
		this.#send = send;
		this.#isHeard = isHeard;
	}

	/** Has what was noted ingested after so many milliseconds, and sends what there is to send, for as long as there is. */
	async behind(millis) {
		const runtime = this.#runtime;
		// A moment in any case: the answer goes first.
		await this.#rest(millis);
		for (;;) {
			const isLast = runtime.isClosing;
			// Nobody will ask for a report of a host that ends.
			if (isLast && !this.#isAsked && !this.#isHeard) return;
			const at = await this.#look(isLast);
			if (isLast) return;
			const now = runtime.now();
			// Somebody else looks sooner.
			if (at === 0 || (now < this.#restingUntil && at >= this.#restingUntil)) return;
			this.#restingUntil = at;
			await this.#rest(at - now);
			// Whoever wakes a moment before the time, as timers do, is nobody to leave it to.
			if (this.#restingUntil === at) this.#restingUntil = 0;
		}
	}

	async #rest(millis) {
		if (!this.#runtime.isClosing) await this.#runtime.rest(Math.max(millis, 1));
	}

	/**
	 * Has the core reply to who asks for a report, and takes the reply. It waits for no place: what there is to send is sent behind it.
	 *
	 * @template T
	 * @param {string} path
	 * @param {string} query
	 * @param {() => T} take must not throw
	 * @param {(done: Promise<void>) => void} [waitUntil]
	 * @returns {Promise<T | undefined>} `undefined` where the core met a fault
	 */
	async report(path, query, take, waitUntil) {
		const runtime = this.#runtime;
		this.#isAsked = true;
		const needed = this.#enter((core) => {
			core.ingest_telemetry(runtime.now(), 0);
			return { to: core.windows_needed(path, query) };
		});
		if (needed === undefined) return undefined;
		const { to } = needed;
		let merged;
		if (to !== undefined) {
			const signal = AbortSignal.timeout(WINDOWS_TIMEOUT_MS);
			merged = await within(signal, this.#send("windows", to, new Uint8Array(), signal)).catch(() => undefined);
		}
		const reply = this.#enter((core) => {
			core.report(path, query, merged, runtime.now());
			return take();
		});
		const sent = this.behind(0).finally(() => this.sending.delete(sent));
		this.sending.add(sent);
		waitUntil?.(sent);
		return reply;
	}

	/** Ingests, and sends what there is to send; gives when to look again, 0 for not before there is more. */
	async #look(isLast) {
		const runtime = this.#runtime;
		// What would be sent a little later goes now where there is no later.
		const ahead = isLast ? BATCHED_MS : 0;
		const now = runtime.now();
		const at = now + ahead;
		const due = this.#enter((core) => {
			core.ingest_telemetry(now, ahead);
			const messages = [];
			for (let next = core.next_message(at); next !== undefined; next = core.next_message(at)) messages.push(next);
			return messages;
		});
		await Promise.all((due ?? []).map((message) => this.#deliver(message)));
		return this.#enter((core) => core.telemetry_due_at(runtime.now())) ?? 0;
	}

	async #deliver({ sink, number, kind, to, timeout, body }) {
		const signal = AbortSignal.timeout(timeout);
		const sent = (async () => within(signal, this.#send(kind, to, body, signal)))();
		const isTaken = await sent.then(
			() => true,
			() => false,
		);
		this.#enter((core) => core.acknowledge(sink, number, isTaken, this.#runtime.now()));
	}

	#enter(act) {
		const runtime = this.#runtime;
		return runtime.enter(() => act(runtime.core));
	}
}

/** The promise's value, or the signal's reason where that is sooner. */
function within(signal, promise) {
	return Promise.race([
		promise,
		new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
	]);
}

/**
 * Posts JSON to a place outside; fails where it is not taken. A redirect would take it to a place that nobody configured.
 *
 * @param {string} to
 * @param {Uint8Array} body
 * @param {string | undefined} authorization
 * @param {AbortSignal} signal
 */
export async function post(to, body, authorization, signal) {
	const headers = new Headers({ "content-type": "application/json" });
	if (authorization !== undefined) headers.set("authorization", authorization);
	const answer = await fetch(to, { method: "POST", headers, body, redirect: "manual", signal });
	await answer.body?.cancel();
	if (!answer.ok) throw new Error(`${answer.status}`);
}
