// What is built, by the command that builds it: benches and tests share no code with `scripts`.

import { join } from "node:path";
import { fromRoot } from "./root.mjs";
import { mustRun } from "./run.mjs";

const command = (args, options) => mustRun(process.execPath, [fromRoot("scripts/build.mjs"), ...args], options);

/**
 * Builds what is shipped, where it has changed.
 *
 * @param {("worker" | "npm" | "package" | "benchmark" | "page")[]} targets
 */
export const build = (...targets) => command(targets, { capture: true });

/**
 * Builds what is tried and not shipped: compiled quickly, without the benchmark framework.
 *
 * @param {"worker" | "package"} what
 * @param {string} folder where it stands, in a folder of its name, with what it is made of
 * @param {{ tree?: string, targetDir?: string }} [options] where the sources are, and cargo's folder for them
 * @returns {Promise<string>} its folder
 */
export async function buildQuick(what, folder, { tree, targetDir } = {}) {
	const options = [...(tree ? ["--tree", tree] : []), ...(targetDir ? ["--target-dir", targetDir] : [])];
	await command([what, "--quick", folder, ...options], { capture: true });
	return join(folder, what);
}
