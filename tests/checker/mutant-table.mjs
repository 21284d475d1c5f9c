// Each mend, and the change of the sources that switches it off.

/**
 * @typedef {object} Mutant
 * @property {string} name what is switched off
 * @property {{ file: string, from: string, to: string }[]} changes each `from` stands once in its file
 * @property {string[]} finds the kinds of violation that it is to be found by
 * @property {string[]} [kinds] of worlds, where it shows in some alone
 * @property {string[]} [scripts] the scripts and oddities, where it shows in some alone
 */

/** @type {Mutant[]} */
export const MUTANTS = [
	{
		name: "the bound of `bounded` is looked at",
		changes: [
			{
				file: "src/cache/freshness.rs",
				from: "!(self.is_bound_hard && age > self.max_staleness)",
				to: "!(self.is_bound_hard && age > self.max_staleness && age == u64::MAX)",
			},
		],
		finds: ["older than its bound"],
		kinds: ["faults"],
		scripts: ["read", "write and read"],
	},
	{
		name: "`strong` passes memory over",
		changes: [
			{
				file: "src/cache/lookup.rs",
				from: "let is_passed_over = ask.consistency == Consistency::Strong;",
				to: "let is_passed_over = false;",
			},
		],
		finds: ["not strong"],
		kinds: ["plain"],
		scripts: ["read"],
	},
	{
		name: "a write that was answered marks what it touched",
		changes: [
			{
				file: "src/service/writes.rs",
				from: "self.apply(&change, now);\n        self.tell(ticket, End::Forwarded",
				to: "self.tell(ticket, End::Forwarded",
			},
		],
		finds: ["before a write"],
		kinds: ["plain"],
		scripts: ["read", "write and read"],
	},
	{
		name: "an operator's word marks what it names",
		changes: [
			{
				file: "src/service/writes.rs",
				from: "self.apply(&change, now);\n                let reply",
				to: "let reply",
			},
		],
		finds: ["before an invalidation"],
		kinds: ["plain"],
		scripts: ["read", "invalidate"],
	},
];
