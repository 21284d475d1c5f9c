// Loaded before a script: it reads each of the lists of arguments in ARGUMENT_LISTS as its own, prints what it refuses, and ends there.

import { syncBuiltinESMExports } from "node:module";
import util from "node:util";

const { parseArgs } = util;
util.parseArgs = (config) => {
	for (const args of JSON.parse(process.env.ARGUMENT_LISTS)) {
		try {
			parseArgs({ ...config, args });
		} catch (error) {
			console.log(`${args.join(" ")}: ${error.message}`);
		}
	}
	process.exit(Number(process.env.PARSED));
};
syncBuiltinESMExports();
