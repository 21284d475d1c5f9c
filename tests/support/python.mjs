// The Python environments that tests need, each pinned by the requirements.txt of its tests and kept in build/cache.

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hashInputs, unlessUnchanged } from "./inputs.mjs";
import { installDebian } from "./prepare.mjs";
import { paths } from "./root.mjs";
import { Failure, mustRun, run } from "./run.mjs";

/** @param {string} tests the folder in tests/ */
export const pythonOf = (tests) => join(paths.cache, `${tests}-venv`, "bin/python");

/**
 * Makes the environment of these tests, unless it is there and up to date.
 *
 * @param {string} tests the folder in tests/
 */
export async function installPython(tests) {
	const requirements = `tests/${tests}/requirements.txt`;
	const venv = join(paths.cache, `${tests}-venv`);
	const python = pythonOf(tests);
	const log = join(paths.logs, `install-${tests}.log`);
	await unlessUnchanged(`${tests}-venv`, hashInputs([requirements]), [python], async () => {
		await installDebian({ python3: "python3" });
		rmSync(venv, { recursive: true, force: true });
		const make = () => run("python3", ["-m", "venv", venv], { log });
		const made = await make();
		if (made.code !== 0) {
			// Debian keeps pip's own wheel in a package of its own, without which the module is there and does not work.
			await installDebian({ "python3-venv": "python3-venv" });
			if ((await make()).code !== 0) {
				throw new Failure(`\`python3 -m venv\` does not work: install Python's venv module\n${made.output}`);
			}
		}
		const options = ["--disable-pip-version-check", "--no-input", "--only-binary", ":all:"];
		await mustRun(python, ["-m", "pip", "install", ...options, "-r", requirements], { log });
	});
	if (!existsSync(python)) throw new Failure(`${python} is missing`);
}
