// The page as a test opens it: in a Chromium, served by a Worker.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { chromium as playwright } from "playwright-core";
import { ARGUMENTS, chromium, MISSING } from "../support/chromium.mjs";
import { startWorker } from "../support/worker.mjs";

/** Where pages are looked at: what fits the hand, and what stands on a desk. */
export const PHONE = { width: 320, height: 640 };
export const DESK = { width: 1440, height: 900 };

/** Each color scheme at each width: what stands on a phone alone has colors, too. */
export const LOOKS = ["light", "dark"].flatMap((colorScheme) =>
	[DESK, PHONE].map((viewport) => ({ colorScheme, viewport })),
);

/** A missing browser is a fault where `npm test` can install one: as root, and so in CI. */
export const skip = chromium() === undefined && process.getuid?.() !== 0 ? MISSING : false;

/** What the console says of an answer that is no success, beside what the page makes of it. */
const isOfAnAnswer = (line) => line.startsWith("Failed to load resource");

/**
 * For the tests of a suite: a Chromium, and a Worker with the synthetic origin that serves the page. A test's pages are closed behind it.
 *
 * @param {Parameters<typeof startWorker>[0]} [options] the Worker's
 */
export function pagesOfWorker({ vars, ...options } = {}) {
	const world = {
		/** @type {import("../support/worker.mjs").TestWorker} */
		worker: undefined,
		/** @type {import("playwright-core").Browser} */
		browser: undefined,
		/** What the consoles of a test's pages said that they should not have said. @type {string[]} */
		faults: [],

		/**
		 * Opens the page at a fragment.
		 *
		 * @param {object} [options] the browser context's
		 * @param {string} [fragment] with its `#`
		 * @param {object} [more]
		 * @param {string} [more.url] of another Worker
		 * @param {(page: import("playwright-core").Page) => unknown} [more.prepare] before it is loaded
		 */
		async open(options = {}, fragment = "", { url = world.worker.url, prepare } = {}) {
			const context = await world.browser.newContext({ viewport: DESK, reducedMotion: "reduce", ...options });
			const page = await context.newPage();
			page.on("console", (message) => message.type() === "error" && world.faults.push(message.text()));
			page.on("pageerror", (error) => world.faults.push(String(error)));
			await prepare?.(page);
			await page.goto(`${url}/${fragment}`);
			return page;
		},

		/** Closes all pages, and forgets what they said. */
		async close() {
			await Promise.all(world.browser.contexts().map((context) => context.close()));
			world.faults = [];
		},

		/** Lets answers pass that are no success, in a test that has asked for some. */
		forgiveAnswers() {
			world.faults = world.faults.filter((line) => !isOfAnAnswer(line));
		},
	};
	before(async () => {
		assert.ok(chromium(), MISSING);
		// A machine that draws pages meanwhile is late for what is due in 100 ms.
		const patient = { origin: { kind: "synthetic" }, routing: { real_time_deadline_ms: 10_000 } };
		world.worker = await startWorker({ vars: { ...patient, ...vars }, ...options });
		world.browser = await playwright.launch({ executablePath: chromium(), args: ARGUMENTS });
	});
	after(async () => {
		await world.browser?.close();
		await world.worker?.stop();
	});
	afterEach(async () => {
		const { faults } = world;
		await world.close();
		assert.deepEqual(faults, []);
	});
	return world;
}
