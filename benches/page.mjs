// What the page adds to the latencies that it measures: the same scenarios in Node, in a Web Worker of a page that draws nothing, and in the
// page, charts and all, by turns. The second tells what is the browser's from what is the page's.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { createBenchmark, syntheticOrigin } from "../build/package/dist/benchmark-node.js";
import { measure } from "../tests/support/measurement.mjs";
import { readWranglerToml } from "../tests/support/settings.mjs";
import { freePort, serve } from "../tests/support/workerd.mjs";
import { median } from "./measure.mjs";
import { measureScenarios, standardScenarios } from "./scenarios.mjs";

const ROUNDS = 15;
const GOAL = 0.05;
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Runs the same in the page's own worker, of a page that shows nothing of it. */
function runUnseen(page, worker, options) {
	return page.evaluate(
		({ worker, options }) =>
			new Promise((resolve, reject) => {
				globalThis.worker ??= new Worker(worker, { type: "module" });
				globalThis.worker.onmessage = ({ data: { result, error } }) => {
					if (result !== undefined) resolve(result);
					if (error !== undefined) reject(new Error(error.message));
				};
				globalThis.worker.postMessage({ id: 1, task: "run", options });
			}),
		{ worker, options },
	);
}

/** Which of the sorted rounds the true median lies between, in 96 of 100 cases (the binomial of 15 at a half). */
const [LEAST, MOST] = [3, 11];

const share = (value) => `${(value * 100).toFixed(1)} %`;

/** What one place adds to the medians of another: the middle of the rounds' ratios, and the interval that the true one is in. */
function added(over, place) {
	const shares = place.map((millis, round) => millis / over[round] - 1).sort((left, right) => left - right);
	const middle = median(shares);
	return { middle, words: `${share(middle)} (${share(shares[LEAST])} to ${share(shares[MOST])})` };
}

/** @returns a row for each scenario: the medians in milliseconds, and what is added to them, with its 95 % interval */
export async function measurePage() {
	if (!existsSync(BROWSER)) throw new Error(`no Chromium at ${BROWSER}: install one, or set CHROMIUM`);
	const { url, stop } = await serve({ vars: readWranglerToml().vars, port: await freePort(), onLog: () => {} });
	const browser = await chromium.launch({
		executablePath: BROWSER,
		args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server"],
	});
	try {
		const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
		const page = await context.newPage();
		await page.goto(url);
		await page.locator("#start:enabled").waitFor();
		const worker = await page.evaluate(
			() => performance.getEntriesByType("resource").find(({ name }) => name.includes("worker")).name,
		);
		// Of the same origin and under the same policy, and without a script of its own.
		const blank = await context.newPage();
		await blank.goto(`${url}/openapi.json`);
		const scenarios = standardScenarios(await createBenchmark());
		const names = scenarios.map(({ name }) => name);
		const options = { suite: scenarios, repeats: 1, target: { kind: "engine", l2: "memory", delay_ms: 10 } };
		const places = [
			() => measureScenarios({ repeats: 1, origin: syntheticOrigin({ delay_ms: 10 }) }),
			() => blank.bringToFront().then(() => runUnseen(blank, worker, options)),
			() => page.bringToFront().then(() => measure(page, { only: names })),
		];
		/** For each place and scenario the median of each round. */
		const medians = places.map(() => names.map(() => []));
		for (let round = 0; round <= ROUNDS; round++) {
			// Each goes first in its turn.
			for (let turn = 0; turn < places.length; turn++) {
				const at = (round + turn) % places.length;
				const run = await places[at]();
				// The first round warms up.
				if (round === 0) continue;
				for (const [scenario, { summary }] of run.scenarios.entries()) medians[at][scenario].push(summary.median_ms);
			}
		}
		const [inNode, unseen, inPage] = medians;
		return names.map((scenario, at) => {
			const millis = (all) => `${median(all[at]).toFixed(1)} ms`;
			const overNode = added(inNode[at], inPage[at]);
			return {
				scenario,
				Node: millis(inNode),
				"Web Worker": millis(unseen),
				page: millis(inPage),
				"page over Node": overNode.words,
				"page over Web Worker": added(unseen[at], inPage[at]).words,
				goal: `≤ ${GOAL * 100} %: ${overNode.middle <= GOAL ? "met" : "not met"}`,
			};
		});
	} finally {
		await browser.close();
		await stop();
	}
}
