// The documentation's site as a reader has it: built, and opened in a Chromium that may ask nothing of another host.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { chromium as playwright } from "playwright-core";
import { violations } from "../browser/axe.mjs";
import { skip } from "../browser/pages.mjs";
import { ARGUMENTS, chromium, MISSING } from "../support/chromium.mjs";
import { fromRoot, paths } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

/** Nothing listens there: what the browser asks of it is taken from the built files. */
const SITE = "http://docs.test";
const PICTURES = fromRoot("build/screenshots");
const TYPES = {
	".html": "text/html",
	".js": "text/javascript",
	".css": "text/css",
	".svg": "image/svg+xml",
	".jpg": "image/jpeg",
};
/** The start page, one of each kind, and what is no file of docs/. */
const PAGES = {
	start: "/",
	guide: "/guide/consistency.html",
	reference: "/reference/configuration.html",
	architecture: "/internals/architecture.html",
};
const KEY = "stale_if_error_seconds";
/**
 * What counts of axe's findings. Excepted is what VitePress' search box breaks by its markup: a result is a link within an option,
 * and its label has the path of headings where its text has icons, too.
 */
const SERIOUS = { impacts: ["serious", "critical"], except: ["nested-interactive", "label-content-name-mismatch"] };
const LOOKS = ["light", "dark"].flatMap((colorScheme) => [390, 768, 1280].map((width) => ({ colorScheme, width })));

before(() => mustRun(process.execPath, [fromRoot("scripts/docs.mjs")], { capture: true }));

const pages = () => readdirSync(paths.docs, { recursive: true }).filter((name) => name.endsWith(".html"));

test("every link of the site leads to a page and an anchor that are there", () => {
	const anchors = new Map();
	const anchorsOf = (page) => {
		if (!anchors.has(page)) {
			const text = readFileSync(join(paths.docs, page), "utf8");
			anchors.set(page, new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)));
		}
		return anchors.get(page);
	};
	const lost = [];
	for (const page of pages()) {
		const text = readFileSync(join(paths.docs, page), "utf8");
		for (const [, href] of text.matchAll(/<a [^>]*?href="([^"]+)"/g)) {
			const url = new URL(href.replaceAll("&amp;", "&"), `${SITE}/${page}`);
			if (url.origin !== SITE) continue;
			const path = decodeURI(url.pathname)
				.slice(1)
				.replace(/(^|\/)$/, "$1index.html");
			if (!existsSync(join(paths.docs, path))) lost.push(`${page}: ${href}`);
			else if (url.hash !== "" && !anchorsOf(path).has(decodeURIComponent(url.hash.slice(1))))
				lost.push(`${page}: ${href}`);
		}
	}
	assert.deepEqual(lost, []);
});

test("every page forbids itself to ask anything of another host", () => {
	for (const page of pages()) {
		const [, policy = ""] =
			/http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(readFileSync(join(paths.docs, page), "utf8")) ?? [];
		assert.match(policy, /default-src 'self'; script-src 'self'(?! 'unsafe)/, page);
		assert.doesNotMatch(policy, /https?:|\*/, page);
	}
});

describe("the site in a browser", { skip }, () => {
	/** @type {import("playwright-core").Browser} */
	let browser;
	/** What the pages of a test asked of others, and what their consoles said. */
	let faults = [];

	before(async () => {
		assert.ok(chromium(), MISSING);
		mkdirSync(PICTURES, { recursive: true });
		browser = await playwright.launch({ executablePath: chromium(), args: ARGUMENTS });
	});
	after(() => browser?.close());
	afterEach(async () => {
		await Promise.all(browser.contexts().map((context) => context.close()));
		const found = faults;
		faults = [];
		assert.deepEqual(found, []);
	});

	async function open({ colorScheme, width }) {
		const viewport = { width, height: 900 };
		const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
		await context.route("**", (route) => {
			const url = new URL(route.request().url());
			if (url.origin !== SITE) {
				faults.push(`a request to ${url}`);
				return route.abort();
			}
			const file = join(paths.docs, decodeURI(url.pathname).replace(/\/$/, "/index.html"));
			if (!existsSync(file)) return route.fulfill({ status: 404 });
			return route.fulfill({ body: readFileSync(file), contentType: TYPES[extname(file)] });
		});
		const page = await context.newPage();
		page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
		page.on("pageerror", (error) => faults.push(String(error)));
		return page;
	}

	for (const { colorScheme, width } of LOOKS) {
		test(`pages in ${colorScheme} at ${width} px fit, and axe finds nothing serious`, async () => {
			const page = await open({ colorScheme, width });
			for (const [name, path] of Object.entries(PAGES)) {
				await page.goto(`${SITE}${path}`);
				await page.screenshot({ path: join(PICTURES, `docs-${name}-${width}-${colorScheme}.png`) });
				assert.deepEqual(await violations(page, SERIOUS), [], name);
				const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
				assert.ok(excess <= 0, `${name}: ${excess} px too wide`);
			}
		});

		test(`search in ${colorScheme} at ${width} px finds a key of the configuration`, async () => {
			const page = await open({ colorScheme, width });
			await page.goto(SITE);
			await page
				.getByRole("button", { name: /search/i })
				.first()
				.click();
			await page.getByRole("searchbox").fill(KEY);
			const found = page.locator('[role=option] a[href*="reference/configuration.html"]').first();
			await found.waitFor();
			await page.screenshot({ path: join(PICTURES, `docs-search-${width}-${colorScheme}.png`) });
			assert.deepEqual(await violations(page, SERIOUS), []);
			await found.click();
			await page.waitForURL(/configuration\.html/);
			await page.locator(".vp-doc").getByText(KEY).first().waitFor();
		});
	}

	test("the longest page and its wide tables fit a phone", async () => {
		const page = await open({ colorScheme: "light", width: 390 });
		await page.goto(`${SITE}/reference/npm-api.html`);
		assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
	});

	test("a request that a page makes of another host is seen, and its policy forbids it", async () => {
		const page = await open(LOOKS[0]);
		await page.goto(SITE);
		const error = await page.evaluate(() => fetch("https://example.org/").catch(String));
		assert.match(error, /TypeError/);
		assert.match(faults.join(), /Content Security Policy/);
		faults = [];
	});
});
