// Asks axe what keeps people out.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * What axe finds in a page, a line for each rule that is broken.
 *
 * @param {import("playwright-core").Page} page
 * @param {object} [options]
 * @param {string[]} [options.impacts] how bad what counts is, in axe's words; all of it without
 * @param {string[]} [options.except] rules that are not asked for
 */
export async function violations(page, { impacts, except = [] } = {}) {
	await page.evaluate(AXE);
	const rules = Object.fromEntries(except.map((id) => [id, { enabled: false }]));
	const { violations } = await page.evaluate(
		(rules) => globalThis.axe.run({ rules, resultTypes: ["violations"] }),
		rules,
	);
	const counted = violations.filter(({ impact }) => impacts?.includes(impact) ?? true);
	return counted.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
}
