// Runs worlds: an origin, the product, its clients, and what happens to all of them; and counts what was done and found.

import { appendFileSync } from "node:fs";
import { Client } from "./client.mjs";
import { IDS } from "./dataset.mjs";
import { Judge } from "./judge.mjs";
import { Origin } from "./origin.mjs";
import { KIND_NAMES, Planner, SKEW_MS, STEPS_MS, traitsOf, WORKER_KIND_NAMES } from "./plan.mjs";
import { startServe, startWorkers } from "./product.mjs";
import { Chance } from "./random.mjs";
import { requestOf } from "./requests.mjs";

/** Worlds at one time: most of what they do is to wait. */
const WORLDS_AT_A_TIME = 3;
const CLIENTS = 6;
/** How long a world lasts in a long run, in milliseconds: long enough for what is stored to grow old. */
const LONG_WORLD_MS = 16_000;
/** What is left of a run is no world's where it is shorter; and how long the product takes to start, about. */
const LEAST_WORLD_MS = 1_000;
const START_MS = 500;
/** How soon the product sees at the latest that its clock was set ahead, in milliseconds. */
const SEEN_MS = 1_100;
/** How many lines of the log a violation comes with. */
const LOG_LINES = 40;
/** The same of violations that are printed whole. */
const SHOWN_VIOLATIONS = 5;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How late this process is, so that nobody else is blamed for it. */
class Lag {
	#late = [];
	#timer;

	start() {
		let last = performance.now();
		this.#timer = setInterval(() => {
			const at = performance.now();
			if (at - last > 60) this.#late.push({ at, by: at - last - 10 });
			last = at;
		}, 10);
		return this;
	}

	/** The sum of what it was late by in between. */
	between(from, to) {
		return this.#late.reduce((sum, { at, by }) => (at >= from && at - by <= to ? sum + by : sum), 0);
	}

	stop() {
		clearInterval(this.#timer);
	}
}

class Counts {
	#table = {};

	add(group, name, count = 1) {
		this.#table[group] ??= {};
		this.#table[group][name] = (this.#table[group][name] ?? 0) + count;
	}

	get table() {
		return this.#table;
	}
}

class World {
	#seed;
	#traits;
	#counts;
	#origin;
	#judge;
	#client = new Client();
	#instances = [];
	#isOver = false;
	#log = [];
	#writes = 0;

	#isPatient;

	constructor(seed, traits, counts, lag, isPatient) {
		this.#isPatient = isPatient;
		this.#seed = seed;
		this.#traits = traits;
		this.#counts = counts;
		this.#origin = new Origin(new Chance(`${seed}/${traits.name}/origin`), traits.origin);
		this.#judge = new Judge(this.#origin, traits, (from, to) => lag.between(from, to));
	}

