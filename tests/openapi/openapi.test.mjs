// The API's description against the running Worker: schemathesis sends what the description allows and what it forbids, and checks
// each answer against it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startWorker } from "../support/worker.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const cache = fileURLToPath(new URL("../../build/cache/", import.meta.url));
const venv = process.env.OPENAPI_VENV ?? join(cache, "openapi-venv");
// schemathesis leaves notes in its current directory.
const scratch = join(cache, "openapi");
const schemathesis = join(venv, "bin/schemathesis");
const MAX_MILLIS = 240_000;
/** A found body can be a megabyte. */
const MAX_LINE = 2_000;

/** @returns {Promise<{ code: number | null, output: string }>} */
async function run(program, args, options) {
	const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"], timeout: MAX_MILLIS });
	let output = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding("utf8").on("data", (text) => {
			output += text;
		});
	}
	const [code] = await once(child, "close");
	return { code, output };
}

describe("the API's description", { timeout: MAX_MILLIS + 60_000 }, () => {
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;

	before(async () => {
		// A short delay, since hundreds of requests wait for it.
		worker = await startWorker({
			vars: { origin: { kind: "synthetic", delay_ms: 1 }, telemetry: { aggregate: true } },
		});
	});
	after(() => worker?.stop());

	test("is OpenAPI 3.1 and is served as JSON", async () => {
		const response = await fetch(`${worker.url}/openapi.json`);
		assert.equal(response.status, 200);
		assert.equal(response.headers.get("content-type"), "application/json");
		const { openapi, paths } = await response.json();
		assert.match(openapi, /^3\.1\./);
		assert.deepEqual(Object.keys(paths), [
			"/get-online-features",
			"/push",
			"/write-to-online-store",
			"/materialize",
			"/materialize-incremental",
			"/search",
			"/retrieve-online-documents",
			"/v1/vector_stores/{vector_store_id}/search",
			"/v1/features",
			"/v1/invalidate",
			"/v1/predictions",
			"/v1/warm",
			"/health",
			"/ready",
			"/metrics",
			"/v1/stats",
			"/v1/sla",
			"/v1/alerts",
			"/openapi.json",
		]);
	});

	test("the description's own examples are answered with 200", async () => {
		const { paths } = await (await fetch(`${worker.url}/openapi.json`)).json();
		for (const path of ["/get-online-features", "/v1/features"]) {
			const { examples } = paths[path].post.requestBody.content["application/json"];
			for (const [name, { value }] of Object.entries(examples)) {
				const response = await worker.post(path, value);
				assert.equal(response.status, 200, `${path}, ${name}: ${await response.text()}`);
			}
		}
	});

	test("is true to the Worker, as schemathesis finds", async () => {
		assert.ok(
			existsSync(schemathesis),
			`no ${schemathesis}: run \`python3 -m venv ${venv} && ${venv}/bin/pip install -r tests/openapi/requirements.txt\``,
		);
		const config = join(here, "schemathesis.toml");
		const args = ["--config-file", config, "run", `${worker.url}/openapi.json`, "--no-color"];
		const env = { ...process.env, PYTHONPATH: here, PYTHONDONTWRITEBYTECODE: "1", SCHEMATHESIS_HOOKS: "hooks" };
		mkdirSync(scratch, { recursive: true });
		const { code, output } = await run(schemathesis, args, { cwd: scratch, env });
		const lines = output.split("\n").map((line) => line.slice(0, MAX_LINE));
		assert.equal(code, 0, lines.join("\n"));
	});
});
