// A test's entry before the built Worker: makes the wasm instance trap, as a fault in it would, by handing it addresses that are not its own.
//
//   PUT /__test/clock  with milliseconds: by how much the isolate's clock is ahead from then on
//   PUT /__test/trap   with `begin` or `resume`: the next request traps as it begins, or as it goes on after I/O; with `telemetry`: the core
//   traps as it ingests telemetry; with `shard`, `log` or `windows`: the next call of such a Durable Object traps

let next = "";

let ahead = 0;
const { now } = Date;
Date.now = () => now() + ahead;

const OUTSIDE = 0xff_ff_ff_00;

/** The exports that trap when it is their turn: those that begin a request, that go on after I/O, that ingest telemetry, and of objects. */
const TRAPS = {
	begin: /^core_begin(_native|_feast)?$/,
	resume: /^core_complete_/,
	telemetry: /^core_ingest_telemetry$/,
	shard: /^storageshard_(read|write|sweep)$/,
	log: /^invalidationlog_append$/,
	windows: /^mergedwindows_merge$/,
};

const { Instance } = WebAssembly;
WebAssembly.Instance = function TrappingInstance(...args) {
	const { exports } = new Instance(...args);
	const spoiled = { ...exports };
	for (const [when, names] of Object.entries(TRAPS)) {
		for (const name of Object.keys(exports).filter((name) => names.test(name))) {
			// The first argument is the address of the core.
			spoiled[name] = (core, ...rest) => {
				const isDue = next === when;
				if (isDue) next = "";
				return exports[name](isDue ? OUTSIDE : core, ...rest);
			};
		}
	}
	return { exports: spoiled };
};

const { default: worker, ...classes } = await import("./index.js");

/** A class of objects whose storage a test can reach into. */
const open = (Class) =>
	class extends Class {
		query(statement, ...bindings) {
			return [...this.ctx.storage.sql.exec(statement, ...bindings)];
		}

		ring() {
			return this.ctx.storage.setAlarm(Date.now());
		}

		nextAlarm() {
			return this.ctx.storage.getAlarm();
		}
	};

export const InvalidationLog = open(classes.InvalidationLog);
export const StorageShard = open(classes.StorageShard);
export const { MergedWindows } = classes;

export const direct = {
	async fetch(request, env, ctx) {
		if (request.url.endsWith("/__test/clock")) {
			ahead = Number(await request.text());
			return new Response(null, { status: 204 });
		}
		if (!request.url.endsWith("/__test/trap")) return worker.fetch(request, env, ctx);
		next = await request.text();
		return new Response(null, { status: 204 });
	},
};

export default direct;