	/** @returns {Promise<import("./judge.mjs").Judge["violations"]>} */
	async run(product, millis) {
		const traits = this.#traits;
		await this.#origin.start();
		try {
			await this.#startProduct(product);
			this.#origin.raise([
				...IDS.hot.flatMap((id) => ["profile", "orders"].map((view) => [view, id])),
				...IDS.hotTexts.map((text) => ["items", text]),
			]);
			const planners = Array.from({ length: CLIENTS }, (_, client) => new Planner(this.#seed, traits, client));
			const weather = [this.#clockWeather(), this.#originWeather(), this.#registryWeather(), this.#logWeather()];
			await this.#play(planners[0].first());
			const clients = planners.map((planner) => this.#live(planner));
			await Promise.race([wait(millis), this.#broken()]);
			this.#isOver = true;
			await Promise.all([...clients, ...weather]);
		} finally {
			this.#isOver = true;
			await Promise.all(this.#instances.map((instance) => instance.stop()));
			this.#client.close();
			await this.#origin.stop();
		}
		this.#count();
		if (product.log !== undefined) appendFileSync(product.log, `${this.#log.map(lineOf).join("\n")}\n`);
		return this.#judge.violations.map((violation) => ({ ...violation, world: traits, log: this.#logOf(violation) }));
	}

	async #startProduct({ packageDir, workerDir, redisUrl }) {
		const { keys, instances: count, clock, hasStore } = this.#traits;
		const originUrl = this.#origin.url;
		const registry = keys === "registry" && { registry: { url: originUrl, ttl_seconds: 1 } };
		const config = { ...this.#traits.config, ...registry };
		const clockMs = (number) => (clock === "skew" && number > 0 ? SKEW_MS : 0);
		if (workerDir !== undefined) {
			this.#instances.push(...(await startWorkers({ folder: workerDir, config, originUrl, count, clockMs })));
			return;
		}
		for (let number = 0; number < count; number++) {
			const store = hasStore ? redisUrl : undefined;
			const options = { packageDir, config, originUrl, redisUrl: store, clockMs: clockMs(number) };
			this.#instances.push(await startServe(options));
		}
	}

	/** Ends where the product has ended, or once there is a violation, unless it is to go on then. */
	async #broken() {
		while (!this.#isOver) {
			const number = this.#instances.findIndex(({ ended }) => ended !== undefined);
			if (number >= 0) {
				const why = this.#instances[number].ended;
				this.#judge.violate("the product ended", { kind: "process", instance: number }, {}, why);
				return;
			}
			if (!this.#isPatient && this.#judge.violations.length > 0) return;
			await wait(20);
		}
	}

	async #live(planner) {
		while (!this.#isOver) await this.#play(planner.next());
	}

	async #play({ kind, stages, restMs }) {
		this.#counts.add("scripts", kind);
		for (const stage of stages) {
			if (this.#isOver) return;
			await Promise.all(
				stage.map(async ({ after, ...step }) => {
					if (after > 0) await wait(after);
					await this.#perform(step);
				}),
			);
		}
		await wait(restMs);
	}

	async #perform(step) {
		if (step.kind === "raise") {
			const version = this.#origin.write(step.view, step.entity);
			this.#note(step, { sentAt: version.at, endAt: version.at, lines: [], end: "done" });
			return;
		}
		this.#prepare(step);
		const exchange = await this.#client.send(this.#instances[step.instance].url, requestOf(step));
		this.#note(step, exchange);
		this.#judge[step.kind](step, exchange);
		if (step.kind === "read") {
			this.#counts.add("reads", `${step.protocol}, ${step.level}`);
			const end = exchange.end === "done" ? `status ${exchange.status}` : exchange.end;
			this.#counts.add("ends of reads", end);
			if (step.pauseMs) this.#counts.add("other", "streams read slowly");
			if (step.deadline !== undefined) this.#counts.add("other", "reads with a deadline of their own");
		} else if (step.kind === "write") {
			for (const kind of step.kinds) this.#counts.add("writes by spelling", kind);
		} else
			this.#counts.add("other", { invalidate: "invalidations", warm: "warm-ups", explain: "explanations" }[step.kind]);
	}

	#prepare(step) {
		if (step.kind === "write") {
			this.#writes += 1;
			step.number = this.#writes;
			this.#origin.writes.set(String(step.number), step);
			this.#judge.begin(step);
		}
		if (step.kind === "warm" && step.how === "load") {
			step.load = `w${this.#judge.loads.size}`;
			this.#judge.loads.set(step.load, { sentAt: performance.now(), endAt: Number.POSITIVE_INFINITY });
			step.values = step.references.map((reference) =>
				this.#judge.entitiesOf(reference, step.columns).map((entity) => {
					const version = this.#origin.versionAt(reference.split(":")[0], entity, performance.now());
					return `${reference}=${entity}@${version}#${step.load}`;
				}),
			);
		}
	}

	async #clockWeather() {
		if (this.#traits.clock !== "steps") return;
		const chance = new Chance(`${this.#seed}/${this.#traits.name}/clock`);
		// A Worker has one clock, so each step ahead of what it showed last passes for time. Node's other clock tells such steps from time.
		let shown = 0;
		while (!this.#isOver) {
			await wait(chance.between(500, 1_500));
			const offset = chance.pick(STEPS_MS);
			if (offset > shown) {
				// As after a sleep of the machine, the deadlines of what is under way are over then, and so is the origin's time.
				this.#origin.faults.unshift({ from: performance.now(), to: performance.now() + SEEN_MS });
			}
			shown = this.#traits.isWorker ? offset : Math.max(shown, offset);
			for (const instance of this.#instances) if (instance.ended === undefined) await instance.setClock(offset);
			this.#counts.add("other", "steps of the clock");
			this.#line(`the clock is set to ${offset} ms`);
		}
	}

	async #originWeather() {
		if (!this.#traits.hasFaults) return;
		const chance = new Chance(`${this.#seed}/${this.#traits.name}/faults`);
		while (!this.#isOver) {
			await wait(chance.between(1_000, 6_000));
			if (this.#isOver) return;
			const fault = chance.pick(["500", "503", "hang", "malformed", "close", "cut"]);
			this.#origin.setFault(fault);
			this.#counts.add("faults of the origin", fault);
			this.#line(`the origin begins to fail: ${fault}`);
			await wait(chance.between(200, 1_500));
			this.#origin.setFault(undefined);
			this.#line("the origin is well again");
		}
	}

	async #registryWeather() {
		if (this.#traits.keys !== "registry") return;
		const chance = new Chance(`${this.#seed}/${this.#traits.name}/registry`);
		// What is believed of it may last long, so it counts most how it is at first.
		if (chance.happens(60)) this.#origin.registryFault = chance.pick(["hang", "500"]);
		while (!this.#isOver) {
			await wait(chance.between(1_000, 2_500));
			this.#origin.registryFault = chance.pick(["hang", "500"]);
			this.#counts.add("faults of the origin", `registry ${this.#origin.registryFault}`);
			this.#line(`the registry begins to fail: ${this.#origin.registryFault}`);
			await wait(chance.between(500, 2_500));
			this.#origin.registryFault = undefined;
			this.#line("the registry is well again");
		}
	}

	async #logWeather() {
		const { invalidationLog } = this.#traits;
		if (invalidationLog === undefined) return;
		const chance = new Chance(`${this.#seed}/${this.#traits.name}/invalidationLog`);
		let generation = 0;
		for (;;) {
			const jitterMs = chance.pick([0, 3, 20]);
			for (const instance of this.#instances) await instance.setInvalidationLog(jitterMs, generation);
			this.#line(`calls to invalidation log ${generation} wait for up to ${jitterMs} ms`);
			await wait(chance.between(500, 2_000));
			if (this.#isOver) return;
			if (invalidationLog.isReplaced) {
				generation += 1;
				this.#counts.add("other", "logs replaced");
			}
		}
	}

	#line(text) {
		this.#log.push({ at: performance.now(), text });
	}

	#note(step, exchange) {
		this.#log.push({ at: exchange.endAt, step, exchange });
	}

	/** The last lines before a violation that have to do with its instance and entities. */
	#logOf({ step, exchange }) {
		const keys = new Set(keysOf(step));
		const isNear = (line) =>
			line.text !== undefined ||
			line.step.kind === "invalidate" ||
			line.step === step ||
			keysOf(line.step).some((key) => keys.has(key));
		return this.#log
			.filter((line) => line.at <= (exchange.endAt ?? Number.POSITIVE_INFINITY) && isNear(line))
			.slice(-LOG_LINES)
			.map(lineOf);
	}

	#count() {
		const { values, present } = this.#judge.counts;
		this.#counts.add("judged", "values", values);
		this.#counts.add("judged", "of them present", present);
		this.#counts.add("judged", "worlds");
		for (const [name, count] of Object.entries(this.#origin.counts)) this.#counts.add("of the origin", name, count);
	}
}

const keysOf = ({ columns, df, entity }) =>
	[...Object.values(columns ?? df ?? {}).flat(), ...(entity === undefined ? [] : [entity])].map((key) =>
		key.replace(/[^\p{L}\p{Nd}]/gu, ""),
	);

const round = (ms) => ms?.toFixed(1).padStart(9);

function lineOf({ at, text, step, exchange }) {
	if (text !== undefined) return `${round(at)}            ${text}`;
	const { kind, instance, columns, df, ...rest } = step;
	const what =
		kind === "read" ? `${step.protocol} ${step.level}${step.level === "bounded" ? ` ${step.bound} s` : ""}` : kind;
	const keys = JSON.stringify(columns ?? df ?? step.entity);
	const more = step.references ?? [step.view, step.path ?? step.what, step.number].filter(Boolean);
	const came = exchange.lines
		.map(({ text }) => text)
		.join(" ")
		.slice(0, 400);
	void rest;
	return `${round(exchange.sentAt)}-${round(exchange.endAt)} #${instance ?? "-"} ${what} ${keys} ${more}${step.deadline ? ` within ${step.deadline}` : ""} -> ${exchange.end === "done" ? (exchange.status ?? "") : exchange.end} ${came}`;
}

/**
 * Checks the product for some seconds.
 *
 * @param {{ packageDir?: string, workerDir?: string, redisUrl?: string, log?: string, seconds: number, seed: string, kinds?: string[],
 *   avoided?: string[], isPatient?: boolean }} options a folder with the package or with the Worker; `isPatient` goes on after a violation
 * @returns {Promise<{ seed: string, seconds: number, counts: Record<string, Record<string, number>>, violations: object[] }>}
 */
export async function check({
	packageDir,
	workerDir,
	redisUrl,
	log,
	seconds,
	seed,
	kinds,
	avoided = [],
	isPatient = false,
}) {
	const isWorker = workerDir !== undefined;
	const began = performance.now();
	const endsAt = began + seconds * 1_000;
	const counts = new Counts();
	const lag = new Lag().start();
	const violations = [];
	const all = kinds ?? (isWorker ? WORKER_KIND_NAMES : KIND_NAMES);
	const traitsOfNext = (number) => traitsOf(seed, number, all[number % all.length], { avoided, isWorker });
	const rounds = Math.max(1, Math.ceil(all.length / WORLDS_AT_A_TIME));
	let next = 0;
	const live = async () => {
		while (performance.now() < endsAt - LEAST_WORLD_MS && (isPatient || violations.length === 0)) {
			const traits = traitsOfNext(next++);
			const left = endsAt - performance.now();
			const millis = Math.min(LONG_WORLD_MS, Math.max((seconds * 1_000) / rounds - START_MS, 2 * LEAST_WORLD_MS), left);
			const world = new World(seed, traits, counts, lag, isPatient);
			for (const violation of await world.run({ packageDir, workerDir, redisUrl, log }, millis)) {
				violations.push({ ...violation, after_s: Number(((violation.at - began) / 1_000).toFixed(1)) });
			}
		}
	};
	await Promise.all(Array.from({ length: Math.min(WORLDS_AT_A_TIME, all.length) }, live));
	lag.stop();
	return { seed, seconds: (performance.now() - began) / 1_000, counts: counts.table, violations };
}

/** What was done and found, as docs/internals/reliability.md has it. */
export function rowsOf({ counts, violations }) {
	const row = (what, count) => ({ what, count: count.toLocaleString("en") });
	const sum = (group) => Object.values(counts[group] ?? {}).reduce((total, count) => total + count, 0);
	const each = (group, prefix) =>
		Object.entries(counts[group] ?? {}).map(([name, count]) => row(`${prefix}${name}`, count));
	return [
		...each("judged", "judged: "),
		...each("reads", "reads: "),
		...each("ends of reads", "responses: "),
		row("writes by key spelling", sum("writes by spelling")),
		...each("other", ""),
		row("origin faults", sum("faults of the origin")),
		row("violations", violations.length),
	];
}

/** What was done and found, as a person reads it. */
export function reportOf({ seed, seconds, counts, violations }) {
	const lines = [`seed ${seed}, ${seconds.toFixed(0)} s`];
	for (const [group, table] of Object.entries(counts)) {
		lines.push(`${group}:`);
		for (const [name, count] of Object.entries(table).sort()) lines.push(`  ${String(count).padStart(8)}  ${name}`);
	}
	const kinds = {};
	for (const { kind } of violations) kinds[kind] = (kinds[kind] ?? 0) + 1;
	lines.push(`violations: ${violations.length}`);
	for (const [kind, count] of Object.entries(kinds)) lines.push(`  ${String(count).padStart(8)}  ${kind}`);
	for (const { kind, why, world, log } of violations.slice(0, SHOWN_VIOLATIONS)) {
		lines.push(
			"",
			`${kind}, in world ${world.name}: ${why}`,
			`  ${JSON.stringify({ ...world, config: undefined })}`,
			...log.map((line) => `  ${line}`),
		);
	}
	return lines.join("\n");
}
