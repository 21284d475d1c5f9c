// A test's entry before the built Worker: makes the wasm instance trap, as a fault in it would, by handing it addresses that are not its own.
//
//   PUT /__test/clock  with milliseconds: by how much the isolate's clock is ahead from then on
//   PUT /__test/trap   with `begin` or `resume`: the next request traps as it begins, or as it goes on after I/O; with `records`: the core
//   traps when it is asked what it has to tell

let next = "";

let ahead = 0;
const { now } = Date;
Date.now = () => now() + ahead;

const OUTSIDE = 0xff_ff_ff_00;
const LENGTH = 4;

/** An export that traps when it is its turn. */
const trapping =
	(when, call, spoil) =>
	(...args) => {
		if (next !== when) return call(...args);
		next = "";
		return call(...spoil(args));
	};

const { Instance } = WebAssembly;
WebAssembly.Instance = function TrappingInstance(...args) {
	const { exports } = new Instance(...args);
	const spoiled = { ...exports };
	// The first argument is the address of the method.
	spoiled.begin = trapping("begin", exports.begin, (args) => args.with(0, OUTSIDE));
	// It takes no address, so the other is called in its place.
	spoiled.begin_features = (...args) =>
		next === "begin" ? spoiled.begin(OUTSIDE, LENGTH) : exports.begin_features(...args);
	// It is given nothing that could be spoilt.
	spoiled.take_records = trapping("records", exports.take_records, () => {
		throw new WebAssembly.RuntimeError("as if it had trapped");
	});
	for (const [name, call] of Object.entries(exports)) {
		if (!name.includes("closures_____invoke")) continue;
		spoiled[name] = trapping("resume", call, ([, , ...rest]) => [OUTSIDE, OUTSIDE, ...rest]);
	}
	return { exports: spoiled };
};

const { default: worker, Ledger, MergedWindows, StorageShard } = await import("./index.js");

export { Ledger, MergedWindows, StorageShard };

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
