// Keeps whoever watches beside a core: brings it what the core tells, sends what it has to say, and asks it for reports. Shared by the
// hosts, which know how to load its module and where things are sent.
//
// Invariant: it costs no answer. A watcher that traps or cannot be made is given up with its figures, and the next batch finds another.

/** How long a watcher that could not be made is left alone, in milliseconds. */
const RETRY_MS = 10_000;

/** How long what is sent together waits for more at the most, in milliseconds. */
const LATER_MS = 1_000;

const PROBLEM = "application/problem+json";

/**
 * @typedef {object} Host
 * @property {() => Promise<any> | any} make a new watcher; may fail
 * @property {(watch: any) => boolean} isPresent whether it may still be entered
 * @property {(watch: any) => void} free takes one back
 * @property {() => Uint8Array | undefined} records what the core told since this was last called
 * @property {(status: number) => void} setSlaStatus tells the core how the isolate's service level stands
 * @property {(kind: string, to: string, body: Uint8Array, signal: AbortSignal) => Promise<any>} send sends to a place of that kind;
 *   fails where it is not taken. From `windows`, no bytes bring all that was sent there
 * @property {(millis: number) => Promise<boolean | void>} sleep resolves with `false` where there is no later
 * @property {() => number} [now] the time in milliseconds
 * @property {(error: unknown) => void} onFault told of what nobody else hears
 */

export class Watching {
	/** @type {Host} */
	#host;
	#now;
	/** @type {Promise<any> | undefined} */
	#watch;
	/** Why there is none, and when another is tried. */
	#fault;
	#retryAt = 0;
	/** Until when somebody sleeps to look again. */
	#sleepingUntil = 0;

	/** @param {Host} host */
	constructor(host) {
		this.#host = host;
		this.#now = host.now ?? Date.now;
	}

	/** Takes what the core tells after so many milliseconds, and does what there is to do about it, for as long as there is. */
	async behind(delay) {
		// A moment in any case: the answer goes first.
		let isLast = (await this.#host.sleep(Math.max(delay, 1))) === false;
		for (;;) {
			const at = await this.#look(isLast);
			if (isLast) return;
			const now = this.#now();
			// Somebody else looks sooner.
			if (at === 0 || (now < this.#sleepingUntil && at >= this.#sleepingUntil)) return;
			this.#sleepingUntil = at;
			isLast = (await this.#host.sleep(Math.max(at - now, 1))) === false;
		}
	}

	/**
	 * What is answered to who asks for a report. It waits for no place: what there is to send is sent by `behind`, which is to be called then.
	 *
	 * @param {string} method
	 * @param {string} path
	 * @param {string} query
	 * @returns {Promise<{ status: number, headers: Record<string, string>, body: Uint8Array | string }>}
	 */
	async report(method, path, query) {
		if (method !== "GET" && method !== "HEAD") {
			const detail = "this path answers GET, HEAD";
			return problem(405, "method-not-allowed", "The method is not allowed here", detail, { allow: "GET, HEAD" });
		}
		await this.#tell(this.#now());
		const merged = await this.#windows(path, query);
		const report = await this.#use((watch) => {
			const answer = watch.report(path, query, merged, this.#now());
			const { status, media_type: mediaType, body } = answer;
			answer.free();
			return { status, headers: { "content-type": mediaType }, body };
		});
		return (
			report ?? problem(503, "not-watched", "Nobody watches", this.#fault ?? "the watcher met a fault and is replaced")
		);
	}

	/** Tells the watcher, and sends what it has to say; when to look again, 0 for not before it is told more. */
	async #look(isLast = false) {
		// What would be sent a little later goes now where there is no later.
		const at = this.#now() + (isLast ? LATER_MS : 0);
		await this.#tell(at);
		const due = await this.#use((watch) => {
			const messages = [];
			while (watch.next_message(at)) {
				messages.push({
					place: watch.message_place(),
					number: watch.message_number(),
					kind: watch.message_kind(),
					to: watch.message_to(),
					timeout: watch.message_timeout(),
					body: watch.take_body(),
				});
			}
			return messages;
		});
		if (due === undefined) return 0;
		await Promise.all(due.map((message) => this.#send(message)));
		return (await this.#use((watch) => watch.next_at(this.#now()))) ?? 0;
	}

	/** Brings the watcher what the core has told, and the core what that makes of the service level: no answer waits for it. */
	async #tell(at) {
		const batch = this.#host.records();
		const status = await this.#use((watch) => (batch === undefined ? undefined : watch.take(batch, at)));
		if (status !== undefined) this.#host.setSlaStatus(status);
	}

	/** Gives the watcher back. */
	async close() {
		const watch = await this.#watch?.catch(() => undefined);
		this.#watch = undefined;
		this.#retryAt = Number.POSITIVE_INFINITY;
		if (watch !== undefined && this.#host.isPresent(watch)) this.#host.free(watch);
	}

	async #send({ place, number, kind, to, timeout, body }) {
		const sent = this.#within(timeout, (signal) => this.#host.send(kind, to, body, signal));
		const isTaken = await sent.then(
			() => true,
			() => false,
		);
		await this.#use((watch) => watch.told(place, number, isTaken, this.#now()));
	}

	/** The windows of all isolates, where a report needs them and they can be had. */
	async #windows(path, query) {
		const [to, timeout] =
			(await this.#use((watch) =>
				watch.needs_windows(path, query) ? [watch.windows_at(), watch.message_timeout()] : undefined,
			)) ?? [];
		if (!to) return undefined;
		const nothing = new Uint8Array();
		return this.#within(timeout, (signal) => this.#host.send("windows", to, nothing, signal)).catch(() => undefined);
	}

	#within(millis, act) {
		const signal = AbortSignal.timeout(millis);
		return Promise.race([
			act(signal),
			new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
		]);
	}

	/** What `act` makes of the watcher; nothing where there is none, or it fails. */
	async #use(act) {
		if (this.#watch === undefined) {
			if (this.#now() < this.#retryAt) return undefined;
			this.#watch = (async () => this.#host.make())();
		}
		const used = this.#watch;
		try {
			const watch = await used;
			if (this.#host.isPresent(watch)) return act(watch);
			// Another's trap has taken its instance from it.
			if (this.#watch === used) this.#watch = undefined;
			return undefined;
		} catch (error) {
			// It is never entered again: a trap leaves half-finished state behind.
			if (this.#watch === used) {
				this.#watch = undefined;
				this.#fault = error?.message ?? String(error);
				this.#retryAt = this.#now() + RETRY_MS;
				this.#host.onFault(error);
			}
			return undefined;
		}
	}
}

function problem(status, name, title, detail, headers = {}) {
	const body = JSON.stringify({ type: `urn:featheredge:problem:${name}`, title, status, detail });
	return { status, headers: { "content-type": PROBLEM, ...headers }, body };
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
