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
	// In an order in which little is built anew for each.
	{
		name: "bounds are checked when the response is made",
		changes: [
			{
				file: "crates/engine/src/session/expiry.rs",
				from: "if self.is_answered || now < self.expires_at {",
				to: "if self.is_answered || now < self.expires_at || self.expires_at != Timestamp::MAX {",
			},
		],
		finds: ["older than its bound"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["grown old", "read"],
	},
	{
		name: "a strong read keeps the other columns in memory",
		changes: [
			{
				file: "crates/engine/src/l1.rs",
				from: "Some(held) => merge(held, row, matches!(view.columns(), Columns::All)),",
				to: "Some(held) if session.query.consistency != Consistency::Strong => merge(held, row, matches!(view.columns(), Columns::All)),\n            Some(_) => Rc::clone(row),",
			},
		],
		finds: ["fetched without need"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["column by column"],
	},
	{
		name: "clocks never run backwards",
		changes: [
			{
				file: "crates/service/src/clock.rs",
				from: "self.host = self.host.max(host);\n        self.host.plus(self.ahead_millis)",
				to: "self.host = host;\n        host",
			},
			{
				file: "npm/src/clock.js",
				from: "origin = Math.max(origin, Date.now() - passed);",
				to: "origin = Date.now() - passed;",
			},
		],
		finds: [
			"before a write",
			"before an invalidation",
			"older than its bound",
			"past its stale-if-error",
			"age told too young",
		],
		kinds: ["clock", "clock", "clock"],
	},
	{
		name: "write times of other clocks are corrected",
		changes: [
			{
				file: "crates/engine/src/store.rs",
				from: "if row.all_cells(is_trusted) {",
				to: "if row.all_cells(is_trusted) || now != Timestamp::MAX {",
			},
		],
		finds: ["before a write"],
		kinds: ["skew", "skew", "skew"],
		scripts: ["read", "write and read"],
	},
	{
		name: "registry lookups end at the request's deadline",
		changes: [
			{
				file: "crates/service/src/dispatch.rs",
				from: "let millis = context.protocol.half_of_deadline(&self.config, 0);",
				to: "let millis = context.protocol.half_of_deadline(&self.config, 0) + self.config.origin.timeout_ms;",
			},
		],
		finds: ["late"],
		kinds: ["registry", "registry", "registry"],
		scripts: ["read", "in a hurry"],
	},
	{
		name: "warming rejects rows that no request reads",
		changes: [
			{
				file: "crates/service/src/warm.rs",
				from: "check_keys(&read_path.planner, &plan, group)?;",
				to: "let _ = check_keys(&read_path.planner, &plan, group);",
			},
		],
		finds: ["warm without a key"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["read", "warm"],
	},
	{
		name: "a cached plan belongs to one feature list",
		changes: [
			{
				file: "crates/protocol/src/plan.rs",
				from: "Rc::ptr_eq(list, &self.list)",
				to: "list.count == self.list.count",
			},
		],
		finds: ["another form"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["read", "explain"],
	},
	{
		name: "keys that the origin converts are matched by position",
		changes: [
			{
				file: "crates/origin/src/echoed_key.rs",
				from: "[ours.float, ours.float.trunc(), narrow].contains(&theirs.float)",
				to: "(ours.float == theirs.float && !narrow.is_nan())",
			},
		],
		finds: ["5xx in health", "not served in health"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["odd keys", "coerced keys", "other spellings"],
	},
	{
		name: "a null without a status is present",
		changes: [
			{
				file: "crates/origin/src/origin.rs",
				from: "let status = status.unwrap_or(Status::Present);",
				to: "let is_null = self.values.get(at).is_some_and(|value| value.kind == Kind::Null);\n        let status = status.unwrap_or(if is_null { Status::NotFound } else { Status::Present });",
			},
		],
		finds: ["status made up"],
		scripts: ["read", "no statuses"],
	},
	{
		name: "an unreadable event time affects one value",
		changes: [
			{
				file: "crates/origin/src/origin.rs",
				from: "self.unknown_time.get_or_insert(raw.text);",
				to: 'return Err("an event time cannot be read".to_owned());',
			},
			{ file: "crates/model/src/time.rs", from: "[] => return Some(0),", to: "[] => return None," },
		],
		finds: ["5xx in health", "not served in health"],
		scripts: ["read", "odd times"],
	},
	{
		name: "the later of two fetches wins",
		changes: [
			{
				file: "crates/model/src/row.rs",
				from: "theirs.filter(|(_, theirs)| ours.fetched_at.timestamp() <= theirs.fetched_at.timestamp())",
				to: "theirs",
			},
			{
				file: "crates/model/src/row.rs",
				from: "let is_later = |ours: &Cell, theirs: &Cell| ours.fetched_at.timestamp() > theirs.fetched_at.timestamp();",
				to: "let is_later = |_: &Cell, _: &Cell| false;",
			},
		],
		finds: ["back in time"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["race"],
	},
	{
		name: "a write invalidates every spelling of its keys",
		changes: [
			{
				file: "crates/model/src/canonical_key_hash.rs",
				from: "let mut rest = key;\n    while",
				to: "let mut rest = key;\n    hasher.write(core::mem::take(&mut rest));\n    while",
			},
		],
		finds: ["before a write"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["read", "write and read", "other spellings"],
	},
	{
		name: "client errors leave the circuit closed",
		changes: [
			{
				file: "crates/model/src/answer.rs",
				from: "OriginFailure::InvalidResponse(_) => Cause::Either,",
				to: "OriginFailure::InvalidResponse(_) => Cause::Origin,",
			},
			{
				file: "crates/model/src/answer.rs",
				from: "OriginFailure::OutOfMemory => Cause::Request,",
				to: "OriginFailure::OutOfMemory => Cause::Origin,",
			},
		],
		finds: ["5xx in health"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["read", "failing callers"],
	},
	{
		name: "an empty origin response is an error",
		changes: [
			{
				file: "crates/model/src/answer.rs",
				from: "view.slots(row.schema()).as_slice().iter().any(Option::is_some)",
				to: "(!row.schema().features().is_empty() || view.slots(row.schema()).as_slice().is_empty())",
			},
			{
				file: "crates/engine/src/session/answer.rs",
				from: "&& asked.as_ref().is_none_or(|asked| asked.contains(name));",
				to: "&& asked.as_ref().is_none_or(|asked| asked.contains(name) || !name.is_empty());",
			},
		],
		finds: ["nothing, as a success"],
		kinds: ["plain", "plain", "plain"],
		scripts: ["other features only"],
	},
	{
		name: "`strong` skips memory",
		changes: [
			{
				file: "crates/cache/src/lookup.rs",
				from: "let is_passed_over = query.consistency == Consistency::Strong;",
				to: "let is_passed_over = false;",
			},
		],
		finds: ["not strong"],
		kinds: ["plain"],
		scripts: ["read"],
	},
	{
		name: "an acknowledged write invalidates its rows",
		changes: [
			{
				file: "crates/service/src/dispatch.rs",
				from: "invalidation.apply(self.read_path.engine.invalidations_mut(), now);\n        self.acknowledge(handle, Response::Forwarded",
				to: "self.acknowledge(handle, Response::Forwarded",
			},
		],
		finds: ["before a write"],
		kinds: ["plain"],
		scripts: ["read", "write and read"],
	},
	{
		name: "an operator's invalidation takes effect",
		changes: [
			{
				file: "crates/service/src/dispatch.rs",
				from: "invalidation.apply(self.read_path.engine.invalidations_mut(), now);\n                let reply",
				to: "let reply",
			},
		],
		finds: ["before an invalidation"],
		kinds: ["plain"],
		scripts: ["read", "invalidate"],
	},
	{
		name: "`bounded` checks its bound",
		changes: [
			{
				file: "crates/cache/src/freshness.rs",
				from: "!(self.is_bound_hard && age > self.max_staleness)",
				to: "!(self.is_bound_hard && age > self.max_staleness && age == u64::MAX)",
			},
		],
		finds: ["older than its bound"],
		kinds: ["faults"],
		scripts: ["read", "write and read"],
	},
];
