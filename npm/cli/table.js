// Tables of commands: a line for each row, and a rule below the head only.

import Table from "cli-table3";
import { visible } from "./output.js";

/** The first character of a rule; a row begins with a border. */
const RULE = "├";

/** The most rows of a table, and characters of a cell: a server's answer may have millions. */
const MAX_ROWS = 1_000;
const MAX_CELL = 120;

function cellOf(value) {
	const text = visible(value ?? "");
	return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL - 1)}…` : text;
}

/**
 * @param {string[]} head
 * @param {unknown[][]} rows
 * @returns {string[]} its lines
 */
export function tableOf(head, rows) {
	const table = new Table({ head: head.map(cellOf), style: { head: [], border: [] } });
	table.push(...rows.slice(0, MAX_ROWS).map((row) => row.map(cellOf)));
	const lines = table.toString().split("\n");
	const first = lines.findIndex((line) => line.startsWith(RULE));
	const more = rows.length - MAX_ROWS;
	return [
		...lines.filter((line, at) => at <= first || !line.startsWith(RULE)),
		...(more > 0 ? [`and ${more} more rows, which \`--json\` prints`] : []),
	];
}
