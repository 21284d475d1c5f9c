// `npm run screenshots`: takes pictures of each tab of the page into build/screenshots, and renews those that the documents show.

import { buildPage, buildWorker } from "./build.mjs";
import { installPackages } from "./lib/prepare.mjs";
import { fromRoot } from "./lib/root.mjs";
import { main, mustRun } from "./lib/run.mjs";

await main(async () => {
	await installPackages();
	await buildWorker();
	await buildPage();
	await mustRun(process.execPath, ["--test", "--test-reporter=spec", fromRoot("tests/browser/screenshots.test.mjs")], {
		env: { FEATHEREDGE_IMAGES: fromRoot("docs/images") },
	});
});
