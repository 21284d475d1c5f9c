// Judges every value of every answer by what the origin knows of it. Invariant: what it counts as a violation cannot have come of a product
// that keeps its promises, however the machine delays the product, the origin or the checker itself.

import { COLUMNS, isUnknown, NULLS, VIEWS } from "./dataset.mjs";
import { entityOf, readValue } from "./origin.mjs";
import { BREAKER_OPEN_MS, SKEW_MS } from "./plan.mjs";
import { cellsOf } from "./requests.mjs";

/** How long an answer may be on its way on a busy machine, in milliseconds. */
const ON_ITS_WAY_MS = 500;
/** By how much clocks that count whole milliseconds may differ. */
const TICK_MS = 3;
/** By how much an answer may be later than its deadline, on a machine that others use too. */
const LATE_MS = 2_500;
/** How long after a fault of the origin what it did may still show: the breaker's rest, and its probes. */
const RECOVERY_MS = BREAKER_OPEN_MS + 2_500;

/** How exactly isolates know the invalidation log's clock: to within a call of it. */
const HEARD_MS = 200;
/** What a Worker, which has no other clock, may lose where that is set back: as long as it had not looked at it, on a busy machine. */
const UNSEEN_MS = 2_000;
/** What takes longer may have met a time-out of the product, whose floor for the origin is 2 s, on a machine that stood still. */
const STALL_MS = 1_700;
/** The deadline of urgent requests, by default. */
const REAL_TIME_MS = 100;

const LEVELS = ["eventual", "bounded", "strong"];

export class Judge {
	#origin;
	#traits;
	#lag;
	/** Writes whose acknowledgement has come, by view and entity. @type {Map<string, { ackAt: number, version: number, at: number, number: number }[]>} */
	#written = new Map();
	/** @type {{ instance: number, view: string | undefined, entities: Set<string> | undefined, sentAt: number, ackAt: number }[]} */
	#invalidated = [];
	/** When writes were under way, by view. @type {Map<string, { from: number, to: number }[]>} */
	#writing = new Map();
	/** What reads have shown, by instance, form, row and feature. @type {Map<string, { sentAt: number, endAt: number, version: number, askedAt: number, level: number }[]>} */
	#shown = new Map();
	/** Values that the checker itself has loaded, by number. @type {Map<string, { sentAt: number, endAt: number }>} */
	loads = new Map();
	violations = [];
	counts = { values: 0, rows: 0, missing: 0, present: 0 };

	/**
	 * @param {import("./origin.mjs").Origin} origin
	 * @param {import("./plan.mjs").Traits} traits
	 * @param {(from: number, to: number) => number} lag how late this process was at the most in between, in milliseconds
	 */
	constructor(origin, traits, lag) {
		this.#origin = origin;
		this.#traits = traits;
		this.#lag = lag;
	}

	/** @param {string} kind of promise that is broken */
	violate(kind, step, exchange, why) {
		this.violations.push({ kind, why, at: performance.now(), step, exchange });
	}

