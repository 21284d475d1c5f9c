// Leaves the rows of a version as they are when they are sealed: what is in VERSION.txt, under keys for tests, in VERSION-sealed.json.
//
//   node tests/compat/leave-sealed.mjs VERSION

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Seal } from "../../npm/src/runtime/seal.js";

const [version] = process.argv.slice(2);
const file = (name) => new URL(name, import.meta.url);
const key = (name) => createHash("sha256").update(`for tests: ${name}`).digest("base64");
const keys = { current: "k2", keys: { k1: key("k1"), k2: key("k2") }, hmac_secret: key("names") };
// The older half by the key that was the current one before.
const seals = ["k1", "k2"].map((current) => new Seal({ ...keys, current }));

const entries = {};
const lines = readFileSync(file(`${version}.txt`), "utf8")
	.trim()
	.split("\n");
for (const [number, line] of lines.entries()) {
	const [storeKey, digits] = line.split(" ");
	const seal = seals[number < lines.length / 2 ? 0 : 1];
	const [name] = await seal.pseudonyms([storeKey]);
	entries[name] = Buffer.from(await seal.seal(name, Buffer.from(digits, "hex"))).toString("base64");
}
writeFileSync(file(`${version}-sealed.json`), `${JSON.stringify({ keys, entries }, null, "\t")}\n`);
