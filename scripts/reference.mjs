// Writes docs/reference/npm-api.md and benchmark-api.md, the references of the npm package, from its types. A test compares them.
//
//   node scripts/reference.mjs [--check]
//
// `--check` writes nothing, and fails where it would write something else.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Application, Converter, ReflectionKind } from "typedoc";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main } from "../tests/support/run.mjs";

/** Each reference: its document, its types, and how it begins. */
const REFERENCES = [
	{
		document: "docs/reference/npm-api.md",
		types: "npm/types/index.d.ts",
		head: `# npm API

Every class, type and function of the package \`featheredge\`, from its type declarations.
[The engine in your program](../guide/npm.md) shows how to use them.`,
	},
	{
		document: "docs/reference/benchmark-api.md",
		types: "npm/types/benchmark.d.ts",
		head: `# Benchmark API

Every class, type and function of \`featheredge/benchmark\`, from its type declarations.
[Benchmark in code](../guide/benchmark-library.md) shows how to use them.`,
	},
];

/** Columns at which lines break. */
const WIDTH = 100;

const OPTIONS = {
	plugin: ["typedoc-plugin-markdown"],
	outputFileStrategy: "modules",
	entryFileName: "index",
	readme: "none",
	disableSources: true,
	excludeExternals: true,
	hideBreadcrumbs: true,
	hidePageHeader: true,
	hidePageTitle: true,
	expandParameters: true,
	logLevel: "Warn",
};

const COMPILER = {
	module: "nodenext",
	target: "es2022",
	lib: ["es2023", "dom", "dom.iterable", "esnext.disposable"],
	types: [],
	strict: true,
	noEmit: true,
};

/** Leaves out what a class or an interface has from the one that it extends, and the constructors of errors. */
function withoutInherited({ project }) {
	for (const reflection of project.getReflectionsByKind(ReflectionKind.All)) {
		if (reflection.inheritedFrom || reflection.kindOf(ReflectionKind.Constructor)) project.removeReflection(reflection);
	}
}

/** Leaves out the lists of parameters and results, which the signatures have. */
function withoutParameters(lines) {
	let level = 0;
	return lines.filter((line) => {
		const [, marks, heading] = /^(#+) (.+)$/.exec(line) ?? [];
		if (heading === "Parameters" || heading === "Returns") level = marks.length;
		else if (line === "***" || heading === "Call Signature" || marks?.length < level) level = 0;
		return level === 0;
	});
}

/** Breaks a line of prose or of a signature, never before a word that would begin a block there. */
function wrapped(line) {
	if (line.length <= WIDTH || /^(?:#|\|)/.test(line)) return line;
	const next = line.startsWith("> ") ? "> " : line.startsWith("- ") ? "  " : "";
	const lines = [];
	let current = "";
	for (const word of line.split(" ")) {
		if (current.length + 1 + word.length > WIDTH && !/^(?:[-+*#>=|]|\d+[.)])/.test(word)) {
			lines.push(current);
			current = next + word;
		} else current = current === "" ? word : `${current} ${word}`;
	}
	return [...lines, current].join("\n");
}

/**
 * A reference as the types have it now.
 *
 * @param {(typeof REFERENCES)[number]} reference
 */
async function render({ types: file, head }) {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-reference-"));
	try {
		const tsconfig = join(folder, "tsconfig.json");
		const types = fromRoot(file);
		writeFileSync(tsconfig, JSON.stringify({ compilerOptions: COMPILER, files: [types] }));
		const out = join(folder, "out");
		const app = await Application.bootstrapWithPlugins({ ...OPTIONS, entryPoints: [types], tsconfig, out });
		app.converter.on(Converter.EVENT_RESOLVE_BEGIN, withoutInherited);
		const project = await app.convert();
		if (project === undefined || app.logger.hasErrors()) throw new Failure("the types cannot be documented");
		await app.generateOutputs(project);
		const text = readFileSync(join(out, "index.md"), "utf8");
		const about = `<!-- Written by \`node scripts/reference.mjs\` from ${file}. -->\n\n${head}\n\n`;
		return about + withoutParameters(text.split("\n")).map(wrapped).join("\n");
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

await main(async () => {
	for (const reference of REFERENCES) {
		const rendered = await render(reference);
		const document = fromRoot(reference.document);
		if (!process.argv.includes("--check")) writeFileSync(document, rendered);
		else if (readFileSync(document, "utf8") !== rendered) {
			throw new Failure(`${reference.document} is not what the types say: run \`node scripts/reference.mjs\``);
		}
	}
});
