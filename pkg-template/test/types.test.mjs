import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compile } from "./fake.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const PRESETS = ["auraconnect", "auraconnect-mobile", "trackvault", "arxos", "paytrack"];

const setup = readFileSync(here("types/setup.ts"), "utf8");
const cases = readFileSync(here("types/cases.ts"), "utf8");

test("the types accept what is right and refuse what is wrong", () => {
  const { status, stdout } = compile("cases", { "cases.ts": cases });
  assert.equal(status, 0, stdout);
});

test("so they do under exactOptionalPropertyTypes", () => {
  const { status, stdout } = compile(
    "exact",
    { "cases.ts": cases },
    { exactOptionalPropertyTypes: true },
  );
  assert.equal(status, 0, stdout);
});

test("every line that expects an error has one", () => {
  const { status, stdout } = compile("bare", {
    "cases.ts": cases.replaceAll("@ts-expect-error", ""),
  });
  assert.notEqual(status, 0);
  const failing = new Set([...stdout.matchAll(/cases\.ts\((\d+),/g)].map((match) => match[1]));
  assert.equal(failing.size, cases.split("@ts-expect-error").length - 1, stdout);
});

test("every example in the documentation of the types compiles", () => {
  const examples = [];
  for (const file of ["types", "errors", "load", "remote", "presets"]) {
    const text = readFileSync(here(`../src/${file}.ts`), "utf8");
    for (const [, block] of text.matchAll(
      /@example\n((?: \* ?.*\n)+?)(?: \*\n| \* @|(?= \*\/))/g,
    )) {
      examples.push(block.replace(/^ \* ?/gm, ""));
    }
    // Inside of interfaces nothing has an example of its own; at the top level everything exported has one.
    const exported = [
      ...text.matchAll(
        /\n\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport (?:type|interface|class|function|async function) (\w+)/g,
      ),
    ];
    for (const [, comment, name] of exported) {
      const small =
        /^(MergePatchValue|StandardResult|StandardIssue|Documents|DocumentOf|FieldOf|RemoteOperationBase|HoldfastErrorDetails)$/;
      const internal =
        !["types", "errors"].includes(file) ||
        /^(toHoldfastError|report|abortable|throwIfAborted)$/.test(name);
      if (!internal && !small.test(name))
        assert.match(comment, /@example/, `${name} has no example`);
    }
  }
  assert.ok(examples.length > 50, `only ${examples.length} examples found`);
  const files = { "setup.ts": setup };
  const types = [
    ...readFileSync(here("../src/types.ts"), "utf8").matchAll(/^export (?:type|interface) (\w+)/gm),
  ];
  const imports = `import { defineRemote, HoldfastError, init, isHoldfastError, monotonic, presets, rest, standard, SyncManager as Manager } from "holdfast";
import type { ${types.map((match) => match[1]).join(", ")} } from "holdfast";
import type {} from "./setup.js";
`;
  examples.forEach((example, n) => {
    const body = example.replaceAll("SyncManager.open", "Manager.open");
    files[`example-${n}.ts`] = `${imports}async function example() {\n${body}}\nvoid example;\n`;
  });
  const { status, stdout } = compile("examples", files, { lib: ["ES2023", "DOM", "DOM.Iterable"] });
  assert.equal(status, 0, stdout);
});

test("the code of the pages about backends compiles", () => {
  const pages = ["backends", ...PRESETS.map((name) => `presets/${name}`)];
  const files = { "setup.ts": setup };
  for (const page of pages) {
    const text = readFileSync(here(`../../docs/${page}.md`), "utf8");
    const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
    assert.ok(blocks.length >= (page === "backends" ? 3 : 1), page);
    blocks.forEach((block, n) => {
      files[`${page.replace("/", "-")}-${n}.ts`] = `${block}\nexport {};\n`;
    });
  }
  const { status, stdout } = compile("backends", files, {
    lib: ["ES2023", "DOM", "DOM.Iterable", "ESNext.Disposable"],
  });
  assert.equal(status, 0, stdout);
});

test("the code of the README compiles", () => {
  const text = readFileSync(here("../README.md"), "utf8");
  const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
  assert.ok(blocks.length >= 5);
  const files = { "setup.ts": setup };
  blocks.forEach((block, n) => {
    files[`block-${n}.ts`] = `import type {} from "./setup.js";\n${block}`;
  });
  const { status, stdout } = compile("readme", files, {
    lib: ["ES2023", "DOM", "DOM.Iterable", "ESNext.Disposable"],
  });
  assert.equal(status, 0, stdout);
});