	/** The keys that the origin makes of a row of a request. */
	#entity(view, columns, row) {
		const entries = Object.entries(columns);
		const keys = entries.map(([name, spellings]) => [COLUMNS[name].read(spellings[row])]);
		return entityOf(view, entries, keys, 0);
	}

	/** The entities of a feature in the rows of these columns. */
	entitiesOf(reference, columns) {
		const [view] = reference.split(":");
		return Object.values(columns)[0].map((_, row) => this.#entity(view, columns, row));
	}

	/** A write is sent. */
	begin(step) {
		const begun = this.#writing.get(step.view) ?? [];
		step.span = { from: performance.now(), to: Number.POSITIVE_INFINITY };
		begun.push(step.span);
		this.#writing.set(step.view, begun);
	}

	write(step, exchange) {
		// Who hangs up does not learn when the origin has answered.
		if (exchange.status !== undefined) step.span.to = exchange.endAt;
		if (this.#lost(step, exchange)) return;
		// A write may be refused while the origin is ill; what it has written all the same counts.
		for (const { view, entity, version, at } of step.applied ?? []) {
			const key = `${view}|${entity}`;
			const written = this.#written.get(key) ?? [];
			const { instance, number } = step;
			const isEverywhere = this.#isEverywhere(exchange);
			written.push({ instance, isEverywhere, ackAt: exchange.headAt, version, at, number });
			this.#written.set(key, written);
		}
		const isExpected = this.#origin.wasWell(exchange.sentAt - RECOVERY_MS, exchange.endAt) && step.fault === undefined;
		if (isExpected && exchange.status !== 200) {
			this.violate("5xx in health", step, exchange, `a write got ${exchange.status}: ${textOf(exchange)}`);
		}
	}

	invalidate(step, exchange) {
		if (this.#lost(step, exchange)) return;
		const canName = step.what !== "rows" || this.#traits.keys === "config";
		if (exchange.status !== 200) {
			if (canName)
				this.violate("5xx in health", step, exchange, `an invalidation got ${exchange.status}: ${textOf(exchange)}`);
			return;
		}
		const rows = Object.values(step.columns)[0].length;
		const entities = Array.from({ length: rows }, (_, row) => this.#entity(step.view, step.columns, row));
		this.#invalidated.push({
			instance: step.instance,
			isEverywhere: this.#isEverywhere(exchange),
			view: step.what === "everything" ? undefined : step.view,
			entities: step.what === "rows" ? new Set(entities) : undefined,
			sentAt: exchange.sentAt,
			ackAt: exchange.headAt,
		});
	}

	warm(step, exchange) {
		if (step.load !== undefined) this.loads.get(step.load).endAt = exchange.endAt;
		if (this.#lost(step, exchange)) return;
		const isWell = this.#origin.wasWell(exchange.sentAt - RECOVERY_MS, exchange.endAt);
		if (step.how === "no key") {
			if (exchange.status < 400 || exchange.status > 499) {
				this.violate("warm without a key", step, exchange, `it got ${exchange.status}: ${textOf(exchange)}`);
			}
		} else if (exchange.status >= 500 && isWell) {
			this.violate("5xx in health", step, exchange, `a warm-up got ${exchange.status}: ${textOf(exchange)}`);
		}
	}

	explain(step, exchange) {
		if (this.#lost(step, exchange)) return;
		if (exchange.status !== 200) this.violate("5xx in health", step, exchange, `an explanation got ${exchange.status}`);
	}

	/** Whether the answer never came; that is a violation, unless the client has hung up. */
	#lost(step, exchange) {
		if (exchange.end === "lost") this.violate("no end", step, exchange, "no answer came in 15 s");
		// A write's answer is the origin's own, passed on as it comes: what the origin cuts off is not to be ended as if it were whole.
		const isCutByOrigin = step.kind === "write" && exchange.status !== undefined && !this.#isWell(exchange);
		if (exchange.end === "broken" && !isCutByOrigin) {
			this.violate("no end", step, exchange, `the connection broke: ${exchange.why}`);
		}
		return exchange.status === undefined;
	}

	read(step, exchange) {
		if (this.#lost(step, exchange)) return;
		this.#judgeEnd(step, exchange);
		if (exchange.status !== 200) return;
		let told;
		try {
			told = cellsOf(step, exchange);
		} catch (error) {
			this.violate("another form", step, exchange, error.message);
			return;
		}
		for (const cell of told.cells) this.#judgeCell(step, exchange, cell, told.latencyMs);
		// Only now, so that an answer is not compared with itself.
		for (const cell of told.cells) this.#remember(step, exchange, cell);
		if (told.isWhole) this.#judgeWhole(step, exchange, told.cells);
	}

	#isWell({ sentAt, endAt }) {
		return this.#origin.wasWell(sentAt - RECOVERY_MS, endAt);
	}

	#deadline({ protocol, deadline = Number.POSITIVE_INFINITY, priority }) {
		// Feast's form has no place for one.
		if (protocol === "feast") return this.#traits.config.deadlines.default_ms;
		const own = priority === "critical" ? REAL_TIME_MS : this.#traits.config.deadlines.default_ms;
		return Math.min(deadline, own);
	}

	#judgeEnd(step, exchange) {
		const { sentAt, endAt, status } = exchange;
		const took = endAt - sentAt;
		const deadline = this.#deadline(step);
		if (exchange.end === "done" && !step.pauseMs && took > deadline + LATE_MS + this.#lag(sentAt, endAt)) {
			this.violate("late", step, exchange, `it took ${ms(took)} for a deadline of ${deadline} ms`);
		}
		if (status === undefined || status === 200) return;
		if (step.isFailing) {
			if (status === 500 && textOf(exchange).includes("problem:internal")) {
				this.violate("5xx in health", step, exchange, textOf(exchange));
			}
			return;
		}
		// Late, refused for its priority, or with an origin that is ill: that is told by a status.
		const isExcused =
			(status === 504 && took > Math.min(deadline * 0.8, STALL_MS)) ||
			(status === 429 && step.priority === "low") ||
			!this.#isWell(exchange);
		if (!isExcused || (status === 500 && textOf(exchange).includes("problem:internal"))) {
			this.violate("5xx in health", step, exchange, `it got ${status} after ${ms(took)}: ${textOf(exchange)}`);
		}
	}

	#judgeCell(step, exchange, cell, latencyMs) {
		this.counts.values += 1;
		const { sentAt } = exchange;
		const [view] = cell.reference.split(":");
		const entity = this.#entity(view, step.columns, cell.row);
		const wrong = (kind, why) => this.violate(kind, step, exchange, `${cell.reference} of ${entity}: ${why}`);
		if (cell.value === null) return;
		if (cell.status !== undefined && cell.status !== "PRESENT")
			return wrong("another form", `${cell.status} with a value`);
		const value = readValue(cell.value);
		if (value === undefined) return wrong("another's", `it is ${JSON.stringify(cell.value)}`);
		if (`${value.view}:${value.feature}` !== cell.reference || value.entity !== entity) {
			return wrong("another's", `it is ${cell.value}`);
		}
		this.counts.present += 1;
		const load = this.loads.get(value.read);
		const read = load === undefined ? this.#origin.reads[Number(value.read)] : undefined;
		if (load === undefined && read === undefined) return wrong("another's", `nobody has given ${cell.value}`);
		this.#judgeWrites(step, exchange, cell, value, entity, load, wrong);
		const readAt = read?.readAt ?? load.endAt;
		if (read !== undefined && read.askedAt >= sentAt) {
			if (step.isCopy && this.#hasCopy(step, cell, sentAt)) wrong("fetched without need", "memory had a fresh copy");
			return;
		}
		// A load may end after the read that shows it has begun.
		const ageWhenSent = sentAt - readAt;
		const age = cell.at - readAt;
		if (step.level === "strong")
			return wrong("not strong", `${cell.value} was read ${ms(ageWhenSent)} before the request was sent`);
		const isSkewed = this.#traits.clock === "skew";
		const unseen = this.#traits.isWorker && this.#traits.clock === "steps" ? UNSEEN_MS : 0;
		const skew = isSkewed ? (this.#traits.invalidationLog === undefined ? SKEW_MS : HEARD_MS) : unseen;
		// The product cannot have begun before the request was sent, so its answer is no older than this. Where its clock may have
		// been set meanwhile, or nobody tells how long it took, the answer was made a little before it came.
		const isTold = latencyMs >= 0 && this.#traits.clock !== "steps";
		const onItsWay = step.pauseMs ? Number.POSITIVE_INFINITY : ON_ITS_WAY_MS + this.#lag(sentAt, cell.at);
		const ageWhenMade = isTold ? ageWhenSent + latencyMs - TICK_MS : Math.max(ageWhenSent, age - onItsWay);
		const isOver = (limit) => ageWhenMade > limit + skew + TICK_MS;
		if (step.level === "bounded") {
			const bound = step.bound * 1_000;
			if (isOver(bound)) {
				wrong(
					"older than its bound",
					`${cell.value} was ${ms(ageWhenSent)} old when it was asked for and ${ms(age)} when it came, bound ${bound} ms`,
				);
			}
		} else {
			const { ttl, revalidate, grace } = this.#traits.freshness;
			const limit = (ttl + Math.max(revalidate, grace)) * 1_000;
			if (isOver(limit)) wrong("past its stale-if-error", `${cell.value} was ${ms(age)} old, ${limit} ms are allowed`);
		}
		if (cell.ageMs !== undefined && !isSkewed && cell.ageMs < ageWhenSent - unseen - TICK_MS) {
			wrong(
				"age told too young",
				`${cell.value} is told to be ${cell.ageMs} ms old, and was ${ms(ageWhenSent)} old when it was asked for`,
			);
		}
		if (read !== undefined) this.#judgeOrder(step, exchange, cell, value, read, wrong);
	}

	/** Whether the other isolates are told of what was acknowledged so. */
	#isEverywhere({ headers }) {
		return this.#traits.invalidationLog !== undefined && !/unreachable/.test(headers["cache-status"] ?? "");
	}

	/** Whether a read that was sent then through this instance is to see a write or a word of an operator's. */
	#isVisible({ instance, isEverywhere, ackAt }, reader, sentAt) {
		if (instance === reader) return ackAt < sentAt;
		return isEverywhere && ackAt + this.#traits.invalidationLog.visibleWithinMs + TICK_MS < sentAt;
	}

	/** Nothing from before a write, or a word of an operator's, that was acknowledged through this instance before the read was sent. */
	#judgeWrites({ instance }, { sentAt }, cell, value, entity, load, wrong) {
		const source = VIEWS[value.view].made_of ?? value.view;
		const writes = this.#written.get(`${source}|${entity}`) ?? [];
		const missed = writes.findLast(
			(write) =>
				this.#isVisible(write, instance, sentAt) &&
				value.version < write.version &&
				(load === undefined || load.endAt < write.at),
		);
		if (missed !== undefined) {
			wrong(
				"before a write",
				`${cell.value}, though write ${missed.number} of version ${missed.version} was acknowledged ${ms(sentAt - missed.ackAt)} before`,
			);
		}
		const readAt = load?.endAt ?? this.#origin.reads[Number(value.read)].readAt;
		const word = this.#invalidated.find(
			(word) =>
				this.#isVisible(word, instance, sentAt) &&
				readAt < word.sentAt &&
				(word.view === undefined ||
					((word.view === value.view || word.view === source) && (word.entities?.has(entity) ?? true))),
		);
		if (word !== undefined)
			wrong("before an invalidation", `${cell.value} was read ${ms(word.sentAt - readAt)} before it`);
	}

	/**
	 * What the product keeps a value by: the keys of its view; or all columns, where they are more than the views of the request need or
	 * nobody has said what these are keyed by.
	 */
	#rowKey({ instance, columns, isFull, service, references }, { row, reference }) {
		const form = service ?? (isFull ? "full" : "short");
		const keysOf = (reference) => VIEWS[reference.split(":")[0]].keys;
		const needed = new Set(references.flatMap(keysOf));
		const isAttributed = this.#traits.keys === "config" && Object.keys(columns).every((name) => needed.has(name));
		const entries = Object.entries(columns).filter(([name]) => !isAttributed || keysOf(reference).includes(name));
		const spelled = entries.map(([name, spellings]) => `${name}=${spellings[row]}`);
		const views = isAttributed ? [] : new Set(references.map((reference) => reference.split(":")[0]));
		return `${instance}|${form}|${[...views].join("+")}|${spelled.join("|")}|${reference}`;
	}

	/** Whether a read has brought the value, and nothing since can have made it invisible or old. */
	#hasCopy(step, cell, sentAt) {
		const { clock, keys, isLarge, freshness, invalidationLog } = this.#traits;
		const isCertain =
			clock === "steady" && keys === "config" && isLarge && freshness.ttl >= 60 && !invalidationLog?.isReplaced;
		const [view] = cell.reference.split(":");
		const since = this.#shown.get(this.#rowKey(step, cell))?.[0].sentAt;
		const isInvalidated = this.#invalidated.some(
			(word) =>
				(word.instance === step.instance || word.isEverywhere) &&
				word.ackAt > since &&
				word.entities === undefined &&
				(word.view ?? view) === view,
		);
		// A write may touch more rows than it names, where their keys cannot be told apart.
		const isWritten = (this.#writing.get(view) ?? []).some(({ from, to }) => to > since && from < sentAt);
		return isCertain && since !== undefined && !isInvalidated && !isWritten;
	}

	/** No older version than an earlier read has shown, unless the two calls to the origin were under way at one time in the other order. */
	#judgeOrder(step, { sentAt }, cell, value, read, wrong) {
		if (!this.#traits.isLarge || this.#traits.clock === "skew") return;
		const shown = this.#shown.get(this.#rowKey(step, cell)) ?? [];
		const newer = shown.findLast(
			({ endAt, version, askedAt }) => endAt < sentAt && version > value.version && askedAt > read.askedAt,
		);
		if (newer !== undefined) {
			wrong(
				"back in time",
				`${cell.value} after a ${LEVELS[newer.level]} read that ended ${ms(sentAt - newer.endAt)} before had shown version ${newer.version}`,
			);
		}
	}

	#remember(step, { sentAt, endAt }, cell) {
		const value = readValue(cell.value);
		const read = value && this.#origin.reads[Number(value.read)];
		if (read === undefined) return;
		const key = this.#rowKey(step, cell);
		const shown = this.#shown.get(key) ?? [];
		shown.push({ sentAt, endAt, version: value.version, askedAt: read.askedAt, level: LEVELS.indexOf(step.level) });
		if (shown.length > 100) shown.splice(0, 50);
		this.#shown.set(key, shown);
	}

	/** What the origin would have answered well is there, and what it knows is not told to be unknown. */
	#judgeWhole(step, exchange, cells) {
		if (step.mustFail) {
			this.violate(
				"nothing, as a success",
				step,
				exchange,
				`status 200 with ${JSON.stringify(cells.map(({ status }) => status))}`,
			);
			return;
		}
		const { sentAt, endAt } = exchange;
		const deadline = this.#deadline(step);
		const hasTime = endAt - sentAt < Math.min(deadline * 0.8, STALL_MS);
		if (step.isFailing || !hasTime || step.pauseMs || !this.#isWell(exchange)) return;
		for (const cell of cells) {
			const [view] = cell.reference.split(":");
			const entity = this.#entity(view, step.columns, cell.row);
			if (cell.value !== null || entity.split("|").some(isUnknown)) continue;
			const isNull = NULLS.has(cell.reference);
			if (isNull && (cell.status === undefined || cell.status === "PRESENT" || cell.status === "NULL_VALUE")) continue;
			const kind = isNull && cell.status === "NOT_FOUND" ? "status made up" : "not served in health";
			this.violate(
				kind,
				step,
				exchange,
				`${cell.reference} of ${entity} is ${cell.status ?? "null"} after ${ms(endAt - sentAt)}`,
			);
		}
	}
}

const ms = (value) => `${Math.round(value)} ms`;
const textOf = ({ lines }) =>
	lines
		.map(({ text }) => text)
		.join("\n")
		.slice(0, 300);
