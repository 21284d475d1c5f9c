// What is done to a world, from a seed: how it is set up, and the scripts that each of its clients goes through one after the other.
//
// A script is stages, one after the other; a stage is steps, each begun so many milliseconds after the stage. Most scripts are one read.
// The others lead to where promises are hard to keep: a copy that grows too old while another row is fetched, a slow call that lands
// after a faster one, a write in another spelling than the read's.

import { COLUMNS, IDS, PUSH_SOURCES, SERVICES, VIEWS } from "./dataset.mjs";
import { Chance } from "./random.mjs";

/**
 * @typedef {object} Traits of a world
 * @property {string} name
 * @property {boolean} isWorker
 * @property {number} instances
 * @property {boolean} hasStore
 * @property {"config" | "none" | "registry"} keys who tells which columns key a view
 * @property {"steady" | "steps" | "skew"} clock
 * @property {boolean} hasFaults
 * @property {{ visibleWithinMs: number, isReplaced: boolean } | undefined} invalidationLog
 * @property {boolean} isLarge whether memory has room for all rows
 * @property {{ hasStatuses: boolean, times: string, slowPercent: number }} origin
 * @property {{ ttl: number, revalidate: number, grace: number }} freshness in seconds
 * @property {object} config of the product
 */

/** What each kind of world is about. */
const KINDS = {
	plain: {},
	store: { hasStore: true },
	clock: { clock: "steps" },
	twins: { hasStore: true, instances: 2 },
	faults: { hasFaults: true },
	registry: { keys: "registry" },
	skew: { hasStore: true, instances: 2, clock: "skew" },
	unkeyed: { keys: "none", hasStore: true },
	small: { isLarge: false, hasStore: true },
};
export const KIND_NAMES = Object.keys(KINDS);

/** The same of Workers, which have a store and a storage tier of their own. */
const WORKER_KINDS = {
	plain: {},
	store: { hasStore: true },
	invalidationLog: { hasStore: true, instances: 2, invalidationLog: {} },
	clock: { clock: "steps", hasStore: true },
	"invalidation log replaced": { hasStore: true, instances: 2, invalidationLog: { isReplaced: true } },
	twins: { hasStore: true, instances: 2 },
	"invalidation log skew": { hasStore: true, instances: 2, clock: "skew", invalidationLog: {} },
	skew: { hasStore: true, instances: 2, clock: "skew" },
	faults: { hasFaults: true },
};
export const WORKER_KIND_NAMES = Object.keys(WORKER_KINDS);

/** How far two clocks may lie apart, in milliseconds. */
export const SKEW_MS = 5_000;
/** By how much a clock steps. */
export const STEPS_MS = [30_000, -30_000, 0, 3_000, -3_000];

export const BREAKER_OPEN_MS = 800;
const DEFAULT_DEADLINE_MS = 5_000;

/** What can be left out, to look for one fault behind another: scripts, and oddities of keys and of the origin's answers. */
export const AVOIDABLE = [
	"read",
	"write and read",
	"grown old",
	"race",
	"column by column",
	"odd keys",
	"failing callers",
	"other features only",
	"explain",
	"warm",
	"invalidate",
	"in a hurry",
	"coerced keys",
	"other spellings",
	"odd times",
	"no statuses",
];

