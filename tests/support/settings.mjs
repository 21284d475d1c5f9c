// Reads wrangler.toml, the one place where the Worker's settings stand, and lays a person's or a test's own settings over it.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "smol-toml";
import { paths } from "./root.mjs";
import { Failure } from "./run.mjs";

/** The variable that holds Featheredge's configuration table. */
export const CONFIG_VARIABLE = "FEATHEREDGE";
/** The secret that is sent to the origin as its `Authorization`. */
export const AUTHORIZATION_SECRET = "FEATHEREDGE_ORIGIN_AUTHORIZATION";
/** The secret that an operator shows. */
export const OPERATOR_SECRET = "FEATHEREDGE_OPERATOR_TOKEN";

/** The digests of the tokens of `auth.mode = "tokens"`. */
export const TOKENS_SECRET = "FEATHEREDGE_TOKENS";
/** The keys that stored rows are encrypted with. */
export const STORE_KEYS_SECRET = "FEATHEREDGE_STORE_ENCRYPTION_KEYS";

/** The secrets that stand in the environment, by name. */
export function environmentSecrets() {
	const names = [AUTHORIZATION_SECRET, OPERATOR_SECRET, TOKENS_SECRET, STORE_KEYS_SECRET].filter(
		(name) => process.env[name],
	);
	return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

/** @typedef {Record<string, any>} Table */

const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Lays one table over another: tables are merged, everything else is replaced.
 *
 * @param {Table} under
 * @param {Table} over
 * @returns {Table}
 */
export function overlay(under, over) {
	const merged = { ...under };
	for (const [key, value] of Object.entries(over)) {
		merged[key] = isTable(value) && isTable(merged[key]) ? overlay(merged[key], value) : value;
	}
	return merged;
}

/**
 * Reads a TOML or JSON file (told by its ending, TOML when it is neither).
 *
 * @param {string} file
 * @returns {Table}
 */
export function readTable(file) {
	let text;
	try {
		text = readFileSync(file, "utf8");
	} catch (error) {
		throw new Failure(`cannot read \`${file}\`: ${error.code ?? error.message}`);
	}
	let table;
	try {
		table = file.endsWith(".json") ? JSON.parse(text) : parse(text);
	} catch (error) {
		throw new Failure(`\`${file}\` is not ${file.endsWith(".json") ? "JSON" : "TOML"}: ${error.message.trim()}`);
	}
	if (!isTable(table)) throw new Failure(`\`${file}\` must hold a table`);
	return table;
}

/**
 * Reads a configuration file: the same table as `[vars.FEATHEREDGE]`, or a whole wrangler file that has one.
 *
 * @param {string} file
 */
export function readConfig(file) {
	const table = readTable(resolve(process.env.INIT_CWD ?? process.cwd(), file));
	return table.vars?.[CONFIG_VARIABLE] ?? table;
}

/** wrangler.toml as a table. */
export function readWranglerToml() {
	return readTable(paths.wranglerToml);
}
