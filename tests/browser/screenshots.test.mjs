// Takes pictures of each tab, to be looked at, in build/screenshots; `npm run screenshots` renews those of the documents by it.

import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { measure, measureFirst, RUN_TIMEOUT_MS } from "../support/measurement.mjs";
import { fromRoot } from "../support/root.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";

const FOLDER = fromRoot("build/screenshots");
/** Where the documents' own are put, if they are to be renewed. */
const IMAGES = process.env.FEATHEREDGE_IMAGES;
/** As tall as the documents have them. */
const HEIGHTS = { run: 900, results: 820, live: 960 };
const STANDARD = ["low_latency_individual", "batch_processing", "mixed_workload", "stress_test"];
/** How long requests are made for Live, in looks of two seconds, and how much is measured: more for pictures that stay. */
const [LOOKS, SCALE] = IMAGES === undefined ? [3, "0.25"] : [5, "1"];

describe("pictures of the page", { skip, timeout: 900_000 }, () => {
	const world = pagesOfWorker();

	/** Requests for popular entities, some of which nobody has asked for yet. */
	async function traffic(look) {
		for (let number = 0; number < 40; number++) {
			const entity = Math.floor(Math.random() ** 3 * 40 * (look + 2));
			await world.worker.post("/v1/features", {
				entity_ids: [`u${entity}`, `u${entity + 1}`],
				feature_names: ["score"],
			});
		}
	}

	const DESK = ["desk", { width: 1280, height: 820 }];
	// The documents have both schemes on the desk; elsewhere one shows the layout. `looks.test.mjs` judges all of them: without pictures to
	// renew, one look shows that they can be taken.
	const looks = [
		[...DESK, ["light", "dark"]],
		["phone", { width: 390, height: 844 }, ["light"]],
		["wall", { width: 3840, height: 2160 }, ["dark"]],
	];
	for (const [size, viewport, schemes] of IMAGES === undefined ? [[...DESK, ["light"]]] : looks) {
		for (const colorScheme of schemes) {
			test(`each tab in ${colorScheme} on the ${size}`, async () => {
				mkdirSync(FOLDER, { recursive: true });
				const page = await world.open({ colorScheme, viewport });
				const taken = [];
				const take = async (name) => {
					const path = join(FOLDER, `${name}-${size}-${colorScheme}.png`);
					await page.screenshot({ path, fullPage: size !== "wall" });
					const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
					assert.ok(excess <= 0, `${name}: ${excess} px too wide`);
					taken.push(path);
					if (IMAGES === undefined || size !== "desk" || HEIGHTS[name] === undefined) return;
					await page.evaluate(() => scrollTo(0, 0));
					await page.setViewportSize({ ...viewport, height: HEIGHTS[name] });
					await page.screenshot({ path: join(IMAGES, `${name}-${colorScheme}.jpg`), type: "jpeg", quality: 85 });
					await page.setViewportSize(viewport);
				};
				await take("start");
				await measureFirst(page);
				await take("run");
				await page.locator("#standard-start").click();
				await page
					.locator("#standard-view")
					.getByRole("link", { name: "See the results" })
					.waitFor({ timeout: RUN_TIMEOUT_MS });
				await take("standard");
				for (const _ of [1, 2]) await measure(page, { only: STANDARD, repeats: 3, scale: SCALE });
				await take("setup");
				await page.locator("#run-state").getByRole("link", { name: "See the results" }).click();
				await page.getByRole("heading", { name: "stress_test" }).waitFor();
				await page.locator("#results canvas").nth(1).waitFor();
				await take("results");
				await page.locator("#compared-run").selectOption({ index: 1 });
				await page.getByRole("table", { name: "Verdicts and changes by scenario" }).waitFor();
				await take("compared");
				await page.getByRole("tab", { name: "Live" }).click();
				await page.locator("#live[data-state=shown]").waitFor();
				for (let look = 0; look < LOOKS; look++) {
					const next = page.waitForResponse("**/v1/alerts*");
					await traffic(look);
					await next;
				}
				await page.locator("#live canvas").nth(2).waitFor();
				await take("live");
				await page.getByRole("tab", { name: "Try" }).click();
				for (const label of [/^Send/, "Send again"]) {
					await page.getByRole("button", { name: label }).click();
					await page.locator("#answer:not([aria-busy])").waitFor();
				}
				await page
					.getByRole("row", { name: /risk_score/ })
					.first()
					.waitFor();
				await take("try");
				assert.ok(taken.every(existsSync));
			});
		}
	}
});
