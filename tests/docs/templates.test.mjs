// What GitHub asks of who opens an issue: forms that it can show.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { REPOSITORY } from "../../docs/.vitepress/urls.mjs";
import { files, read } from "./documents.mjs";

const FOLDER = ".github/ISSUE_TEMPLATE";
const TYPES = ["markdown", "textarea", "input", "dropdown", "checkboxes"];

test("each form has a name and fields that GitHub knows", () => {
	const forms = files(`${FOLDER}/*.yml`).filter((file) => !file.endsWith("/config.yml"));
	assert.ok(forms.length > 0);
	for (const file of forms) {
		const { name, description, body } = parse(read(file));
		assert.ok(name && description, file);
		const ids = [];
		for (const { type, id, attributes, validations } of body) {
			assert.ok(TYPES.includes(type), `${file}: ${type}`);
			assert.ok(type === "markdown" ? attributes.value : attributes.label, `${file}: ${id}`);
			if (type === "dropdown") assert.ok(attributes.options.length > 1, `${file}: ${id}`);
			assert.ok([undefined, true, false].includes(validations?.required), `${file}: ${id}`);
			if (type !== "markdown") ids.push(id);
		}
		assert.ok(ids.every((id) => /^[\w-]+$/.test(id)) && new Set(ids).size === ids.length, `${file}: ${ids}`);
	}
});

test("the way to report a vulnerability leads to this repository", () => {
	const { contact_links } = parse(read(`${FOLDER}/config.yml`));
	assert.deepEqual(
		contact_links.map(({ url }) => url),
		[`${REPOSITORY}/security/policy`],
	);
});
