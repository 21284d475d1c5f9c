// Rows of a file, batch by batch, from any row on: Parquet, CSV or newline-delimited JSON, by the file's
// extension.
//
// It knows nothing of features. A row is an object by column name. A CSV's text that looks like a number is
// one, except in columns that are declared as texts.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { parse } from "../src/json.js";
import { EXIT, Failure } from "./failure.js";

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const VECTOR_OR_OBJECT = /^[[{]/;

const FORMATS = { parquet: readParquet, csv: readCsv, ndjson: readNdjson, jsonl: readNdjson };

/**
 * @param {string} file
 * @param {{ batch: number, from?: number, texts?: string[] }} options `from` is the number of the first row
 * @returns {Promise<{ total?: number, batches: AsyncIterable<Record<string, unknown>[]> }>} `total` if the file states it
 */
export async function openRows(file, { batch, from = 0, texts = [] }) {
	const format = FORMATS[file.split(".").at(-1).toLowerCase()];
	if (format === undefined) {
		throw new Failure(
			`\`${file}\` must be one of ${Object.keys(FORMATS)
				.map((name) => `.${name}`)
				.join(", ")}`,
			EXIT.usage,
		);
	}
	return format(file, { batch, from, texts: new Set(texts) });
}

async function readParquet(file, { batch, from }) {
	const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import("hyparquet");
	const buffer = await asyncBufferFromFile(file);
	let metadata;
	try {
		metadata = await parquetMetadataAsync(buffer);
	} catch (error) {
		throw new Failure(`\`${file}\` is not a Parquet file: ${error.message}`);
	}
	const total = Number(metadata.num_rows);
	async function* batches() {
		for (let start = from; start < total; start += batch) {
			yield await parquetReadObjects({
				file: buffer,
				metadata,
				rowStart: start,
				rowEnd: Math.min(start + batch, total),
			});
		}
	}
	return { total, batches: batches() };
}

async function readCsv(file, { batch, from, texts }) {
	const { parse: parseCsv } = await import("csv-parse");
	const rows = createReadStream(file).pipe(parseCsv({ columns: true, bom: true, skip_empty_lines: true }));
	const typed = (row) =>
		Object.fromEntries(Object.entries(row).map(([name, text]) => [name, value(text, texts.has(name))]));
	return { batches: batched(file, rows, typed, batch, from) };
}

function value(text, isText) {
	if (isText) return text;
	if (text === "") return null;
	if (text === "true" || text === "false") return text === "true";
	if (NUMBER.test(text)) return parse(text);
	if (!VECTOR_OR_OBJECT.test(text)) return text;
	try {
		return parse(text);
	} catch {
		return text;
	}
}

async function readNdjson(file, { batch, from }) {
	async function* filled() {
		// Created when it is read: earlier lines would be lost.
		const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
		for await (const line of lines) if (line.trim() !== "") yield line;
	}
	return { batches: batched(file, filled(), parse, batch, from) };
}

async function* batched(file, source, read, size, from) {
	let number = 0;
	let batch = [];
	try {
		for await (const raw of source) {
			number += 1;
			if (number <= from) continue;
			batch.push(read(raw));
			if (batch.length === size) {
				yield batch;
				batch = [];
			}
		}
	} catch (error) {
		throw new Failure(`\`${file}\`, row ${number}: ${error.message}`);
	}
	if (batch.length > 0) yield batch;
}

/**
 * The columns of rows: the keys, the features (by default all others), and the event times, if they are named.
 *
 * @param {object[]} rows
 * @param {{ keys: string[], features?: string[], eventTime?: string }} options
 */
export function columnsOf(rows, { keys, features, eventTime }) {
	const column = (name) => rows.map((row) => row[name]);
	const names = features ?? Object.keys(rows[0]).filter((name) => !keys.includes(name) && name !== eventTime);
	for (const name of [...keys, ...names, ...(eventTime === undefined ? [] : [eventTime])]) {
		if (!(name in rows[0])) throw new Failure(`the file has no column \`${name}\``, EXIT.usage);
	}
	for (const key of keys) {
		if (column(key).some((value) => value === null || value === undefined)) {
			throw new Failure(`a row has no value in its key column \`${key}\``);
		}
	}
	return {
		columns: Object.fromEntries(keys.map((key) => [key, column(key)])),
		values: Object.fromEntries(names.map((name) => [name, column(name).map(plain)])),
		eventTimestamps: eventTime === undefined ? undefined : column(eventTime),
	};
}

/** Adds a view to references of features that lack one. */
export const qualifiedBy = (view) => (name) => (name.includes(":") ? name : `${view}:${name}`);

/** A vector may be a typed array, which JSON would write as an object. */
const plain = (value) => (ArrayBuffer.isView(value) ? Array.from(value) : (value ?? null));
