import { defineConfig } from "vite";

// The oldest browsers with `light-dark()`, which the page's colours rest on.
const BROWSERS = ["chrome123", "edge123", "firefox120", "safari17.5"];

export default defineConfig({
	root: import.meta.dirname,
	build: {
		outDir: "dist",
		emptyOutDir: true,
		target: BROWSERS,
		cssTarget: BROWSERS,
		// The content security policy allows no `data:` addresses.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
	},
});
