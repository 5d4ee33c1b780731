// Drives the inspector in Chromium: every action, on real executions. Started by acceptance/tests/inspector/main.rs.
//
// It fails on an error in the console, an exception in a page, a request that fails or is answered with 400 and more
// (unless that is what is tested), a violation that axe finds, and a page wider than its window.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const { BOWLINE_URL: base, BOWLINE_WORKFLOWS: workflows, BOWLINE_SCREENSHOTS: screenshots } = process.env;
const modules = process.env.BOWLINE_MODULES;
const { chromium } = await import(pathToFileURL(path.join(modules, "playwright-core/index.mjs")));
const axe = fs.readFileSync(path.join(modules, "axe-core/axe.min.js"), "utf8");

const LONG = 20_000;
// Longer than all of it takes on a busy machine.
setTimeout(() => {
  console.error("it takes too long");
  process.exit(1);
}, 900_000).unref();
const problems = [];
// Statuses that a step of this script provokes.
let expected = new Set();

const browser = await chromium.launch({
  executablePath: process.env.BOWLINE_CHROMIUM,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

// --- What is watched -----------------------------------------------------------------------------------------

function watch(page) {
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

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  return watch(await context.newPage());
}

async function expecting(statuses, what) {
  expected = new Set(statuses);
  try {
    await what();
  } finally {
    expected = new Set();
  }
}

async function step(name, what) {
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

const go = (where) => page.goto(base + where);
const notice = (text) => page.locator(".note.good", { hasText: text }).waitFor();
const status = (word, on = page) => on.locator("#head .chip", { hasText: word }).waitFor();
const idOf = () => decodeURIComponent(new URL(page.url()).pathname.split("/")[3]);

async function start(workflow, input) {
  await go(`/ui/workflows/${workflow}`);
  await page.locator("summary", { hasText: "Start" }).click();
  await page.locator("#action-start textarea[name=input]").fill(JSON.stringify(input));
  await page.getByRole("button", { name: "Start an execution" }).click();
  await notice("The execution has started");
  return idOf();
}

async function act(name, button, fields = {}) {
  await page.locator(`#action-${name} > summary`).click();
  for (const [field, value] of Object.entries(fields)) {
    const element = page.locator(`#action-${name} [name=${field}]`);
    if ((await element.evaluate((one) => one.tagName)) === "SELECT") await element.selectOption(value);
    else await element.fill(value);
  }
  await page.locator(`#action-${name} .sheet`).getByRole("button", { name: button }).click();
}

async function api(method, where, body, headers = {}) {
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

// Looks at a page in every way: a picture, its width, and what axe says.
async function inspect(name, where, prepare) {
  // For those who work on this script.
  if (process.env.BOWLINE_LOOKS === "no") return;
  for (const [look, options] of looks) {
    const one = await open({ ...options, storageState: await page.context().storageState() });
    await one.goto(base + where);
    if (prepare) await prepare(one);
    await one.screenshot({ path: path.join(screenshots, `${name}-${look}.png`), fullPage: true });
    const [wide, window] = await one.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    if (wide > window) problems.push(`${name} (${look}) is ${wide} wide, and the window ${window}`);
    await one.evaluate(`${axe};0`);
    const found = await one.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    for (const violation of found.violations) {
      const nodes = violation.nodes.slice(0, 3).map((node) => `    ${node.html.slice(0, 200)}\n      ${node.failureSummary?.replaceAll("\n", " ")}`);
      problems.push(`axe on ${name} (${look}): ${violation.id}, ${violation.help}\n${nodes.join("\n")}`);
    }
    await one.context().close();
  }
}

// --- The script ----------------------------------------------------------------------------------------------

const page = await open();
const ids = {};

try {
  await step("an empty list, and where to begin", async () => {
    await page.goto(base);
    await page.getByText("No executions yet").waitFor();
    await inspect("executions-empty", "/ui/executions");
  });

  await step("a start that does not fit is refused with what is wrong", async () => {
    await expecting([422], async () => {
      await go("/ui/workflows/order");
      await page.locator("summary", { hasText: "Start" }).click();
      await page.locator("#action-start textarea").fill('{"order": "o-0"}');
      await page.getByRole("button", { name: "Start an execution" }).click();
      await page.locator(".note.bad", { hasText: "amount" }).waitFor();
    });
  });

  await step("an execution is followed live, through a retry, to its wait", async () => {
    ids.order = await start("order", { order: "o-1", amount: 2000 });
    await page.locator(".graph .state.done", { hasText: "reserve" }).waitFor();
    await page.locator(".graph .state.waiting", { hasText: "payment" }).waitFor();
    await page.locator(".live[data-state=on]").waitFor();
    await page.locator(".timeline .bar.failed").first().waitFor({ state: "attached" });
    await page.locator(".note.why", { hasText: "payment" }).waitFor();
    await inspect("execution-waiting", `/ui/executions/${ids.order}`);
  });

  await step("a step shows what went in and what came out", async () => {
    await page.locator(".step > summary", { hasText: "reserve" }).click();
    await page.locator(".step[open] pre", { hasText: "res-o-1" }).waitFor();
    await page.locator(".step[open] pre", { hasText: "/reserve" }).first().waitFor();
    await page.locator(".step[open]", { hasText: "http.503" }).waitFor();
    // A link in the graph leads to it.
    await page.locator(".graph a", { hasText: "payment" }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".step[open]", { hasText: "prepare/payment" }).waitFor();
  });

  const other = await open();
  await step("an answer from another page changes this one without a reload", async () => {
    await other.goto(`${base}/ui/callbacks`);
    await other.getByText("o-1").first().waitFor();
    await other.locator("summary", { hasText: "Answer" }).click();
    await other.locator("textarea[name=body]").fill('{"paid": true}');
    await other.getByRole("button", { name: "Deliver", exact: true }).click();
    await other.locator(".note.good").waitFor();
    await page.locator("#actions", { hasText: "May o-1 cost 2000?" }).waitFor();
    await page.locator(".step[open]", { hasText: "reserve" }).waitFor();
    await other.context().close();
  });

  await step("an approval is given, with the fields of its form", async () => {
    await inspect("approvals", "/ui/approvals");
    await go("/ui/approvals");
    await page.locator("textarea[name=form]").fill('{"limit": 3000}');
    await page.locator("input[name=comment]").fill("fine");
    await page.getByRole("button", { name: "Approve" }).click();
    await notice("The approval has been recorded");
  });

  await step("what is no JSON is not sent", async () => {
    await go(`/ui/executions/${ids.order}`);
    await page.locator("#action-signal > summary").click();
    await page.locator("#action-signal textarea").fill("{oops");
    assert.equal(await page.locator("#action-signal textarea").evaluate((area) => area.validationMessage.includes("not JSON")), true);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#action-signal").evaluate((sheet) => sheet.open), false);
  });

  await step("a signal ends it", async () => {
    await act("signal", "Signal this execution", { data: '{"carrier": "post"}' });
    await notice("The signal has been recorded");
    await status("Succeeded");
    await page.locator("#values", { hasText: "res-o-1" }).waitFor();
    await inspect("execution-done", `/ui/executions/${ids.order}`);
  });

  await step("pause, go on, cancel", async () => {
    ids.cancelled = await start("order", { order: "o-2", amount: 5 });
    await page.locator(".graph .state.waiting", { hasText: "payment" }).waitFor();
    await act("pause", "Pause this execution", { reason: "lunch" });
    await notice("It stands still now");
    await status("Paused");
    await page.getByRole("button", { name: "Go on" }).click();
    await notice("It goes on");
    await status("Waiting");
    await act("cancel", "Cancel this execution", { reason: "ordered twice" });
    await notice("asked to stop");
    await status("Cancelled");
  });

  await step("a saga is undone, retried, and run again with another input", async () => {
    ids.undone = await start("undo", { order: "u-1" });
    await status("Failed");
    await page.locator(".graph .state.compensated", { hasText: "charge" }).waitFor();
    await page.locator(".graph .state.failed", { hasText: "ship" }).waitFor();
    await inspect("execution-undone", `/ui/executions/${ids.undone}`);
    await act("retry", "Retry this execution", { reason: "try again" });
    await notice("This is the new execution");
    assert.notEqual(idOf(), ids.undone);
    await status("Failed");
    await go(`/ui/executions/${ids.undone}`);
    await act("rerun", "Run again this execution", { input: '{"order": "u-2"}' });
    await notice("This is the new execution");
    await page.locator("#values", { hasText: "u-2" }).waitFor();
    await status("Failed");
  });

  await step("a failed execution is resumed", async () => {
    ids.label = await start("label", { order: "l-1" });
    await status("Failed");
    await page.locator(".graph .state.done", { hasText: "tick" }).filter({ hasText: "3 done" }).waitFor();
    await act("resume", "Resume this execution", { reason: "the printer is back" });
    await notice("taken up again");
    await status("Succeeded");
  });

  await step("a rejection", async () => {
    ids.rejected = await start("order", { order: "o-3", amount: 9000 });
    await page.locator(".graph .state.waiting", { hasText: "payment" }).waitFor();
    await api("POST", "/api/v1/callbacks", { name: "payments", reference: "o-3", body: {} });
    await page.getByRole("button", { name: "Reject" }).click();
    await notice("The rejection has been recorded");
    await status("Failed");
  });

  await step("unmatched callbacks are delivered by hand, or dropped", async () => {
    await api("POST", "/api/v1/callbacks", { name: "payments", reference: "nobody", body: { paid: 1 } });
    await api("POST", "/api/v1/callbacks", { name: "payments", reference: "typo", body: { paid: 2 } });
    ids.late = await start("order", { order: "o-4", amount: 1 });
    await page.locator(".graph .state.waiting", { hasText: "payment" }).waitFor();
    await inspect("callbacks", "/ui/callbacks");
    await go("/ui/callbacks");
    const typo = page.locator("#kept tr", { hasText: "typo" });
    await typo.locator("summary", { hasText: "Deliver" }).click();
    await typo.locator("input[name=to]").fill(ids.late);
    await typo.locator("input[name=path]").fill("prepare/payment/payment");
    await typo.getByRole("button", { name: "Deliver" }).click();
    await notice("delivered");
    await page.locator("#kept tr", { hasText: "nobody" }).getByRole("button", { name: "Drop" }).click();
    await notice("dropped");
    await page.getByText("No unmatched callbacks").waitFor();
  });

  await step("large values are shown on demand", async () => {
    const large = { order: "big", amount: 1, text: "x".repeat(400_000) };
    const started = await api("POST", "/api/v1/executions", { workflow: "order", input: large });
    ids.large = started.body.id;
    await go(`/ui/executions/${ids.large}`);
    await page.getByRole("link", { name: "Show it" }).first().click();
    await page.locator("pre", { hasText: "xxxx" }).waitFor();
  });

  await step("executions are searched", async () => {
    const search = async (fields) => {
      await go("/ui/executions");
      await page.locator("details.more > summary").click();
      for (const [field, value] of Object.entries(fields)) {
        const element = page.locator(`form[role=search] [name=${field}]`);
        if (field === "status") await element.selectOption(value);
        else await element.fill(value);
      }
      await page.getByRole("button", { name: "Search" }).click();
      return page.locator("#executions tbody tr");
    };
    assert.equal(await (await search({ workflow: "undo" })).count(), 3);
    assert.equal(await (await search({ status: "cancelled" })).count(), 1);
    assert.equal(await (await search({ input: "order=o-2" })).count(), 1);
    assert.equal(await (await search({ id: ids.order })).count(), 1);
    assert.equal(await (await search({ workflow: "label", status: "succeeded", output: "label=L-1" })).count(), 1);
    assert.equal(await (await search({ since: "2001-01-01T10:00", until: "2002-01-01T10:00" })).count(), 0);
    await page.getByText("Nothing found").waitFor();
    await expecting([400], async () => {
      await search({ input: "no equals sign" });
      await page.locator(".note.bad", { hasText: "field=text" }).waitFor();
    });
    await inspect("executions", "/ui/executions");
  });

  await step("the keyboard is enough", async () => {
    await go("/ui/executions");
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.name), "id");
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    assert.equal(await page.locator("tr.here").count(), 1);
    await page.keyboard.press("?");
    assert.equal(await page.locator("#help").evaluate((help) => help.open), true);
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/ui\/executions\/.+/);
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.id === "main");
  });

  await step("a broken file is shown, and the last good version goes on", async () => {
    const file = path.join(workflows, "label.yaml");
    const good = fs.readFileSync(file, "utf8");
    await go("/ui/workflows");
    fs.writeFileSync(file, good.replace("config:", "confg:"));
    await page.locator("tr", { hasText: "label" }).getByText("File broken").waitFor();
    await inspect("workflows", "/ui/workflows");
    await page.locator("tr", { hasText: "label" }).getByRole("link", { name: "label", exact: true }).click();
    await page.locator(".note.bad", { hasText: "confg" }).waitFor();
    fs.writeFileSync(file, good.replace("wait: 20ms", "wait: 30ms").replace("as: number\n", "as: number\n    concurrency: 2\n"));
    await page.locator("#versions tr", { hasText: "Changes since 1" }).getByRole("link", { name: "Changes since 1" }).click();
    await page.locator(".diff li").first().waitFor();
    await inspect("workflow", new URL(page.url()).pathname + new URL(page.url()).search);
  });

  await step("a workflow is paused and goes on", async () => {
    await go("/ui/workflows/order");
    await page.getByRole("button", { name: "Pause" }).click();
    await status("Paused");
    await page.getByRole("button", { name: "Go on" }).click();
    await notice("It goes on");
    await status("Ready");
  });

  await step("a schedule: run now, pause, go on, backfill, and its ledger", async () => {
    await inspect("schedules", "/ui/schedules");
    await go("/ui/schedules");
    await page.locator("#schedules tbody a").first().click();
    await page.getByRole("button", { name: "Run now" }).click();
    await notice("It has started an execution");
    await page.locator("#ledger tr", { hasText: "started" }).first().waitFor();
    await act("pause", "Pause this schedule", { note: "holidays" });
    await notice("stands still");
    await page.getByText("Paused: holidays").waitFor();
    await page.getByRole("button", { name: "Go on" }).click();
    await notice("It goes on");
    const day = (back) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 16);
    await act("backfill", "Start them", { from: day(3), until: day(1) });
    await notice("ledger");
    await page.locator("#ledger tbody tr").nth(2).waitFor();
    await inspect("schedule", new URL(page.url()).pathname);
    await page.locator("#ledger a").first().click();
    await status("Succeeded");
  });

  await step("webhooks: what was taken, what was refused, and both again", async () => {
    const hook = (token, body) => api("POST", "/webhooks/orders", body, { authorization: `Bearer ${token}` });
    assert.equal((await hook("hook-token", { order: "w-1", amount: 3 })).status, 202);
    assert.ok((await hook("wrong", { order: "w-2", amount: 3 })).status >= 400);
    assert.equal((await hook("hook-token", { order: "w-3" })).status, 400);
    await inspect("webhooks", "/ui/webhooks");
    await go("/ui/webhooks");
    await page.locator("#inbox tr", { hasText: "Started" }).locator("a").first().click();
    await page.locator("pre", { hasText: "w-1" }).waitFor();
    assert.equal(await page.getByText("hook-token").count(), 0);
    await inspect("delivery", new URL(page.url()).pathname);
    await page.getByRole("button", { name: "Replay" }).click();
    await notice("taken up again");
    await page.locator("#values", { hasText: "w-1" }).waitFor();
    await go("/ui/webhooks?state=refused");
    assert.equal(await page.locator("#inbox tbody tr").count(), 2);
    // The newest is the one whose body does not fit: verified again, it still does not.
    await page.locator("#inbox tbody tr").first().locator("a").first().click();
    await inspect("delivery-refused", new URL(page.url()).pathname);
    await expecting([400, 403, 409, 422], async () => {
      await page.getByRole("button", { name: "Replay" }).click();
      await page.locator(".note.bad").waitFor();
    });
    await go("/ui/webhooks?state=refused");
    await page.locator("#inbox tbody tr").last().locator("a").first().click();
    await act("unverified", "Take it unverified");
    await page.locator("#values", { hasText: "w-2" }).waitFor();
  });

  await step("a connection is tested", async () => {
    await go("/ui/connections");
    await page.getByRole("button", { name: /Test shop/ }).click();
    await page.locator("[role=status] .chip", { hasText: "Works" }).waitFor();
    await inspect("connections", "/ui/connections");
  });

  await step("without scripts everything works too", async () => {
    const plain = await open({ javaScriptEnabled: false });
    await plain.goto(`${base}/ui/workflows/order`);
    await plain.locator("summary", { hasText: "Start" }).click();
    await plain.locator("#action-start textarea").fill('{"order": "plain", "amount": 1}');
    await plain.getByRole("button", { name: "Start an execution" }).click();
    await plain.locator(".note.good").waitFor();
    await plain.locator(".step > summary", { hasText: "reserve" }).click();
    await plain.getByRole("link", { name: "Show input and output" }).first().click();
    await plain.locator("pre", { hasText: "plain" }).first().waitFor();
    await plain.goBack();
    await plain.locator("#action-cancel > summary").click();
    await plain.getByRole("button", { name: "Cancel this execution" }).click();
    await plain.locator(".note.good", { hasText: "asked to stop" }).waitFor();
    await plain.context().close();
  });

  await step("an execution is deleted", async () => {
    await go(`/ui/executions/${ids.cancelled}`);
    await act("delete", "Delete this execution");
    await notice("deleted");
    await expecting([404], async () => {
      await go(`/ui/executions/${ids.cancelled}`);
      await page.locator(".note.bad", { hasText: "no execution" }).waitFor();
    });
    await expecting([404], () => inspect("not-found", "/ui/executions/nobody"));
  });

  await step("the audit log has all of it", async () => {
    await go("/ui/audit");
    for (const action of ["cancelExecution", "decideApproval", "signalExecution", "resumeExecution"]) {
      await page.getByText(action).first().waitFor();
    }
    await inspect("audit", "/ui/audit");
  });

  await step("a form of another site is refused", async () => {
    const response = await fetch(`${base}/ui/executions/${ids.late}/cancel`, {
      method: "POST",
      headers: { origin: "http://evil.example", "content-type": "application/x-www-form-urlencoded" },
      body: "reason=evil",
    });
    assert.equal(response.status, 403);
    const without = await fetch(`${base}/ui/executions/${ids.late}/cancel`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "reason=evil",
    });
    assert.equal(without.status, 403);
  });

  await step("with keys everybody has to log in, and sees what they may", async () => {
    const admin = await api("POST", "/api/v1/keys", { name: "ada", role: "admin" });
    assert.equal(admin.status, 201, JSON.stringify(admin.body));
    const header = { authorization: `Bearer ${admin.body.key ?? admin.body.text}` };
    const viewer = await api("POST", "/api/v1/keys", { name: "vic", role: "viewer" }, header);
    assert.equal(viewer.status, 201, JSON.stringify(viewer.body));
    await expecting([401], async () => {
      await go(`/ui/executions/${ids.late}`);
      await page.waitForURL(/\/ui\/login/);
    });
    await inspect("login", "/ui/login?next=/ui/workflows");
    await go(`/ui/executions/${ids.late}`);
    await expecting([401], async () => {
      await page.locator("input[name=key]").fill("bwk_wrong_key");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.locator("[role=alert]").waitFor();
    });
    await page.locator("input[name=key]").fill(viewer.body.key ?? viewer.body.text);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(new RegExp(ids.late));
    await page.getByText("vic").waitFor();
    assert.equal(await page.locator(".actions, form[method=post]:not([action='/ui/logout'])").count(), 0);
    const cookie = (await page.context().cookies()).find((one) => one.name === "bowline_session");
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, "Strict");
    await inspect("execution-viewer", `/ui/executions/${ids.late}`);
    await expecting([403], async () => {
      await go("/ui/audit");
      await page.locator(".note.bad", { hasText: "admin" }).waitFor();
    });
    await go("/ui/executions");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(/\/ui\/login/);
    await page.locator("input[name=key]").fill(admin.body.key ?? admin.body.text);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(/\/ui\/executions/);
    await go(`/ui/executions/${ids.late}`);
    await act("cancel", "Cancel this execution");
    await status("Cancelled");
  });
} finally {
  await browser.close();
}

assert.deepEqual(problems, [], `\n${problems.join("\n")}`);
console.log(`no problems; pictures are in ${path.basename(screenshots)}`);
