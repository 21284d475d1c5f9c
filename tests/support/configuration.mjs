// The keys of the configuration, as docs/reference/configuration.md documents them.

import { readFileSync } from "node:fs";
import { fromRoot } from "./root.mjs";

/**
 * Each documented key with its default, `undefined` where the key is not set.
 *
 * @returns {Map<string, unknown>}
 */
export function documentedKeys() {
	const document = readFileSync(fromRoot("docs/reference/configuration.md"), "utf8");
	const entries = document.matchAll(/^### `([\w.]+)`\n\nDefault: (?:none|`(.+?)`)\. /gm);
	return new Map([...entries].map(([, key, value]) => [key, value && JSON.parse(value)]));
}
