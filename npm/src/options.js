// The options of a call: a misspelt one is an error, since ignoring it would change what is served without a word.

import { ConfigError } from "./errors.js";

/** The number of insertions, deletions and replacements between two short texts (Levenshtein). */
function distance(one, other) {
	let row = Array.from({ length: other.length + 1 }, (_, index) => index);
	for (const [index, letter] of [...one].entries()) {
		const next = [index + 1];
		for (const [at, found] of [...other].entries()) {
			next.push(Math.min(row[at + 1] + 1, next[at] + 1, row[at] + (letter === found ? 0 : 1)));
		}
		row = next;
	}
	return row.at(-1);
}

/** The known name that is at most a third of its length away. */
function nearest(name, known) {
	const [best] = known
		.map((candidate) => ({ candidate, steps: distance(name.toLowerCase(), candidate.toLowerCase()) }))
		.sort((left, right) => left.steps - right.steps);
	return best.steps <= Math.max(1, best.candidate.length / 3) ? best.candidate : undefined;
}

/** Checks that an option is one of some texts. */
export function checkChoice(name, value, choices) {
	if (value === undefined || choices.includes(value)) return;
	throw new ConfigError(`\`${name}\` must be ${choices.map((choice) => `"${choice}"`).join(" or ")}`);
}

/**
 * Refuses options that a call does not have.
 *
 * @param {string} call as users write it, such as `createEngine`
 * @param {unknown} options
 * @param {readonly string[]} known
 * @throws {ConfigError} which names the nearest option, or all
 */
export function checkOptions(call, options, known) {
	if (options === undefined) return;
	if (typeof options !== "object" || options === null)
		throw new ConfigError(`the options of \`${call}\` are no object`);
	for (const name in options) {
		if (known.includes(name)) continue;
		const near = nearest(name, known);
		const advice =
			near === undefined
				? `the options are ${known.map((name) => `\`${name}\``).join(", ")}`
				: `did you mean \`${near}\`?`;
		throw new ConfigError(`unknown option \`${name}\` of \`${call}\`; ${advice}`);
	}
}
