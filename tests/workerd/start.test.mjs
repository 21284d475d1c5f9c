// `npm start`, as a person meets it.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "../support/build.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startProgram } from "../support/program.mjs";
import { until } from "../support/wait.mjs";
import { freePort } from "../support/workerd.mjs";

const folder = mkdtempSync(join(tmpdir(), "featheredge-start-"));
// Not the stores of the person who runs the tests.
const stores = join(folder, "stores");
const npmStart = (...options) => startProgram("npm", ["start", "--", "--stores", stores, ...options]);

/** Whether nobody listens on the port. */
const isFree = (port) =>
	new Promise((resolve) => {
		const server = createServer().once("error", () => resolve(false));
		server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
	});

// Each start is then a second start, and its time tells something.
before(() => build("worker"));
after(() => rmSync(folder, { recursive: true, force: true }));

for (const signal of ["SIGINT", "SIGTERM"]) {
	test(`\`npm start\` says when it is ready, serves there, and leaves nothing behind on ${signal}`, async () => {
		const port = await freePort();
		const started = Date.now();
		const program = npmStart("--port", String(port));
		try {
			const [, url] = await program.prints(/^ready on (\S+)$/m);
			assert.equal(url, `http://127.0.0.1:${port}`);
			assert.ok(Date.now() - started < 15_000, "a second start takes less than 15 seconds");
			assert.equal((await fetch(`${url}/health`)).status, 200);
		} finally {
			assert.equal(await program.stop(signal), 0);
		}
		assert.ok(await isFree(port), "the port is free again");
	});
}

test("the example requests that `npm start` prints succeed", async () => {
	const port = await freePort();
	const program = npmStart("--port", String(port));
	try {
		await program.prints(/^ready on/m);
		const shown = await program.prints(/try it:\n(?<commands>(.*\n)+?.*get-online-features.*\n.*'\n)/);
		const commands = shown.groups.commands.trim().split("\n\n");
		assert.equal(commands.length, 2);
		for (const command of commands) {
			const curl = startProgram("sh", ["-c", command.replace("curl ", "curl -s -w '\\nstatus %{http_code}' ")]);
			assert.equal(await curl.ends(), 0);
			assert.match(curl.output(), /status 200$/, command);
		}
	} finally {
		await program.stop();
	}
});

test("--origin puts a Feast server behind it", async () => {
	const origin = await startOrigin();
	const port = await freePort();
	const program = npmStart("--port", String(port), "--origin", origin.url);
	try {
		await program.prints(/^ready on/m);
		await fetch(`http://127.0.0.1:${port}/a-path-of-the-origin`);
		assert.deepEqual(
			origin.requests.map(({ path }) => path),
			["/a-path-of-the-origin"],
		);
	} finally {
		await program.stop();
		await origin.stop();
	}
});

test("stored rows outlive a restart, and --fresh begins without them", async () => {
	const port = await freePort();
	/** Whether KV has a value, each of which miniflare keeps in a file. */
	const isStored = () => readdirSync(join(stores, "kv"), { recursive: true }).some((name) => /\bblobs\W./.test(name));
	/** Asks once, as the first request of a start, and says what the second tier did. */
	const secondTier = async (...options) => {
		const program = npmStart("--port", String(port), ...options);
		try {
			await program.prints(/^ready on/m);
			const response = await fetch(`http://127.0.0.1:${port}/v1/features`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ entity_ids: ["kept"], feature_names: ["kept_count"] }),
			});
			assert.equal(response.status, 200, await response.text());
			await until(isStored, { what: "the write to KV, which goes on after the response" });
			return /featheredge-l2; (?<what>\w+)/.exec(response.headers.get("cache-status"))?.groups.what;
		} finally {
			await program.stop();
		}
	};
	assert.equal(await secondTier("--fresh"), "fwd");
	assert.equal(await secondTier(), "hit");
	assert.equal(await secondTier("--fresh"), "fwd");
});

test("a second start over the same stores says what to do, and takes nothing from the first", async () => {
	const [port, other] = [await freePort(), await freePort()];
	const first = npmStart("--port", String(port));
	try {
		await first.prints(/^ready on/m);
		for (const more of [[], ["--fresh"]]) {
			const second = npmStart("--port", String(other), ...more);
			assert.equal(await second.ends(), 1);
			assert.match(second.output(), new RegExp(`error: http://127\\.0\\.0\\.1:${port} is served.*--stores DIR`));
			assert.doesNotMatch(second.output(), /SQLITE|^\s+at /m);
		}
		assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
	} finally {
		await first.stop();
	}
	// As one leaves it that was killed.
	writeFileSync(join(stores, "serving.json"), JSON.stringify({ pid: first.pid, url: "http://127.0.0.1:1" }));
	const next = npmStart("--port", String(port));
	await next.prints(/^ready on/m);
	await next.stop();
});

test("a port that is taken is named", async () => {
	const port = await freePort();
	const server = createServer();
	await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
	try {
		const program = npmStart("--port", String(port));
		assert.equal(await program.ends(), 1);
		assert.match(program.output(), new RegExp(`error: port ${port} is taken`));
	} finally {
		server.close();
	}
});

test("a key that is unknown in --config is named, and nothing is served", async () => {
	const file = join(folder, "misspelt.toml");
	writeFileSync(file, "[orgin]\nkind = 'synthetic'\n");
	const port = await freePort();
	const program = npmStart("--port", String(port), "--config", file);
	try {
		assert.equal(await program.ends(), 1);
		assert.match(program.output(), /error: the configuration is not valid: .*`orgin`/);
	} finally {
		await program.stop();
	}
	assert.ok(await isFree(port), "the port is free again");
});

test("a --config that cannot be read is named", async () => {
	for (const [name, text, expected] of [
		["missing.toml", undefined, /cannot read `.*missing\.toml`: ENOENT/],
		["broken.toml", "[origin\n", /`.*broken\.toml` is not TOML/],
		["broken.json", "{", /`.*broken\.json` is not JSON/],
	]) {
		const file = join(folder, name);
		if (text !== undefined) writeFileSync(file, text);
		const program = npmStart("--config", file);
		assert.equal(await program.ends(), 1);
		assert.match(program.output(), expected);
	}
});

test("an option that does not exist, or has no sense, is answered with the usage or the reason", async () => {
	for (const [options, expected] of [
		[["--prot", "1"], /'--prot'[\s\S]*usage: npm start/],
		[["--port", "http"], /`--port` must be a number from 1 to 65535, found `http`/],
		[["--origin", "feast:6566"], /`--origin` must be an http or https URL, found `feast:6566`/],
	]) {
		const program = npmStart(...options);
		assert.equal(await program.ends(), 1);
		assert.match(program.output(), expected);
	}
});
