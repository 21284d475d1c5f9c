// Telemetry in the background: has the core ingest its records, sends the messages that are due, and serves
// reports.
//
// It does not know what records mean. Invariant: no response waits for it.

/** The longest that the core collects a batch, in milliseconds. */
const BATCHED_MS = 1_000;

/**
 * @callback Send sends a message to a sink; rejects if the sink does not accept it. An empty message to `windows` returns all that was sent there.
 * @param {string} kind `webhook`, `traces`, `windows` or `analytics`
 * @param {string} to its URL, or the name of its binding
 * @param {Uint8Array} body
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */

/** The timeout for the merged windows of all isolates, in milliseconds. */
const WINDOWS_TIMEOUT_MS = 5_000;

export class Telemetry {
	#runtime;
	#send;
	/** Whether telemetry is sent anywhere without a request for it. */
	#exports;
	/** Whether a report was ever requested. */
	#wasQueried = false;
	/** When the waiting flush runs, so that there is one at a time. */
	#nextFlushAt = 0;
	/** Flushes that belong to no exchange. @type {Set<Promise<void>>} */
	sending = new Set();

	/**
	 * @param {import("./runtime.js").Runtime} runtime
	 * @param {Send} send
	 * @param {boolean} exportsTelemetry
	 */
	constructor(runtime, send, exportsTelemetry) {
		this.#runtime = runtime;
		this.#send = send;
		this.#exports = exportsTelemetry;
	}

	/** After a delay in milliseconds, ingests records and sends messages, until none are due. */
	async ingestInBackground(millis) {
		const runtime = this.#runtime;
		// A short delay in any case: the response goes first.
		await this.#delay(millis);
		for (;;) {
			const isFinal = runtime.isClosing;
			// A process that ends serves no report.
			if (isFinal && !this.#wasQueried && !this.#exports) return;
			const at = await this.#flush(isFinal);
			if (isFinal) return;
			const now = runtime.now();
			// Another flush runs sooner.
			if (at === 0 || (now < this.#nextFlushAt && at >= this.#nextFlushAt)) return;
			this.#nextFlushAt = at;
			await this.#delay(at - now);
			// Timers may fire a moment early, so this flush must not leave its work to itself.
			if (this.#nextFlushAt === at) this.#nextFlushAt = 0;
		}
	}

	async #delay(millis) {
		if (!this.#runtime.isClosing) await this.#runtime.delay(Math.max(millis, 1));
	}

	/**
	 * Serves a report. It waits for no sink: messages are sent in the background.
	 *
	 * @template T
	 * @param {string} path
	 * @param {string} query
	 * @param {() => T} onReply reads the reply from the core; must not throw
	 * @param {(done: Promise<void>) => void} [waitUntil]
	 * @returns {Promise<T | undefined>} `undefined` if the core failed
	 */
	async report(path, query, onReply, waitUntil) {
		const runtime = this.#runtime;
		this.#wasQueried = true;
		const needed = this.#enter((core) => {
			core.ingest_telemetry(runtime.now(), 0);
			return { to: core.windows_needed(path, query) };
		});
		if (needed === undefined) return undefined;
		const { to } = needed;
		let merged;
		if (to !== undefined) {
			const signal = AbortSignal.timeout(WINDOWS_TIMEOUT_MS);
			merged = await abortable(signal, this.#send("windows", to, new Uint8Array(), signal)).catch(() => undefined);
		}
		const reply = this.#enter((core) => {
			core.report(path, query, merged, runtime.now());
			return onReply();
		});
		const sent = this.ingestInBackground(0).finally(() => this.sending.delete(sent));
		this.sending.add(sent);
		waitUntil?.(sent);
		return reply;
	}

	/**
	 * Ingests records and sends due messages; returns the time of the next flush, or 0 if new records come
	 * first.
	 */
	async #flush(isFinal) {
		const runtime = this.#runtime;
		// The last flush sends incomplete batches too.
		const ahead = isFinal ? BATCHED_MS : 0;
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
		const sent = (async () => abortable(signal, this.#send(kind, to, body, signal)))();
		const isAccepted = await sent.then(
			() => true,
			() => false,
		);
		this.#enter((core) => core.acknowledge(sink, number, isAccepted, this.#runtime.now()));
	}

	#enter(act) {
		const runtime = this.#runtime;
		return runtime.enter(() => act(runtime.core));
	}
}

/** Settles as `promise`, or rejects with the signal's reason if that comes first. */
function abortable(signal, promise) {
	return Promise.race([
		promise,
		new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
	]);
}

/**
 * Posts JSON to a URL; rejects if it is not accepted. Redirects are not followed, since they may lead to a host that nobody configured.
 *
 * @param {string} to
 * @param {Uint8Array} body
 * @param {string | undefined} authorization
 * @param {AbortSignal} signal
 */
export async function post(to, body, authorization, signal) {
	const headers = new Headers({ "content-type": "application/json" });
	if (authorization !== undefined) headers.set("authorization", authorization);
	const response = await fetch(to, { method: "POST", headers, body, redirect: "manual", signal });
	await response.body?.cancel();
	if (!response.ok) throw new Error(`${response.status}`);
}
