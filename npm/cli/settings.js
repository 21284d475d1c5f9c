// The configuration of commands, from a file in TOML or JSON.

import { isObject } from "./answer.js";
import { EXIT, Failure } from "./failure.js";
import { readJson, readText } from "./files.js";

/** A file is read whole; one with a hundred views has some 50 KiB. */
const LIMITS = { maxBytes: 4 << 20, exitCode: EXIT.configuration };

async function parseToml(file) {
	const { parse, TomlError } = await import("smol-toml");
	const text = readText(file, LIMITS);
	try {
		return parse(text);
	} catch (error) {
		if (!(error instanceof TomlError)) throw error;
		// Its further lines show the file's.
		const [reason] = error.message.split("\n");
		throw new Failure(
			`cannot read \`${file}\`: line ${error.line}, column ${error.column}: ${reason}`,
			EXIT.configuration,
		);
	}
}

/**
 * Reads the table that docs/reference/configuration.md describes from a file, or from a wrangler file that has it, and the rate limits beside
 * it in either.
 *
 * @param {string} [file]
 * @returns {Promise<{ config: Record<string, any>, rateLimits: { name: string, simple: { limit: number, period: number } }[] }>}
 */
export async function readSettings(file) {
	if (file === undefined) return { config: {}, rateLimits: [] };
	const table = file.endsWith(".json") ? readJson(file, LIMITS) : await parseToml(file);
	const refuse = (what) => {
		throw new Failure(`\`${file}\`: ${what}`, EXIT.configuration);
	};
	if (!isObject(table)) refuse("a configuration is a table of settings, an object in JSON");
	const { ratelimits: rateLimits = [], ...others } = table;
	const config = table.vars?.FEATHEREDGE ?? others;
	if (!isObject(config)) refuse("`vars.FEATHEREDGE` is a table of settings");
	// The core checks all else, but not what it is not given.
	if (config.origin?.url !== undefined && typeof config.origin.url !== "string") refuse("`origin.url` is a string");
	if (!Array.isArray(rateLimits) || !rateLimits.every(isObject)) {
		refuse("`ratelimits` must be a list of tables: write `[[ratelimits]]`, in double brackets");
	}
	return { config, rateLimits };
}

/** The table alone. */
export const readConfig = async (file) => (await readSettings(file)).config;
