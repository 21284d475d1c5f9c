// Links between the documents, and the paths that they name, as files of the repository have them; tests/docs/site.test.mjs has the links of
// the built site.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { linkOnSite } from "../../docs/.vitepress/pages.mjs";
import { slugify } from "../../docs/.vitepress/slug.mjs";
import { REPOSITORY } from "../../docs/.vitepress/urls.mjs";
import { fromRoot } from "../support/root.mjs";
import { files, proseLines, read } from "./documents.mjs";

/** Links in text, definitions of links, images of both color schemes, and the buttons of a start page. */
const LINK = /(?:\]\(|^\[[^\]]+\]: |(?:srcset|src|href)="|^\s+link: )(?!https?:|mailto:)([^)\s"]+)/gm;

/** @param {string} text of a document */
function anchors(text) {
	const found = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id));
	const times = new Map();
	for (const line of proseLines(text)) {
		const [, heading] = /^#{1,6} (.+)$/.exec(line) ?? [];
		if (heading === undefined) continue;
		const slug = slugify(heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1"));
		const time = times.get(slug) ?? 0;
		times.set(slug, time + 1);
		found.add(time === 0 ? slug : `${slug}-${time}`);
	}
	return found;
}

/** Links of a document that lead nowhere. */
function lostLinks(file, text) {
	const withoutCode = proseLines(text)
		.join("\n")
		.replaceAll(/`[^`\n]+`/g, "");
	const buttons = /^---\n[\s\S]*?\n---/.exec(text)?.[0] ?? "";
	return [...`${buttons}\n${withoutCode}`.matchAll(LINK)]
		.map(([, target]) => target)
		.filter((target) => {
			const [path, fragment] = target.split("#");
			if (path === "") return !anchors(text).has(fragment);
			// Only the start page has absolute ones, into the site.
			const to = path.startsWith("/") ? join("docs", path) : join(dirname(file), decodeURI(path));
			if (!existsSync(fromRoot(to))) return !existsSync(fromRoot(`${to}.md`));
			return fragment !== undefined && to.endsWith(".md") && !anchors(read(to)).has(fragment);
		});
}

/** Paths in backticks of files that are sources or documents, and of folders; wildcards and the paths of URLs are none, and `build/` is what builds write. */
const PATH =
	/(?<!`)`(?!build\/)((?:[\w.@-]+\/)*[\w@.-]*\w\.(?:css|html|js|json|lock|md|mjs|py|rs|sh|toml|ts|yaml|yml)|(?:[\w.@-]+\/)+)`(?!`)/g;

/** Paths of no file of the repository, with the reason. */
const ELSEWHERE = {
	"benchmark-budget.json": "a reader's file",
	"FILE-00000.json": "a file that a command writes",
	"crates/cache/src/fifo.rs": "a file that the example adds",
	"feast.toml": "a reader's file",
	"feature_store.yaml": "a file of Feast",
	"next.config.js": "a reader's file",
	"npm/src/stores/NAME.js": "a file that the example adds",
	"npm/types/NAME.d.ts": "a file that the example adds",
};

/** The files that git knows or would add, so that the results of builds are none, with their folders and base names. */
const KNOWN = new Set(
	files().flatMap((file) => {
		const folders = file.split("/").map((_, depth, steps) => `${steps.slice(0, depth).join("/")}/`);
		return [file, basename(file), ...folders];
	}),
);

/** The paths that a document names, of which none is a file: from the root, from the document, or short as in ARCHITECTURE.md. */
function lostPaths(file, text) {
	const named = [...proseLines(text).join("\n").matchAll(PATH)].map(([, path]) => path);
	return [...new Set(named)].filter((path) => {
		const [folder, ...rest] = path.split("/");
		const meant = [path, join(dirname(file), path), join("crates", folder, "src", ...rest), join("npm/src", path)];
		return !meant.some((path) => KNOWN.has(path));
	});
}

test("a link to a missing file or heading is found", () => {
	const text =
		"# One `thing`\n\n## Same\n\n## Same\n\n```sh\n# no heading\n```\n\n[a](#one-thing) [b](#same-1) `[c](none.md)`\n";
	assert.deepEqual(lostLinks("docs/x.md", text), []);
	const lost = "[a](#same-2) [b](#no-heading) [c](none.md)\n\n[d]: ../none/\n";
	assert.deepEqual(lostLinks("docs/x.md", text + lost), ["#same-2", "#no-heading", "none.md", "../none/"]);
});

test("every link in the documents leads to a file and a heading that are there", () => {
	const lost = files("*.md").flatMap((file) => lostLinks(file, read(file)).map((target) => `${file}: ${target}`));
	assert.deepEqual(lost, []);
});

test("a path of no file is found, in each of its forms", () => {
	const named = ["tests/docs/links.test.mjs", "adr/README.md", "cache/lru.rs", "gateway/web.js", "lru.rs", "crates/"];
	const text = `${named.map((path) => `\`${path}\``).join(" ")} \`/openapi.json\` \`*.md\` \`application/x-ndjson\`\n`;
	assert.deepEqual(lostPaths("docs/internals/x.md", text), []);
	const lost = [
		"tests/docs/none.test.mjs",
		"adr/NONE.md",
		"cache/marks.rs",
		"gateway/none.js",
		"conduct.rs",
		"crates/none/",
	];
	const lostText = `| \`${lost.join("` |\n| `")}\` |\n`;
	assert.deepEqual(lostPaths("docs/internals/x.md", lostText), lost);
});

test("every path of a source or a document in the documents is one of the repository", () => {
	const lost = files("*.md").flatMap((file) => lostPaths(file, read(file)).map((path) => [path, file]));
	assert.deepEqual(
		lost.filter(([path]) => !(path in ELSEWHERE)).map(([path, file]) => `${file}: ${path}`),
		[],
	);
	const found = new Set(lost.map(([path]) => path));
	assert.deepEqual(
		Object.keys(ELSEWHERE).filter((path) => !found.has(path)),
		[],
		"these exceptions cover nothing",
	);
});

test("on the site a link leads to a page, or else to the repository, and one to nothing fails the build", () => {
	const to = (href) => linkOnSite(fromRoot("docs/guide/npm.md"), href);
	assert.equal(to("../reference/cli.md#x"), "/reference/cli.md#x");
	assert.equal(to("../../ARCHITECTURE.md"), "/internals/architecture.md");
	assert.equal(to("../internals/adr/"), "/internals/adr/index.md");
	assert.equal(to("../../deny.toml"), `${REPOSITORY}/blob/main/deny.toml`);
	assert.equal(to("../../examples/npm/"), `${REPOSITORY}/tree/main/examples/npm`);
	for (const href of ["#x", "/guide/npm", "https://feast.dev", "mailto:a@b.c"]) assert.equal(to(href), href);
	assert.throws(() => to("none.md"), /none\.md/);
});
