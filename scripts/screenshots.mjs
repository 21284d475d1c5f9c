// `npm run screenshots`: takes pictures of each tab of the page into build/screenshots, and renews those that the documents show.

import { installPackages } from "../tests/support/prepare.mjs";
import { fromRoot } from "../tests/support/root.mjs";
import { main, mustRun } from "../tests/support/run.mjs";
import { buildPage, buildWorker } from "./build.mjs";

await main(async () => {
	await installPackages();
	await buildWorker();
	await buildPage();
	await mustRun(process.execPath, ["--test", "--test-reporter=spec", fromRoot("tests/browser/screenshots.test.mjs")], {
		env: { FEATHEREDGE_IMAGES: fromRoot("docs/images") },
	});
});
