// Tables of commands: a line for each row, and a rule below the head only.

import Table from "cli-table3";
import { visible } from "./visible.js";

/** The first character of a rule; a row begins with a border. */
const RULE = "├";

/**
 * @param {string[]} head
 * @param {unknown[][]} rows
 */
export function tableOf(head, rows) {
	const table = new Table({ head, style: { head: [], border: [] } });
	table.push(...rows.map((row) => row.map(visible)));
	const lines = table.toString().split("\n");
	const first = lines.findIndex((line) => line.startsWith(RULE));
	return lines.filter((line, at) => at <= first || !line.startsWith(RULE)).join("\n");
}
