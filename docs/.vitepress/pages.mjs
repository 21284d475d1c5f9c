// Which files are pages of the site, where each stands, and where their links lead. Links in the files are the ones that work on GitHub.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { REPOSITORY } from "./urls.mjs";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Documents outside of docs/ that are pages, by file. */
const OUTSIDE = {
	"ARCHITECTURE.md": "internals/architecture.md",
	"CONTRIBUTING.md": "project/contributing.md",
	"SECURITY.md": "project/security.md",
	"CHANGELOG.md": "project/changelog.md",
};

/** What comes first in each part of the sidebar, in this order. Other pages follow by name. */
const ORDER = {
	guide: ["start", "feast", "deploy", "npm", "access", "consistency", "resilience", "prefetch", "monitoring", "tune"],
	reference: ["http-api", "configuration", "metrics", "problems", "cli", "npm-api", "benchmark-api"],
	internals: ["architecture", "boundary", "reliability", "performance", "scale"],
	project: ["contributing", "security", "changelog"],
};

const slashed = (path) => path.split(sep).join("/");

/**
 * The page that a file becomes, if it becomes one: a README is its folder's index.
 *
 * @param {string} file relative to the repository
 */
function pageOf(file) {
	if (Object.hasOwn(OUTSIDE, file)) return OUTSIDE[file];
	if (!/^docs\/(?!\.).*\.md$/.test(file)) return undefined;
	return file.slice("docs/".length).replace(/README\.md$/, "index.md");
}

/** Pages by file, as VitePress' `rewrites` has them. */
export const rewrites = Object.fromEntries(
	[
		...Object.keys(OUTSIDE),
		...readdirSync(join(ROOT, "docs"), { recursive: true }).map((name) => `docs/${slashed(name)}`),
	]
		.map((file) => [file, pageOf(file)])
		.filter(([file, page]) => page !== undefined && existsSync(join(ROOT, file))),
);

/**
 * Where a link of a file leads on the site: to a page, or else to the repository.
 *
 * @param {string} file absolute
 * @param {string} href
 */
export function linkOnSite(file, href) {
	if (/^([a-z]+:|[/#])/i.test(href)) return href;
	const [path, fragment] = href.split("#");
	const absolute = resolve(dirname(file), decodeURI(path));
	if (!existsSync(absolute)) throw new Error(`${file} has a link to ${href}, which is not there`);
	const isFolder = statSync(absolute).isDirectory();
	const target = slashed(relative(ROOT, absolute));
	const page = rewrites[isFolder ? posix.join(target, "README.md") : target];
	const to = page === undefined ? `${REPOSITORY}/${isFolder ? "tree" : "blob"}/main/${target}` : `/${page}`;
	return fragment === undefined ? to : `${to}#${fragment}`;
}

/** A page's title: its first heading, without markup. */
function titleOf(file) {
	const [, heading] = /^# (.+)$/m.exec(readFileSync(join(ROOT, file), "utf8")) ?? [];
	if (heading === undefined) throw new Error(`${file} has no heading of the first level`);
	return heading.replaceAll("`", "");
}

/** The entries of a folder: ordered pages, the others by name, and below a page those of the folder that is named like it. */
function entries(folder) {
	const first = ORDER[folder] ?? [];
	const rank = (name) => (first.includes(name) ? first.indexOf(name) : first.length);
	return Object.entries(rewrites)
		.filter(([, page]) => posix.dirname(page) === folder && posix.basename(page) !== "index.md")
		.map(([file, page]) => ({ file, page, name: posix.basename(page, ".md") }))
		.sort((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name))
		.map(({ file, page, name }) => {
			const items = entries(`${folder}/${name}`);
			return { text: titleOf(file), link: `/${page}`, ...(items.length > 0 && { collapsed: true, items }) };
		});
}

/** The sidebar, by kind of document; the glossary stands by itself. */
export function sidebar() {
	const decisions = {
		text: "Decisions",
		link: "/internals/adr/index.md",
		collapsed: true,
		items: entries("internals/adr"),
	};
	return [
		{ text: "Guide", items: entries("guide") },
		{ text: "Reference", items: entries("reference") },
		{ text: "Internals", items: [...entries("internals"), decisions] },
		...entries("."),
		{ text: "Project", items: entries("project") },
	];
}
