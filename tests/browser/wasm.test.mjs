// The tests of tests/wasm.rs in Chromium; the step `wasm` runs them in Node. wasm-bindgen's runner drives a browser by chromedriver, whose
// place Playwright takes here: the runner serves the tests, and a page runs them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { chromium as playwright } from "playwright-core";
import { ARGUMENTS, chromium } from "../support/chromium.mjs";
import { paths } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";
import { skip } from "./pages.mjs";

const TIMEOUT_MS = 600_000;
const runner = join(paths.target, "debug/featheredge-bindgen");
const cargoTest = [
	...["test", "--locked", "--target", "wasm32-unknown-unknown", "--test", "wasm"],
	...["--no-run", "--message-format=json"],
];

/** The module that cargo makes of tests/wasm.rs. */
async function testModule() {
	const output = await mustRun("cargo", cargoTest, { capture: true });
	const messages = output.split("\n").filter((line) => line.startsWith("{"));
	return messages.map((line) => JSON.parse(line).executable).findLast((path) => path?.endsWith(".wasm"));
}

test("the tests of the wasm module pass in Chromium as in Node", { timeout: TIMEOUT_MS, skip }, async () => {
	await mustRun(
		"cargo",
		["build", "--locked", "--package", "featheredge-bindgen", "--config", "profile.dev.debug=false"],
		{ capture: true },
	);
	const wasm = await testModule();
	const output = await mustRun(runner, ["test", wasm, "--list"], { capture: true });
	const names = output.trim().split("\n");
	assert.ok(names.length > 0 && names.every((name) => name.endsWith(": test")), output);

	const env = {
		...process.env,
		NO_HEADLESS: "1",
		WASM_BINDGEN_USE_BROWSER: "1",
		WASM_BINDGEN_TEST_ADDRESS: "127.0.0.1:0",
	};
	const server = spawn(runner, ["test", wasm], { env, stdio: ["ignore", "pipe", "inherit"] });
	let browser;
	try {
		let url;
		for await (const line of createInterface(server.stdout)) {
			url = line.match(/http:\/\/127\.0\.0\.1:\d+/)?.[0];
			if (url !== undefined) break;
		}
		assert.ok(url, "the runner serves nothing");
		browser = await playwright.launch({ executablePath: chromium(), args: ARGUMENTS });
		const page = await browser.newPage();
		const broken = page.waitForEvent("pageerror", { timeout: 0 }).then((error) => {
			throw error;
		});
		broken.catch(() => {});
		await page.goto(url);
		const shown = page.locator("#output", { hasText: "test result:" });
		await Promise.race([shown.waitFor({ timeout: TIMEOUT_MS }), broken]);
		const text = await shown.textContent();
		assert.match(text, new RegExp(`test result: ok\\. ${names.length} passed; 0 failed`), text);
	} finally {
		await browser?.close();
		server.kill();
	}
});
