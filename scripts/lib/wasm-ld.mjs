#!/usr/bin/env node
// The toolchain's linker, told to export less: the `worker` crate and what it uses export classes that no Worker here calls, and whatever is
// exported stays in the module with all that it leads to, which is 5 KB gzipped. rustc has no option for it.

import { spawnSync } from "node:child_process";

const UNUSED = /intounderlying|r2range|minifyconfig|containerstartupoptions|__worker_init_state/;

const args = process.argv.slice(2);
const isUnused = (index) => args[index] === "--export" && UNUSED.test(args[index + 1]);
const kept = args.filter((_, index) => !isUnused(index) && !isUnused(index - 1));
// rustc puts it on the path.
const { status } = spawnSync("rust-lld", kept[0] === "-flavor" ? kept : ["-flavor", "wasm", ...kept], {
	stdio: "inherit",
});
process.exit(status ?? 1);
