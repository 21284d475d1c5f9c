// The package as a person gets it: packed once, and installed from the tarball into fresh projects, without a network.

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fromRoot, paths } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

const folder = mkdtempSync(join(tmpdir(), "featheredge-npm-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const QUIET = ["--offline", "--ignore-scripts", "--no-audit", "--no-fund"];

let packed;

/** The tarball's path. */
export function pack() {
	packed ??= mustRun("npm", ["pack", paths.package, "--pack-destination", folder, "--json"], { capture: true }).then(
		(output) => join(folder, JSON.parse(output.slice(output.indexOf("[")))[0].filename),
	);
	return packed;
}

/**
 * A folder with the package installed, and nothing else but what is asked for.
 *
 * @param {string} name
 * @param {object} [options]
 * @param {Record<string, string>} [options.files] contents by name
 * @param {string[]} [options.copies] files of tests/npm/fixtures
 * @param {string[]} [options.packages] packages of this repository's own node_modules to link
 * @param {Record<string, unknown>} [options.manifest] of its package.json
 */
export async function project(name, { files = {}, copies = [], packages = [], manifest = {} } = {}) {
	const root = join(folder, name);
	const path = (...parts) => join(root, ...parts);
	mkdirSync(root, { recursive: true });
	writeFileSync(path("package.json"), JSON.stringify({ name, private: true, ...manifest }));
	await mustRun("npm", ["install", await pack(), ...QUIET], { cwd: root, capture: true });
	for (const [file, text] of Object.entries(files)) {
		mkdirSync(dirname(path(file)), { recursive: true });
		writeFileSync(path(file), text);
	}
	for (const file of copies) copyFileSync(fromRoot("tests/npm/fixtures", file), path(file));
	for (const name of packages) {
		mkdirSync(dirname(path("node_modules", name)), { recursive: true });
		symlinkSync(fromRoot("node_modules", name), path("node_modules", name));
	}
	return root;
}

/** Runs a program of node_modules in a project; gives what it prints. */
export const tool = (root, program, ...args) =>
	mustRun(process.execPath, [fromRoot("node_modules", program), ...args], { cwd: root, capture: true });
