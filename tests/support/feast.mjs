// Starts the real Feast: a project made by `feast init` and more views, `feast serve`, and Feast's registry server where a test asks for it.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { feastPython } from "./feast-python.mjs";
import { startProgram } from "./program.mjs";
import { fromRoot } from "./root.mjs";
import { freePort } from "./workerd.mjs";

const HOST = "127.0.0.1";
const READY_MS = 60_000;

/** The Python that has Feast, as `npm test` installs it. */
export const python = process.env.FEATHEREDGE_FEAST_PYTHON ?? feastPython;

/** A file beside the tests of Feast. */
export const besides = (name) => fromRoot("tests/feast", name);

/**
 * What Feast runs with. Without assertions Python leaves out the type checks that Feast builds when it is imported: two seconds instead of
 * eight. Its files of byte code must be kept for that, and gunicorn puts a control socket into the home folder, one for all servers.
 */
export const feastEnvironment = (home) => ({
	HOME: home,
	PYTHONOPTIMIZE: "1",
	PYTHONDONTWRITEBYTECODE: undefined,
	PYTHONUNBUFFERED: "1",
	NO_COLOR: "1",
	FEAST_USAGE: "False",
	NO_PROXY: `${HOST},localhost`,
});

/** The processes that a process has started, on Linux. */
function childrenOf(pid) {
	const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
	return list.split(" ").filter(Boolean).map(Number);
}

/**
 * @typedef {object} Feast
 * @property {string} url of `feast serve`
 * @property {string | undefined} registryUrl of `feast serve_registry --rest-api`, when asked for
 * @property {string} repo the folder of the project's feature_store.yaml
 * @property {string} dir a folder that is removed at the end
 * @property {(script: string, args?: string[]) => Promise<string>} python runs a script of this folder and returns what it prints
 * @property {(signal?: NodeJS.Signals) => Promise<void>} halt ends `feast serve`; what is stored stays
 * @property {(signal: NodeJS.Signals) => void} signal sends a signal to `feast serve` and the processes that it has started
 * @property {() => Promise<void>} restart starts it again on the same port
 * @property {() => Promise<void>} stop ends everything and removes the folder
 */

/**
 * @param {{ registry?: boolean }} [options]
 * @returns {Promise<Feast>}
 */
export async function startFeast({ registry = false } = {}) {
	if (!existsSync(python)) throw new Error(`${python} is missing: \`npm test -- --only feast\` installs Feast`);
	const dir = mkdtempSync(join(tmpdir(), "feast-"));
	const env = feastEnvironment(dir);
	const command = join(dirname(python), "feast");
	let server;
	let registryServer;

	const feast = async (args, ready, cwd) => {
		const program = startProgram(command, args, { cwd, env });
		try {
			await program.prints(ready, READY_MS);
		} catch (error) {
			await program.stop();
			throw error;
		}
		return program;
	};
	const runPython = async (script, args = []) => {
		const program = startProgram(python, [besides(script), ...args], { cwd: dir, env });
		try {
			const code = await program.ends(READY_MS);
			if (code !== 0) throw new Error(`${script} ended with ${code}; it printed:\n${program.output()}`);
			return program.output();
		} finally {
			await program.stop();
		}
	};

	const stop = async () => {
		await Promise.all([server?.stop(), registryServer?.stop()]);
		rmSync(dir, { recursive: true, force: true });
	};
	try {
		const repo = (await runPython("prepare.py", [dir])).trim().split("\n").at(-1);
		const port = await freePort();
		// A worker of `feast serve` ends itself after 1,000 requests; 0 lets it live.
		const serve = ["serve", "--host", HOST, "--port", String(port), "--no-access-log", "--max-requests", "0"];
		const start = async () => {
			server = await feast(serve, /Application startup complete/, repo);
		};
		const registryPort = await freePort();
		const serveRegistry = ["serve_registry", "--no-grpc", "--rest-api", "--host", HOST];
		await Promise.all([
			start(),
			registry &&
				feast([...serveRegistry, "--rest-port", String(registryPort)], /Uvicorn running/, repo).then((program) => {
					registryServer = program;
				}),
		]);
		return {
			url: `http://${HOST}:${port}`,
			registryUrl: registry ? `http://${HOST}:${registryPort}` : undefined,
			repo,
			dir,
			python: runPython,
			async halt(signal) {
				// Those whose parent is killed would go on for a while, on its port.
				const all = signal === "SIGKILL" ? [server.pid, ...childrenOf(server.pid)] : [];
				for (const pid of all) process.kill(pid, signal);
				await server.stop(signal);
			},
			signal(signal) {
				for (const pid of [server.pid, ...childrenOf(server.pid)]) process.kill(pid, signal);
			},
			restart: start,
			stop,
		};
	} catch (error) {
		await stop();
		throw error;
	}
}
