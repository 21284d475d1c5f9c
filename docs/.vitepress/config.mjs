// The documentation as a site: `npm run docs`. Every page holds a policy that lets it ask nothing of another host.

import { createHash } from "node:crypto";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitepress";
import { linkOnSite, ROOT, rewrites, sidebar } from "./pages.mjs";
import { slugify } from "./slug.mjs";
import { BENCHMARK, REPOSITORY } from "./urls.mjs";

/** A `<picture>` for both color schemes follows the reader's system; the site's switch chooses between two images. */
function picturesBySwitch(html) {
	return html.replaceAll(
		/<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">\s*<img alt="([^"]*)" src="([^"]+)">\s*<\/picture>/g,
		(_, dark, alt, light) =>
			`<img class="by-day" loading="lazy" alt="${alt}" src="${light}"><img class="by-night" loading="lazy" alt="${alt}" src="${dark}">`,
	);
}

/** @param {import("markdown-it").default} md */
function markdown(md) {
	const open = md.renderer.rules.link_open;
	md.renderer.rules.link_open = (tokens, index, options, env, self) => {
		tokens[index].attrSet("href", linkOnSite(env.realPath ?? env.path, tokens[index].attrGet("href")));
		return open(tokens, index, options, env, self);
	};
	md.renderer.rules.html_block = (tokens, index) => picturesBySwitch(tokens[index].content);
	// A wide table scrolls in a box of its own, which the keyboard reaches.
	md.renderer.rules.table_open = () => '<div class="table" tabindex="0" role="region" aria-label="Table"><table>\n';
	md.renderer.rules.table_close = () => "</table></div>\n";
}

/** Allows a page its own inline scripts, by digest, and nothing from elsewhere. */
function withPolicy(html) {
	const digests = [...html.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
		([, text]) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`,
	);
	const policy = [
		"default-src 'self'",
		`script-src 'self' ${[...new Set(digests)].join(" ")}`,
		"style-src 'self' 'unsafe-inline'",
		"img-src 'self' data:",
		"object-src 'none'",
		"base-uri 'none'",
		"form-action 'none'",
	].join("; ");
	return html.replace(
		/<meta charset="utf-8">/,
		`$&\n    <meta http-equiv="Content-Security-Policy" content="${policy}">`,
	);
}

const parts = sidebar();

export default defineConfig({
	title: "Featheredge",
	description: "Machine-learning features from the edge, in front of Feast or any feature server",
	lang: "en",
	srcDir: "..",
	srcExclude: ["{build,target,fuzz,crates,tests,www,benches,examples,npm,tools,src}/**", "README.md"],
	outDir: "../build/docs",
	cacheDir: "../build/cache/docs",
	rewrites,
	metaChunk: true,
	head: [["link", { rel: "icon", href: "/favicon.svg", type: "image/svg+xml" }]],
	markdown: {
		anchor: { slugify },
		// GitHub knows no attributes in braces.
		attrs: { disable: true },
		theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
		config: markdown,
	},
	themeConfig: {
		logo: "/favicon.svg",
		nav: [
			...["Guide", "Reference", "Internals"].map((text) => ({
				text,
				link: parts.find((part) => part.text === text).items[0].link,
				activeMatch: `^/${text.toLowerCase()}/`,
			})),
			{ text: "Benchmark", link: BENCHMARK },
		],
		sidebar: parts,
		outline: [2, 3],
		externalLinkIcon: true,
		editLink: { pattern: `${REPOSITORY}/edit/main/:path`, text: "Edit this page" },
		socialLinks: [{ icon: "github", link: REPOSITORY, ariaLabel: "Repository" }],
		search: {
			provider: "local",
			options: {
				// All words of a name such as `stale_if_error_seconds`; a typing error is forgiven from six letters on.
				miniSearch: { searchOptions: { combineWith: "AND", prefix: true, fuzzy: 0.09 } },
			},
		},
	},
	// The search's index is one chunk, which is fetched when someone searches.
	vite: { build: { chunkSizeWarningLimit: 2000 } },
	transformHtml: withPolicy,
	buildEnd: ({ outDir }) => copyFileSync(join(ROOT, "www/public/favicon.svg"), join(outDir, "favicon.svg")),
});
