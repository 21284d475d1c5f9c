// Finds a Chromium to test with. `npm test` installs Debian's beforehand; none is downloaded from anywhere else.

import { existsSync } from "node:fs";

const PLACES = [
	process.env.CHROMIUM,
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** A browser in a test speaks to the test alone. */
export const ARGUMENTS = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	// Neither does it ask its maker about forms or updates, through the proxy that watches for downloads.
	"--disable-features=AutofillServerCommunication,OptimizationHints",
	"--no-proxy-server",
];

/** What to tell a person who has none. */
export const MISSING = "no Chromium: run `sudo apt-get install chromium`, or set CHROMIUM to the path of one";

/** The path of the program, where there is one. */
export const chromium = () => PLACES.find((place) => place && existsSync(place));
