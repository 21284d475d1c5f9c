// Writes docs/reference/npm-api.md, the reference of the npm package, from its types. A test holds the two together.
//
//   node scripts/reference.mjs [--check]
//
// `--check` writes nothing, and fails where it would write something else.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main, mustRun } from "../tests/support/run.mjs";

const REFERENCE = fromRoot("docs/reference/npm-api.md");

const OPTIONS = {
	plugin: ["typedoc-plugin-markdown"],
	outputFileStrategy: "modules",
	entryFileName: "index",
	readme: "none",
	name: "featheredge: the API, by its types",
	disableSources: true,
	excludeExternals: true,
	hideBreadcrumbs: true,
	hidePageHeader: true,
	parametersFormat: "table",
	interfacePropertiesFormat: "table",
	classPropertiesFormat: "table",
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

/** The reference as the types have it now. */
async function renderReference() {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-reference-"));
	try {
		const write = (name, value) => {
			writeFileSync(join(folder, name), JSON.stringify(value));
			return join(folder, name);
		};
		const types = fromRoot("npm/types/index.d.ts");
		const tsconfig = write("tsconfig.json", { compilerOptions: COMPILER, files: [types] });
		const options = write("typedoc.json", { ...OPTIONS, entryPoints: [types], tsconfig, out: join(folder, "out") });
		await mustRun(process.execPath, [fromRoot("node_modules/typedoc/bin/typedoc"), "--options", options], {
			capture: true,
		});
		const note = "<!-- Written by `node scripts/reference.mjs` from npm/types/index.d.ts. -->\n\n";
		return note + readFileSync(join(folder, "out/index.md"), "utf8");
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

await main(async () => {
	const reference = await renderReference();
	if (!process.argv.includes("--check")) return writeFileSync(REFERENCE, reference);
	if (readFileSync(REFERENCE, "utf8") !== reference) {
		throw new Failure("docs/reference/npm-api.md is not what the types say: run `node scripts/reference.mjs`");
	}
});
