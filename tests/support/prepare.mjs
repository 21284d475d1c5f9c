// Installs what a script needs and a clean clone lacks: npm packages, and the Rust target. Uses Node's own modules only, since it
// runs before any package is there. What it cannot install, it names with the command to run.

import { existsSync, lstatSync, readFileSync } from "node:fs";
import { fromRoot } from "./root.mjs";
import { Failure, mustRun, run } from "./run.mjs";

const OLDEST_NODE = [20, 19];
const WASM_TARGET = "wasm32-unknown-unknown";

export function checkNode() {
	const [major, minor] = process.versions.node.split(".").map(Number);
	if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
		throw new Failure(`Node ${OLDEST_NODE.join(".")} or later is needed, this is ${process.versions.node}`);
	}
}

/** The packages of a lock file that every machine must have, with their versions. */
function lockedPackages(file) {
	if (!existsSync(file)) return undefined;
	const { packages } = JSON.parse(readFileSync(file, "utf8"));
	return new Map(
		Object.entries(packages)
			.filter(([path, { optional, devOptional }]) => path !== "" && !optional && !devOptional)
			.map(([path, { version }]) => [path, version]),
	);
}

/** Whether node_modules has what package-lock.json says; npm leaves its own list there. */
export function arePackagesInstalled() {
	const installed = lockedPackages(fromRoot("node_modules/.package-lock.json"));
	if (installed === undefined) return false;
	const wanted = lockedPackages(fromRoot("package-lock.json"));
	return [...wanted].every(([path, version]) => installed.get(path) === version);
}

/** @param {Parameters<typeof run>[2]} [options] */
export async function installPackages(options) {
	if (arePackagesInstalled()) return;
	// `npm ci` empties the directory that a link leads to, which is another checkout's.
	if (lstatSync(fromRoot("node_modules"), { throwIfNoEntry: false })?.isSymbolicLink()) {
		throw new Failure("`node_modules` is a link to packages of another version: remove the link, and run this again");
	}
	console.log("installing npm packages (npm ci --ignore-scripts)");
	await mustRun("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], options);
}

/** Rust, and its wasm target; rustup itself is for the person to install. */
export async function installRust() {
	const found = await run("cargo", ["--version"], { capture: true }).catch(() => undefined);
	if (found === undefined) {
		throw new Failure(
			"`cargo` was not found: install Rust by `curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh`, open a new shell, and run this again",
		);
	}
	if (found.code !== 0) throw new Failure(`cargo does not run: ${found.output.trim()}`);
	const library = await mustRun("rustc", ["--print", "target-libdir", "--target", WASM_TARGET], {
		capture: true,
	});
	if (existsSync(library.trim().split("\n").at(-1))) return;
	console.log(`installing the Rust target ${WASM_TARGET} (rustup target add)`);
	await mustRun("rustup", ["target", "add", WASM_TARGET], { capture: true }).catch((error) => {
		throw new Failure(
			`the Rust target ${WASM_TARGET} is missing: run \`rustup target add ${WASM_TARGET}\` (${error.message})`,
		);
	});
}

/**
 * Installs Debian packages for the commands that are missing. Elsewhere, or without the right, it fails and names the command to run.
 *
 * @param {Record<string, string>} packages the package of each command
 */
export async function installDebian(packages) {
	const missing = [];
	for (const [command, name] of Object.entries(packages)) {
		const found = await run("sh", ["-c", 'command -v "$0"', command], { capture: true });
		if (found.code !== 0) missing.push(name);
	}
	if (missing.length === 0) return;
	const names = missing.join(" ");
	const isDebian = existsSync("/etc/debian_version");
	if (!isDebian || process.getuid?.() !== 0) {
		const command = isDebian ? `sudo apt-get install ${names}` : `brew install ${names}`;
		throw new Failure(`needed and not installed: ${names}. Run \`${command}\` and try again`);
	}
	console.log(`installing Debian packages: ${names}`);
	const env = { DEBIAN_FRONTEND: "noninteractive" };
	await mustRun("apt-get", ["update", "-qq"], { capture: true });
	await mustRun("apt-get", ["install", "-qq", "--yes", "--no-install-recommends", ...missing], { capture: true, env });
}

/**
 * Downloads every crate that a build or test on this machine needs; those of all machines where the whole lock file is to be judged.
 *
 * @param {Parameters<typeof run>[2] & { forAllMachines?: boolean }} options
 */
export async function fetchCrates({ forAllMachines = false, ...options } = {}) {
	if (forAllMachines) return mustRun("cargo", ["fetch", "--locked"], options);
	const version = await mustRun("rustc", ["-vV"], { capture: true });
	const host = /^host: (.+)$/m.exec(version)[1];
	await mustRun("cargo", ["fetch", "--locked", "--target", host, "--target", WASM_TARGET], options);
}
