// The configuration of commands, from a file in TOML or JSON.

import { readFileSync } from "node:fs";
import { EXIT, Failure } from "./failure.js";

/**
 * Reads the table that docs/reference/configuration.md describes from a file, or from a wrangler file that has it, and the rate limits beside
 * it in either.
 *
 * @param {string} [file]
 * @returns {Promise<{ config: Record<string, any>, rateLimits: { name: string, simple: { limit: number, period: number } }[] }>}
 */
export async function readSettings(file) {
	if (file === undefined) return { config: {}, rateLimits: [] };
	let table;
	try {
		const text = readFileSync(file, "utf8");
		table = file.endsWith(".json") ? JSON.parse(text) : (await import("smol-toml")).parse(text);
	} catch (error) {
		throw new Failure(`cannot read \`${file}\`: ${error.message.trim()}`, EXIT.configuration);
	}
	const { ratelimits: rateLimits = [], ...others } = table;
	return { config: table.vars?.FEATHEREDGE ?? others, rateLimits };
}

/** The table alone. */
export const readConfig = async (file) => (await readSettings(file)).config;
