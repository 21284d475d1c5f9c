// What the page adds to the latencies that it measures: the same scenarios in Node and in the page, charts and all, by turns.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import * as bench from "../build/bench/bench.js";
import { readWranglerToml } from "../scripts/lib/settings.mjs";
import { freePort, serve } from "../scripts/lib/workerd.mjs";
import { measureScenarios } from "./scenarios.mjs";

const ROUNDS = 7;
const GOAL = 0.05;
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Runs scenarios in the page as a reader does, and gives the run that it keeps. */
async function runInPage(page, names) {
	await page.locator("input[name=scenario]").first().waitFor();
	for (const input of await page.locator("input[name=scenario]").all()) {
		await input.setChecked(names.includes(await input.inputValue()));
	}
	await page.locator("select[name=l2]").selectOption("memory");
	await page.locator("input[name=repeats]").fill("1");
	await page.locator("#start").click();
	await page.locator("#see-results").waitFor({ state: "detached" });
	await page.locator("#see-results").waitFor({ timeout: 120_000 });
	const id = (await page.locator("#see-results").getAttribute("href")).split("=")[1];
	return page.evaluate(
		(id) =>
			new Promise((resolve) => {
				indexedDB.open("featheredge-benchmark").onsuccess = ({ target: { result } }) => {
					result.transaction("runs").objectStore("runs").get(id).onsuccess = (event) => resolve(event.target.result);
				};
			}),
		id,
	);
}

/** Takes the repetitions of one run into another. */
function join(all, run) {
	if (all === undefined) return run;
	for (const [index, { repeats }] of run.scenarios.entries()) all.scenarios[index].repeats.push(...repeats);
	return all;
}

/** @returns a row for each scenario: the medians in milliseconds, and what the page adds, with its 95 % interval */
export async function measurePage() {
	if (!existsSync(BROWSER)) throw new Error(`no Chromium at ${BROWSER}: install one, or set CHROMIUM`);
	const { url, stop } = await serve({ vars: readWranglerToml().vars, port: await freePort(), onLog: () => {} });
	const browser = await chromium.launch({
		executablePath: BROWSER,
		args: ["--no-sandbox", "--disable-gpu", "--no-first-run"],
	});
	try {
		const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
		await page.goto(url);
		let inNode;
		let inPage;
		const names = ["low_latency_individual", "batch_processing", "mixed_workload", "stress_test"];
		for (let round = 0; round < ROUNDS; round++) {
			inNode = join(inNode, await measureScenarios({ repeats: 1 }));
			inPage = join(inPage, await runInPage(page, names));
		}
		return bench.compare(inNode, inPage, 1).map(({ name, metrics }) => {
			const { left, right, difference, interval } = metrics.find(({ name }) => name === "median_ms");
			const share = (value) => `${((value / left) * 100).toFixed(1)} %`;
			return {
				scenario: name,
				"median in Node": `${left.toFixed(2)} ms`,
				"in the page": `${right.toFixed(2)} ms`,
				"the page adds": share(difference),
				"95 % interval": interval.map(share).join(" to "),
				goal: difference / left <= GOAL ? `≤ ${GOAL * 100} %: met` : `≤ ${GOAL * 100} %: not met`,
			};
		});
	} finally {
		await browser.close();
		await stop();
	}
}
