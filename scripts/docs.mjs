// `npm run docs`: builds the documentation's site into build/docs; `--serve` shows it afterwards.

import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { installPackages } from "../tests/support/prepare.mjs";
import { fromRoot, paths } from "../tests/support/root.mjs";
import { main } from "../tests/support/run.mjs";

await main(async () => {
	const { values } = parseArgs({ options: { serve: { type: "boolean" }, port: { type: "string", default: "4173" } } });
	await installPackages();
	const { build, serve } = await import("vitepress");
	rmSync(paths.docs, { recursive: true, force: true });
	await build(fromRoot("docs"));
	if (values.serve) await serve({ root: fromRoot("docs"), port: Number(values.port) });
});
