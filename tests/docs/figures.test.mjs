// Measured figures stand in docs/figures.json, and in documents only as tables generated from it.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FIGURES, readTables, record, rendered, renew, writeTables } from "../support/figures.mjs";
import { fromRoot } from "../support/root.mjs";
import { figuresIn, problemsIn, proseOf, readDocuments } from "./measured.mjs";

const TABLE = {
	title: "Speed",
	date: "2026-01-01",
	machine: "one core",
	command: "npm run bench",
	columns: ["what", "time"],
	rows: [["all", "3 ms"]],
};
const MARKED = "# A page\n\n<!-- figures:speed -->\n<!-- /figures -->\n\nThe end.\n";

/** A folder with these documents, for as long as a test runs. */
function folder(t, documents) {
	const root = mkdtempSync(join(tmpdir(), "figures-"));
	t.after(() => rmSync(root, { recursive: true }));
	mkdirSync(join(root, "docs"));
	for (const [name, text] of Object.entries(documents)) writeFileSync(join(root, name), text);
	return root;
}

test("the documents have the tables of docs/figures.json", () => {
	const { changed, problems } = rendered(readTables());
	assert.deepEqual(
		{ changed: [...changed.keys()], problems },
		{ changed: [], problems: [] },
		"`npm run figures` writes them",
	);
});

test("docs/figures.json is as `--record` writes it", (t) => {
	const file = join(folder(t, {}), "figures.json");
	writeTables(file, readTables());
	assert.equal(readFileSync(file, "utf8"), readFileSync(FIGURES, "utf8"));
});

test("a table is written between its markers, with caption, and once", (t) => {
	const root = folder(t, { "docs/page.md": MARKED });
	assert.deepEqual(renew({ speed: TABLE }, root), { written: ["docs/page.md"], problems: [] });
	const caption = "**Speed.** Measured 2026-01-01; one core. Command: `npm run bench`.";
	const table = "| what | time |\n| --- | --- |\n| all | 3 ms |";
	const block = `<!-- figures:speed -->\n\n${caption}\n\n${table}\n\n<!-- /figures -->`;
	assert.equal(readFileSync(join(root, "docs/page.md"), "utf8"), `# A page\n\n${block}\n\nThe end.\n`);
	assert.deepEqual(renew({ speed: TABLE }, root), { written: [], problems: [] });
});

test("a document that differs from its table is found", (t) => {
	const root = folder(t, { "docs/page.md": MARKED });
	renew({ speed: TABLE }, root);
	const path = join(root, "docs/page.md");
	writeFileSync(path, readFileSync(path, "utf8").replace("3 ms", "2 ms"));
	assert.deepEqual([...rendered({ speed: TABLE }, root).changed.keys()], [path]);
});

test("text between a marker without an end and the next table stays", (t) => {
	const page = MARKED.replace("<!-- /figures -->", "This stays.") + MARKED;
	const root = folder(t, { "docs/page.md": page });
	const { problems } = renew({ speed: TABLE }, root);
	assert.deepEqual(problems, ["docs/page.md: a marker of figures has no other"]);
	assert.match(readFileSync(join(root, "docs/page.md"), "utf8"), /This stays\./);
});

for (const [what, page, tables, problem] of [
	["a document names a table that is not there", MARKED, {}, /page\.md: docs\/figures\.json has no table `speed`/],
	["a table stands in no document", "# A page\n", { speed: TABLE }, /no document has the table `speed`/],
	["an end marker is missing", MARKED.replace("<!-- /figures -->", ""), { speed: TABLE }, /page\.md: a marker/],
	["a row lacks a cell", MARKED, { speed: { ...TABLE, rows: [["all"]] } }, /a row has not a cell for each column/],
	["a line is too long", MARKED, { speed: { ...TABLE, rows: [["all", "x".repeat(110)]] } }, /more than 110 columns/],
]) {
	test(`it is a problem that ${what}`, (t) => {
		const { problems } = rendered(tables, folder(t, { "docs/page.md": page }));
		assert.ok(
			problems.some((text) => problem.test(text)),
			problems.join("\n"),
		);
	});
}

test("`--record` replaces the rows of its table with date and machine, and no other table", (t) => {
	const figures = join(folder(t, {}), "figures.json");
	writeTables(figures, { speed: TABLE, size: TABLE });
	record({ record: true, figures }, { speed: [{ what: "all", time: "1 ms", other: "-" }] });
	const { speed, size } = readTables(figures);
	assert.deepEqual(speed.rows, [["all", "1 ms"]]);
	assert.equal(speed.date, new Date().toISOString().slice(0, 10));
	assert.match(speed.machine, /^Node \d+.* cores of /);
	assert.deepEqual(size, TABLE);
});

test("`--record` refuses rows that lack a column, and tables that are not there", (t) => {
	const figures = join(folder(t, {}), "figures.json");
	writeTables(figures, { speed: TABLE });
	assert.throws(
		() => record({ record: true, figures }, { speed: [{ what: "all" }] }),
		/nothing was measured for `time`/,
	);
	assert.throws(() => record({ record: true, figures }, { speeds: [] }), /no table `speeds`/);
	assert.deepEqual(readTables(figures), { speed: TABLE });
});

test("without `--record` nothing is written", (t) => {
	const figures = join(folder(t, {}), "figures.json");
	writeTables(figures, { speed: TABLE });
	record({ figures }, { speed: [{ what: "all", time: "1 ms" }] });
	assert.deepEqual(readTables(figures), { speed: TABLE });
});

test("the prose of documents has no measured figure but for those in measured.json", () => {
	const exceptions = JSON.parse(readFileSync(fromRoot("tests/docs/measured.json"), "utf8"));
	assert.deepEqual(problemsIn(readDocuments(fromRoot()), exceptions), []);
});

for (const [text, figures] of [
	["A hit takes 1.3 µs, 27 times as fast.", ["1.3 µs", "27 times"]],
	["It is 350 KB, and 3.3 × smaller or 4× or 12 %.", ["350 KB", "3.3 ×", "4×", "12 %"]],
	["It serves 10,000 requests/s, or 2.5 to 4 ms\nlater.", ["10,000 requests/s", "2.5 to 4 ms"]],
	["All was served again after 4.9 s.", ["4.9 s"]],
	["100 × 50 within 5 s, HTTP/1.1, Node 20.20, port 6566", []],
	["`l1.max_bytes = 64 MB` and\n```\n12 ms\n```\n", []],
	["<!-- figures:speed -->\n\n| 3 ms |\n\n<!-- /figures -->", []],
	["[30 % faster](http://x/5-ms)", ["30 %"]],
]) {
	test(`measured figures in ${JSON.stringify(text)}: ${figures.length}`, () => {
		assert.deepEqual(
			figuresIn(proseOf(text)).map(({ figure }) => figure),
			figures,
		);
	});
}

test("an exception covers its text in its document, and must cover a figure", () => {
	const documents = { "a.md": "A deadline of\n100 ms. It took 7 ms.", "b.md": "A deadline of 100 ms." };
	assert.deepEqual(problemsIn(documents, { "a.md": { "deadline of 100 ms": "a default", "It took": "no figure" } }), [
		"a.md: the exception `It took` covers nothing",
		"a.md: `7 ms` in “A deadline of 100 ms. It took 7 ms.”",
		"b.md: `100 ms` in “A deadline of 100 ms.”",
	]);
});
