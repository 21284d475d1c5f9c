// Where things are. Every other script takes its paths from here, so that it works from any current directory.

import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** @param {string[]} parts */
export const fromRoot = (...parts) => join(root, ...parts);

export const paths = {
	worker: fromRoot("build/worker"),
	npm: fromRoot("build/npm"),
	package: fromRoot("build/package"),
	cache: fromRoot("build/cache"),
	logs: fromRoot("build/logs"),
	page: fromRoot("www/dist"),
	docs: fromRoot("build/docs"),
	wranglerToml: fromRoot("wrangler.toml"),
	target: resolve(root, process.env.CARGO_TARGET_DIR ?? "target"),
};