/** @returns {Traits} */
export function traitsOf(seed, number, kind, { avoided = [], isWorker = false } = {}) {
	const chance = new Chance(`${seed}/${number}/world`);
	const traits = {
		name: `${number}-${kind}`,
		kind,
		instances: 1,
		hasStore: false,
		keys: "config",
		clock: "steady",
		hasFaults: false,
		isLarge: true,
		...(isWorker ? WORKER_KINDS : KINDS)[kind],
		avoided,
		isWorker,
		origin: {
			hasStatuses: chance.happens(60) || avoided.includes("no statuses"),
			times: chance.weighted({ zone: 3, none: 1, ...(!avoided.includes("odd times") && { zoneless: 1, odd: 1 }) }),
			slowPercent: chance.pick([2, 10]),
		},
		freshness: {
			ttl: chance.pick([1, 2, 60, 60]),
			revalidate: chance.pick([0, 1, 60]),
			grace: chance.pick([0, 3, 600]),
		},
	};
	const { ttl, revalidate, grace } = traits.freshness;
	if (traits.invalidationLog)
		traits.invalidationLog = {
			visibleWithinMs: chance.pick([0, 0, 300]),
			isReplaced: false,
			...traits.invalidationLog,
		};
	const views = Object.entries(VIEWS).map(([name, { keys, made_of: source }]) => [
		name,
		{ join_keys: keys, sources: source === undefined ? [] : [source] },
	]);
	traits.config = {
		project: `checker-${seed}-${number}`,
		freshness: { ttl_seconds: ttl, stale_while_revalidate_seconds: revalidate, stale_if_error_seconds: grace },
		breaker: { open_ms: BREAKER_OPEN_MS },
		deadlines: { default_ms: DEFAULT_DEADLINE_MS },
		...(chance.happens(30) && { routing: { chunk_rows: 3 } }),
		...(isWorker && { l2: { enabled: traits.hasStore } }),
		...(traits.invalidationLog && {
			l3: { enabled: true, shards: 2 },
			writes: { visible_within_ms: traits.invalidationLog.visibleWithinMs },
		}),
		l1: { policy: chance.pick(["lru", "s3-fifo"]), ...(!traits.isLarge && { max_entries: 12 }) },
		...(chance.happens(10) && { singleflight: { enabled: false } }),
		...(traits.keys === "config" && {
			views: Object.fromEntries(views),
			push_sources: Object.fromEntries(Object.entries(PUSH_SOURCES).map(([source, view]) => [source, [view]])),
			feature_services: Object.fromEntries(Object.keys(SERVICES).map((name) => [name, { join_keys: ["user_id"] }])),
		}),
	};
	return traits;
}

const REFERENCES = Object.fromEntries(
	Object.entries(VIEWS).map(([view, { features }]) => [view, features.map((feature) => `${view}:${feature}`)]),
);
const BOUNDS = [0, 0.05, 0.1, 0.3, 0.5, 1, 2];
const USER_VIEWS = ["profile", "orders", "score"];

export class Planner {
	#chance;
	#traits;
	#client;
	#unused = 0;

	/**
	 * @param {string} seed
	 * @param {Traits} traits
	 * @param {number} client
	 */
	constructor(seed, traits, client) {
		this.#chance = new Chance(`${seed}/${traits.name}/${client}`);
		this.#traits = traits;
		this.#client = client;
	}

