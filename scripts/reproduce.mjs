// Builds what is shipped once more, from nothing, in another folder, and compares it byte by byte with what is in build/.
//
//   npm run reproduce [-- worker|npm ...]
//
// The other folder has the files that git knows, and this one's node_modules. It fails where a byte differs. So whoever has the sources can
// tell whether a module was made of them: its SHA-256 is printed.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { fromRoot, root } from "../tests/support/root.mjs";
import { Failure, main, mustRun } from "../tests/support/run.mjs";
import { buildNpm, buildWorker } from "./build.mjs";

const BUILDS = {
	worker: { build: buildWorker, files: ["worker/index.js", "worker/index.wasm"] },
	npm: { build: buildNpm, files: ["npm/featheredge.js", "npm/featheredge.wasm"] },
};

const digest = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** Lays the sources as they are here, uncommitted changes included, into an empty folder. */
async function copySources(folder) {
	const listed = await mustRun("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
		capture: true,
		cwd: root,
	});
	for (const file of listed.split("\0").filter((file) => file !== "" && existsSync(fromRoot(file)))) {
		mkdirSync(dirname(join(folder, file)), { recursive: true });
		copyFileSync(fromRoot(file), join(folder, file));
	}
	symlinkSync(fromRoot("node_modules"), join(folder, "node_modules"));
}

async function buildHere(names) {
	for (const name of names) await BUILDS[name].build();
}

await main(async () => {
	const { positionals } = parseArgs({ allowPositionals: true });
	const names = positionals.length > 0 ? positionals : Object.keys(BUILDS);
	const unknown = names.find((name) => !(name in BUILDS));
	if (unknown !== undefined) throw new Failure(`expected ${Object.keys(BUILDS).join(" or ")}, found \`${unknown}\``);
	const folder = mkdtempSync(join(tmpdir(), "featheredge-again-"));
	try {
		await copySources(folder);
		const env = { CARGO_TARGET_DIR: join(folder, "target") };
		// Side by side, for what takes longest of a build, the linker's optimization, is of one thread.
		const builds = await Promise.allSettled([
			buildHere(names),
			mustRun(process.execPath, [join(folder, "scripts/build.mjs"), ...names], { capture: true, cwd: folder, env }),
		]);
		for (const { reason } of builds) if (reason !== undefined) throw reason;
		const files = names.flatMap((name) => BUILDS[name].files);
		for (const file of files) console.log(`${digest(fromRoot("build", file))}  build/${file}`);
		const others = files.filter((file) => digest(fromRoot("build", file)) !== digest(join(folder, "build", file)));
		if (others.length > 0) throw new Failure(`not the same bytes when built again: ${others.join(", ")}`);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});
