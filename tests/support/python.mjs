// The Python environments that tests need, each pinned by the requirements.txt of its tests and kept in build/cache.

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hashInputs, unlessUnchanged } from "./inputs.mjs";
import { installDebian } from "./prepare.mjs";
import { paths } from "./root.mjs";
import { Failure, mustRun, run } from "./run.mjs";

/** What the configuration of Feast's tests imports, whichever stores are tested. */
const SUITE_EXTRAS = "aws,duckdb,gcp,grpcio,ibis,postgres,redis,snowflake";
/** The minor version from which Feast takes a protobuf that is not of version 4. */
const FIRST_WITH_PROTOBUF_5 = 50;

/** @param {string} tests the folder in tests/ */
export const pythonOf = (tests) => join(paths.cache, `${tests}-venv`, "bin/python");

/**
 * Makes an environment, unless it is there and up to date.
 *
 * @param {string} name as `pythonOf` takes it
 * @param {string} inputs what it depends on, from `hashInputs`
 * @param {string[]} packages arguments of `pip install`
 */
async function installVenv(name, inputs, packages) {
	const venv = join(paths.cache, `${name}-venv`);
	const python = pythonOf(name);
	const log = join(paths.logs, `install-${name}.log`);
	await unlessUnchanged(`${name}-venv`, inputs, [python], async () => {
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
		await mustRun(python, ["-m", "pip", "install", ...options, ...packages], { log });
	});
	if (!existsSync(python)) throw new Failure(`${python} is missing`);
	return python;
}

/**
 * Makes the environment of these tests, of what their requirements.txt pins.
 *
 * @param {string} tests the folder in tests/
 */
export function installPython(tests) {
	const requirements = `tests/${tests}/requirements.txt`;
	return installVenv(tests, hashInputs([requirements]), ["-r", requirements]);
}

/**
 * Makes an environment with a release of Feast and what Feast's own tests need.
 *
 * @param {string} version as PyPI has it
 */
export function installFeastSuite(version) {
	if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Failure(`\`${version}\` is no release of Feast, such as \`0.67.0\``);
	const requirements = "tests/feast/suite/requirements.txt";
	const isOld = Number(version.split(".")[1]) < FIRST_WITH_PROTOBUF_5;
	const packages = [
		`feast[${SUITE_EXTRAS}]==${version}`,
		...(isOld ? ["fastapi<0.116", "protobuf<5"] : ["fastapi==0.138.2"]),
	];
	const args = ["--no-binary", "assertpy", "-r", requirements, ...packages];
	return installVenv(`feast-suite-${version}`, hashInputs([requirements], args), args);
}
