// examples/feast, followed as its README tells it.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { feastEnvironment, python } from "../support/feast.mjs";
import { startProgram } from "../support/program.mjs";
import { fromRoot } from "../support/root.mjs";
import { readConfig } from "../support/settings.mjs";
import { freePort } from "../support/workerd.mjs";
import { assertSameAnswer } from "./exact.mjs";
import { edgeOnly, isFeastAlone, post, send } from "./world.mjs";

/** Four Feast commands, each of which takes seconds to import Feast. */
const FEAST_READY_MS = 120_000;
const example = (name) => fromRoot("examples/feast", name);
const readme = readFileSync(fromRoot("examples/feast/README.md"), "utf8");
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)\n```$/gm)].map(([, command]) => command);

const dir = mkdtempSync(join(tmpdir(), "feast-example-"));
let feast;
let feastUrl;
let edge;

async function startEdge() {
	const { config } = /--config (?<config>\S+)/.exec(commands[1]).groups;
	const { origin, ...vars } = readConfig(fromRoot(config));
	assert.equal(origin.url, "http://127.0.0.1:6566", "the port that start-feast.sh has by default");
	if (isFeastAlone) return { url: feastUrl, stop: async () => {} };
	const { startWorker } = await import("../support/worker.mjs");
	return startWorker({ vars, origin: feastUrl });
}

before(async () => {
	const port = await freePort();
	feastUrl = `http://127.0.0.1:${port}`;
	const env = { ...feastEnvironment(dir), FEAST_DIR: dir, FEAST_PYTHON: python, FEAST_PORT: String(port) };
	feast = startProgram("sh", [fromRoot(commands[0])], { env });
	await feast.prints(/Application startup complete/, FEAST_READY_MS);
	edge = await startEdge();
});
after(async () => {
	await edge?.stop();
	await feast?.stop();
	rmSync(dir, { recursive: true, force: true });
});

/** Runs a command of the README with the ports of this test. */
async function run(command, args, env = {}) {
	const program = startProgram(command, args, { env });
	const code = await program.ends();
	assert.equal(code, 0, program.output());
	return program.output();
}

const curl = () =>
	run("sh", ["-c", commands[2].replace("http://127.0.0.1:8787", edge.url).replace("curl ", "curl -s ")]);

test("the README has its commands where they are looked for", () => {
	assert.deepEqual(
		commands.map((command) => /^(\S+)/.exec(command)[1]),
		["examples/feast/start-feast.sh", "npm", "curl", "build/feast/venv/bin/python"],
	);
});

test("the README's curl command gets Feast's response, from memory the second time", async () => {
	const body = /-d '(?<body>[\s\S]+)'/.exec(commands[2]).groups.body;
	const expected = (await post(feastUrl, "/get-online-features", body)).body;
	const answers = [await curl(), await curl()];
	for (const answer of answers) assertSameAnswer(answer.split("\r\n\r\n").at(-1), expected, "the answer");
	if (!isFeastAlone) assert.match(answers[1], /^cache-status: featheredge-l1; *hit/im);
});

test("the README's Python client reads through Featheredge", async () => {
	const repo = join(dir, "demo/feature_repo");
	const printed = await run(python, [example("read.py"), edge.url, repo], feastEnvironment(dir));
	assert.match(printed, /^driver_id: \[1001, 1002\]$/m);
	assert.match(printed, /^conv_rate: \[0\.\d+, 0\.\d+\]$/m);
	assert.match(printed, /^conv_rate_plus_val1: \[1\.\d+, 2\.\d+\]$/m);
});

test("with Feast stopped, what was read before is still answered", edgeOnly, async () => {
	await feast.stop();
	assert.match(await curl(), /^HTTP\/1\.1 200/);
	const never = { features: ["driver_hourly_stats:conv_rate"], entities: { driver_id: [1005] } };
	assert.equal((await post(edge.url, "/get-online-features", never)).status, 502);
	assert.equal((await send(edge.url, "/health")).status, 200);
});
