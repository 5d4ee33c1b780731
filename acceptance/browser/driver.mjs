// What the script in inspector.mjs drives Chromium with: windows that are watched, actions that come often, and looks at a page.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const { BOWLINE_URL: base, BOWLINE_WORKFLOWS: workflows, BOWLINE_SCREENSHOTS: screenshots } = process.env;
const modules = process.env.BOWLINE_MODULES;
const { chromium } = await import(pathToFileURL(path.join(modules, "playwright-core/index.mjs")));
const axe = fs.readFileSync(path.join(modules, "axe-core/axe.min.js"), "utf8");

const LONG = 20_000;
// Longer than all of it takes on a busy machine.
setTimeout(() => {
  console.error("it takes too long");
  process.exit(1);
}, 900_000).unref();
export const problems = [];
// Statuses that a step of this script provokes.
let expected = new Set();

export const browser = await chromium.launch({
  executablePath: process.env.BOWLINE_CHROMIUM,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

// --- What is watched -----------------------------------------------------------------------------------------

export function watch(page) {
  page.setDefaultTimeout(LONG);
  page.on("console", (message) => {
    const provoked = /status of (\d+)/.exec(message.text());
    if (provoked && expected.has(Number(provoked[1]))) return;
    if (message.type() === "error" || message.type() === "warning") problems.push(`console on ${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`exception on ${page.url()}: ${error.message}`));
  page.on("requestfailed", (request) => {
    // A page that is left ends its stream, and what it was just loading.
    const needed = ["document", "script", "stylesheet"].includes(request.resourceType());
    const left = request.failure()?.errorText === "net::ERR_ABORTED" && !needed;
    if (!left) problems.push(`${request.method()} ${request.url()} failed: ${request.failure()?.errorText}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400 && !expected.has(response.status())) problems.push(`${response.status()} for ${response.url()}`);
  });
  return page;
}

export async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  return watch(await context.newPage());
}

export async function expecting(statuses, what) {
  expected = new Set(statuses);
  try {
    await what();
  } finally {
    expected = new Set();
  }
}

export async function step(name, what) {
  const began = Date.now();
  try {
    await what();
  } catch (error) {
    await page.screenshot({ path: path.join(screenshots, "failure.png"), fullPage: true }).catch(() => {});
    throw new Error(`${name}: ${error.message}\non ${page.url()}\n${problems.join("\n")}`);
  }
  console.log(`${name} (${Date.now() - began} ms)`);
}

// --- What is done often --------------------------------------------------------------------------------------

export const go = (where) => page.goto(base + where);
export const notice = (text) => page.locator(".note.good", { hasText: text }).waitFor();
export const status = (word, on = page) => on.locator("#head .chip", { hasText: word }).waitFor();
export const idOf = () => decodeURIComponent(new URL(page.url()).pathname.split("/")[3]);

// Opens the sheet that starts an execution, where the input is written as JSON.
export async function starting(workflow, on = page) {
  await on.goto(`${base}/ui/workflows/${workflow}`);
  await on.locator("#action-start > summary").click();
  const other = on.locator("#action-start summary", { hasText: "Write the input as JSON" });
  if (await other.count()) await other.click();
  return on.locator("#action-start form").last();
}

export async function start(workflow, input) {
  const form = await starting(workflow);
  await form.locator("textarea[name=input]").fill(JSON.stringify(input));
  await form.getByRole("button", { name: "Start an execution" }).click();
  await notice("The execution has started");
  return idOf();
}

export async function act(name, button, fields = {}) {
  await page.locator(`#action-${name} > summary`).click();
  for (const [field, value] of Object.entries(fields)) {
    const element = page.locator(`#action-${name} [name=${field}]`);
    if ((await element.evaluate((one) => one.tagName)) === "SELECT") await element.selectOption(value);
    else await element.fill(value);
  }
  await page.locator(`#action-${name} .sheet`).getByRole("button", { name: button }).click();
}

export async function api(method, where, body, headers = {}) {
  const response = await fetch(base + where, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

const looks = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { colorScheme: "light", viewport: { width: 375, height: 812 } }],
  ["phone-dark", { colorScheme: "dark", viewport: { width: 375, height: 812 } }],
];

async function judge(one, name, look) {
  await one.screenshot({ path: path.join(screenshots, `${name}-${look}.png`), fullPage: true });
  const [wide, window] = await one.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (wide > window) problems.push(`${name} (${look}) is ${wide} wide, and the window ${window}`);
  await one.evaluate(`${axe};0`);
  const found = await one.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const violation of found.violations) {
    const nodes = violation.nodes.slice(0, 3).map((node) => `    ${node.html.slice(0, 200)}\n      ${node.failureSummary?.replaceAll("\n", " ")}`);
    problems.push(`axe on ${name} (${look}): ${violation.id}, ${violation.help}\n${nodes.join("\n")}`);
  }
}

// Looks at a page in every way: a picture, its width, and what axe says.
export async function inspect(name, where, prepare) {
  // For those who work on this script.
  if (process.env.BOWLINE_LOOKS === "no") return;
  for (const [look, options] of looks) {
    const one = await open({ ...options, storageState: await page.context().storageState() });
    await one.goto(base + where);
    if (prepare) await prepare(one);
    await judge(one, name, look);
    await one.context().close();
  }
}

// The same of what stands in the window of the script, for pages that answer a form.
export async function inspectHere(name) {
  if (process.env.BOWLINE_LOOKS === "no") return;
  for (const [look, { colorScheme, viewport }] of looks) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport ?? { width: 1280, height: 900 });
    await judge(page, name, look);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
}

// The window of the script.
export const page = await open();