	/**
	 * What is done before all else, by one client. At times somebody asks what would be fetched ahead before anybody has fetched anything;
	 * and it is the first request that waits for a registry.
	 */
	first() {
		const kind = this.#traits.keys === "registry" ? "in a hurry" : "explain";
		const isDone = this.#chance.happens(60) && !this.#traits.avoided.includes(kind);
		return { kind, stages: isDone ? SCRIPTS[kind].call(this, this.#chance) : [], restMs: 0 };
	}

	/** The next script. */
	next() {
		const weights = {
			read: 40,
			"write and read": 12,
			"grown old": 6,
			race: 6,
			"column by column": 3,
			"odd keys": 4,
			"failing callers": this.#traits.hasFaults ? 0 : 1.5,
			"other features only": 2,
			explain: 4,
			warm: 3,
			invalidate: 2,
			"in a hurry": 3,
		};
		const left = Object.entries(weights).filter(([name]) => !this.#traits.avoided.includes(name));
		const kind = this.#chance.weighted(Object.fromEntries(left));
		const stages = SCRIPTS[kind].call(this, this.#chance);
		return { kind, stages, restMs: this.#chance.below(30) };
	}

	get traits() {
		return this.#traits;
	}

	instance() {
		return this.#chance.below(this.#traits.instances);
	}

	/** A number that no other client has had. */
	unused() {
		this.#unused += 1;
		return this.#client * 50_000 + this.#unused;
	}

	cold() {
		return String(IDS.cold + this.unused());
	}

	/** An id that makes its call slow, in steps of 20 ms. */
	slow(before, after) {
		const { slowUnitMs: unit } = IDS;
		return String(IDS.slow + this.unused() * 10_000 + Math.floor(before / unit) * 100 + Math.floor(after / unit));
	}

	/** Spells a key, plainly more often than not unless `isWild`; by a kind that is `only` meant, if it can be spelled so. */
	spell(column, key, { isWild = false, only = () => true } = {}) {
		const chance = this.#chance;
		const type = COLUMNS[column];
		const possible = type.kinds.filter((kind) => only(kind) && type.spell(key, kind) !== undefined);
		const meant = possible.filter((kind) => !this.#isLeftOut(kind));
		const kinds = meant.length > 0 ? meant : possible;
		if (kinds.length === 0) throw new Error(`\`${key}\` has no such spelling`);
		const kind = isWild || chance.happens(25) ? chance.pick(kinds) : kinds[0];
		return { kind, spelling: type.spell(key, kind) };
	}

	#isLeftOut(kind) {
		const { avoided } = this.#traits;
		return (
			(kind === "float cut" && avoided.includes("coerced keys")) ||
			(!PLAIN_KINDS.includes(kind) && avoided.includes("other spellings"))
		);
	}

	/**
	 * Columns of a request, one spelling for each row. The native protocol has no numbers beside texts in one column.
	 *
	 * @param {Record<string, string[]>} keys
	 */
	columns(keys, protocol, isWild = false) {
		const columns = {};
		for (const [column, ids] of Object.entries(keys)) {
			const isText = this.#chance.happens(column === "user_id" ? 25 : 75);
			const isFit = (id) => COLUMNS[column].kinds.some((kind) => !isOfText(kind) && COLUMNS[column].spell(id, kind));
			const areTexts = isText || !ids.every(isFit);
			const only = protocol === "feast" ? undefined : (kind) => isOfText(kind) === areTexts;
			columns[column] = ids.map((id) => this.spell(column, id, { isWild, only }).spelling);
		}
		return columns;
	}

	/** A read of these views and keys, in some protocol and at some level, unless told otherwise. */
	read(views, keys, more = {}) {
		const chance = this.#chance;
		const level = more.level ?? chance.weighted({ eventual: 5, bounded: 4, strong: 1.5 });
		const plain = level === "eventual" ? { native: 3, lines: 2, feast: 4 } : { native: 3, lines: 2 };
		const protocol = more.protocol ?? chance.weighted(plain);
		const references = more.references ?? shuffled(chance, chance.some(views.flatMap((view) => REFERENCES[view])));
		return {
			kind: "read",
			instance: more.instance ?? this.instance(),
			protocol,
			bound: more.bound ?? chance.pick(BOUNDS),
			columns: more.columns ?? this.columns(keys, protocol),
			references,
			isFull: protocol === "feast" && more.isFull === undefined ? chance.happens(20) : (more.isFull ?? false),
			hasDetails: chance.happens(85) || more.hasDetails === true,
			...(chance.happens(10) && { priority: chance.pick(["low", "normal", "critical"]) }),
			...(this.#client % 2 === 1 && { session: `session-${this.#client}` }),
			...more,
			level: protocol === "feast" ? "eventual" : level,
		};
	}

	/** A write of rows of a view, by either path, in any spelling. */
	write(view, keys, more = {}) {
		const chance = this.#chance;
		const df = {};
		const kinds = [];
		for (const [column, ids] of Object.entries(keys)) {
			df[column] = ids.map((id) => {
				const { kind, spelling } = this.spell(column, id, { isWild: true });
				kinds.push(`${COLUMNS[column].name} ${kind}`);
				return spelling;
			});
		}
		const delay = () => (chance.happens(80) ? chance.below(6) : chance.below(200));
		return {
			kind: "write",
			instance: this.instance(),
			view,
			df,
			kinds,
			path: chance.pick(["/push", "/write-to-online-store"]),
			delays: { before: delay(), after: delay() },
			...(chance.happens(6) && { fault: chance.pick(["500", "close"]) }),
			// An origin that hangs keeps a write for as long as it likes.
			...(this.#traits.hasFaults && { abortAfterMs: 3_000 }),
			...more,
		};
	}

	hotKeys(view, count) {
		const chance = this.#chance;
		return Object.fromEntries(
			VIEWS[view].keys.map((column) => {
				const hot = column === "user_id" ? IDS.hot : IDS.hotTexts;
				return [column, Array.from({ length: count }, () => chance.pick(hot))];
			}),
		);
	}
}

/** Spellings that every origin takes for the same key. */
const PLAIN_KINDS = ["number", "text", "text escaped"];

const isOfText = (kind) => kind.startsWith("text");

function shuffled(chance, items) {
	return items
		.map((item) => [chance.next(), item])
		.sort(([one], [other]) => one - other)
		.map(([, item]) => item);
}

const alone = (...steps) => steps.map((step) => ({ after: 0, ...step }));

/** Each gives stages of steps. @type {Record<string, (this: Planner, chance: Chance) => object[][]>} */
const SCRIPTS = {
	read(chance) {
		const kind = chance.weighted({ users: 6, items: 2, pairs: 2, all: 1, service: 1 });
		const more = {
			...(chance.happens(8) && { abortAfterMs: chance.below(60) }),
			...(chance.happens(15) && { deadline: chance.pick([50, 200, 1_000, 3_000]) }),
		};
		const count = chance.weighted({ 1: 4, 3: 3, 6: 2, 40: 0.3 });
		if (kind === "service") {
			const keys = this.hotKeys("profile", Number(count));
			const references = SERVICES.bundle;
			return [alone(this.read([], keys, { ...more, protocol: "feast", service: "bundle", references, isFull: false }))];
		}
		const views = {
			users: chance.some(USER_VIEWS),
			items: ["items"],
			pairs: ["pairs"],
			all: ["profile", "items", "pairs"],
		}[kind];
		const keys = this.hotKeys(kind === "all" || kind === "pairs" ? "pairs" : views[0], Number(count));
		if (keys.user_id && chance.happens(45)) {
			const added = chance.weighted({ cold: 5, slow: 1, unknown: 1 });
			const id = {
				cold: () => this.cold(),
				slow: () => this.slow(chance.below(400), chance.below(400)),
				unknown: () => String(IDS.unknown + chance.below(IDS.unknownSpan)),
			}[added]();
			keys.user_id.push(id);
			if (keys.sku) keys.sku.push(chance.pick(IDS.hotTexts));
		}
		const read = this.read(views, keys, more);
		if (read.protocol === "lines" && chance.happens(20)) read.pauseMs = chance.below(120);
		return [alone(read)];
	},

	"write and read"(chance) {
		const view = chance.weighted({ profile: 4, orders: 3, items: 3, pairs: 3 });
		const keys = this.hotKeys(view, chance.between(1, 3));
		if (chance.happens(50) && keys.user_id)
			keys.user_id = keys.user_id.map(() => chance.pick([this.cold(), ...IDS.hot]));
		const shown = view === "profile" && chance.happens(30) ? "score" : view;
		const protocol = chance.pick(["native", "lines", "feast"]);
		const columns = this.columns(keys, protocol, true);
		const references = chance.some(REFERENCES[shown]);
		const instance = this.instance();
		const isFull = false;
		const read = (more) =>
			this.read([shown], keys, { columns, references, protocol, isFull, hasDetails: true, ...more });
		const level = chance.pick(["eventual", "eventual", "bounded"]);
		return [
			alone(read({ instance: this.instance(), level: "eventual" })),
			[{ after: chance.pick([0, 0, 100, 1_100]), ...this.write(view, keys, { instance }) }],
			alone(read({ instance, level, bound: 2 })),
			[{ after: chance.pick([0, 50, 700]), ...read({ instance, level: "eventual" }) }],
		];
	},

	"grown old"(chance) {
		const view = chance.pick(USER_VIEWS);
		const [id] = chance.happens(50) ? [this.cold()] : [chance.pick(IDS.hot)];
		const references = [chance.pick(REFERENCES[view])];
		const instance = this.instance();
		const protocol = chance.pick(["native", "lines"]);
		const first = this.columns({ user_id: [id] }, protocol).user_id[0];
		const waited = chance.between(100, 1_000);
		const slow = this.slow(
			...chance.pick([
				[0, waited],
				[waited, 0],
				[waited / 2, waited / 2],
			]),
		);
		const second = first[0] === '"' ? `"${slow}"` : slow;
		const more = { references, instance, protocol, hasDetails: true };
		const bound = chance.pick([0.1, 0.3, 0.5]);
		return [
			alone(this.read([view], {}, { ...more, level: "bounded", bound: 0, columns: { user_id: [first] } })),
			[
				{
					after: chance.below(bound * 1_000),
					...this.read([view], {}, { ...more, level: "bounded", bound, columns: { user_id: [first, second] } }),
				},
			],
		];
	},

	race(chance) {
		const view = chance.pick(["profile", "orders", "score"]);
		const id = chance.happens(60) ? this.cold() : chance.pick(IDS.hot);
		const references = [chance.pick(REFERENCES[view].filter((reference) => reference !== "orders:note"))];
		const instance = this.instance();
		const waited = chance.between(150, 500);
		const more = { references, instance, protocol: "native", hasDetails: true };
		const slow = {
			level: chance.pick(["strong", "strong", "bounded"]),
			bound: 0,
			columns: { user_id: [id, this.slow(0, waited)] },
		};
		const fast = { level: chance.pick(["strong", "bounded"]), bound: 0, columns: { user_id: [id] } };
		const source = VIEWS[view].made_of ?? view;
		const change = chance.happens(60)
			? { kind: "raise", view: source, entity: id }
			: this.write(source, { user_id: [id] }, { instance, delays: { before: 0, after: 0 } });
		return [
			[
				{ after: 0, ...this.read([view], {}, { ...more, ...slow }) },
				{ after: 60, ...change },
				{ after: 110, ...this.read([view], {}, { ...more, ...fast }) },
			],
			alone(this.read([view], {}, { ...more, level: "eventual", columns: { user_id: [id] } })),
			[
				{
					after: chance.below(300),
					...this.read([view], {}, { ...more, level: "eventual", columns: { user_id: [id] } }),
				},
			],
		];
	},

	"column by column"(chance) {
		const view = chance.pick(["profile", "items"]);
		const [column] = VIEWS[view].keys;
		const id = column === "user_id" ? this.cold() : `cold-${this.unused()}`;
		const columns = { [column]: [this.spell(column, id).spelling] };
		const [one, ...others] = shuffled(chance, REFERENCES[view]);
		const more = { instance: this.instance(), protocol: "native", hasDetails: true, columns, bound: 300 };
		return [
			alone(this.read([view], {}, { ...more, level: "eventual", references: [one] })),
			[
				{
					after: 5,
					...this.read(
						[view],
						{},
						{ ...more, level: chance.pick(["strong", "bounded"]), bound: 0, references: others },
					),
				},
			],
			[{ after: 5, ...this.read([view], {}, { ...more, level: "eventual", references: [one], isCopy: true }) }],
		];
	},

	"odd keys"(chance) {
		const view = chance.pick(USER_VIEWS);
		const ids = [this.cold(), this.cold(), chance.pick(IDS.hot)];
		const protocol = chance.pick(["feast", "native", "lines"]);
		const columns = {
			user_id: ids.map(
				(id) =>
					this.spell("user_id", id, { isWild: true, only: (kind) => protocol === "feast" || !isOfText(kind) }).spelling,
			),
		};
		return [alone(this.read([view], {}, { protocol, columns, hasDetails: true }))];
	},

	"failing callers"(chance) {
		const [first] = chance.pick(Object.entries(IDS.failing));
		const view = chance.pick(USER_VIEWS);
		const instance = this.instance();
		const failing = () => ({
			...this.read(
				[view],
				{},
				{
					instance,
					columns: { user_id: [String(Number(first) + (this.unused() % IDS.failingSpan))] },
					isFailing: true,
				},
			),
		});
		const cold = () => this.read([view], {}, { instance, columns: { user_id: [this.cold()] }, hasDetails: true });
		return [
			Array.from({ length: 14 }, (_, number) => ({ after: number * 3, ...failing() })),
			alone(cold()),
			[{ after: 100, ...cold() }],
		];
	},

	"other features only"(chance) {
		const id = String(Number(chance.pick(Object.keys(IDS.failingFeature))) + (this.unused() % IDS.failingSpan));
		const more = { instance: this.instance(), columns: { user_id: [id] }, hasDetails: true };
		const [healthy, failing] = ["profile:age", IDS.failingFeatureName];
		return [
			alone(this.read([], {}, { ...more, level: "eventual", references: [healthy] })),
			[
				{
					after: 5,
					...this.read([], {}, { ...more, level: "eventual", references: [failing], isFailing: true, mustFail: true }),
				},
			],
		];
	},

	explain(chance) {
		const instance = this.instance();
		const explained = this.read(chance.some(USER_VIEWS), this.hotKeys("profile", 1), { protocol: "native" });
		const read = () => this.read(chance.some(USER_VIEWS), this.hotKeys("profile", 1), { instance });
		return [alone({ ...explained, kind: "explain", instance }), alone(read(), read())];
	},

	warm(chance) {
		const view = chance.pick(["profile", "orders"]);
		const ids = Array.from({ length: chance.between(1, 3) }, () => chance.pick([this.cold(), chance.pick(IDS.hot)]));
		const columns = {
			user_id: ids.map((id) => this.spell("user_id", id, { isWild: true, only: (kind) => !isOfText(kind) }).spelling),
		};
		const references = chance.some(REFERENCES[view].filter((reference) => reference !== "orders:note"));
		const how = chance.weighted({ fetch: 4, load: 4, "no key": this.traits.keys === "config" ? 1 : 0 });
		const instance = this.instance();
		if (how === "no key") return [alone({ kind: "warm", how, instance, columns: { city: ['"x"'] }, references })];
		return [
			alone({ kind: "warm", how, instance, columns, references }),
			[
				{
					after: chance.below(40),
					...this.read(
						[view],
						{},
						{ instance, columns, references, protocol: chance.pick(["native", "lines"]), hasDetails: true },
					),
				},
			],
		];
	},

	invalidate(chance) {
		const view = chance.pick(["profile", "orders", "items"]);
		const instance = this.instance();
		const keys = this.hotKeys(view, 2);
		const what = chance.weighted({ rows: 5, view: 2, everything: 1 });
		const protocol = "feast";
		const columns = this.columns(keys, protocol, true);
		const spelled = Object.fromEntries(
			Object.entries(keys).map(([column, ids]) => [
				column,
				ids.map((id) => this.spell(column, id, { isWild: true }).spelling),
			]),
		);
		const read = () => this.read([view], {}, { instance, protocol, columns, hasDetails: true });
		return [alone(read()), alone({ kind: "invalidate", instance, what, view, columns: spelled }), alone(read())];
	},

	"in a hurry"(chance) {
		const views = chance.some(USER_VIEWS);
		const keys = {
			user_id: [
				chance.pick(IDS.hot),
				chance.happens(50) ? this.slow(chance.below(1_000), chance.below(600)) : this.cold(),
			],
		};
		const deadline = chance.pick([20, 60, 200, 500]);
		return [alone(this.read(views, keys, { protocol: chance.pick(["native", "lines"]), deadline }))];
	},
};
