// Drives the inspector in Chromium: every action, on real executions. Started by acceptance/tests/inspector/main.rs.
//
// It fails on an error in the console, an exception in a page, a request that fails or is answered with 400 and more
// (unless that is what is tested), a violation that axe finds, and a page wider than its window.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

import {
  base, workflows, screenshots, problems, browser, watch, open, expecting, step, go, notice, status, idOf, starting,
  start, act, api, inspect, inspectHere, page,
} from "./driver.mjs";

// --- The script ----------------------------------------------------------------------------------------------

const ids = {};

try {
  await step("an empty list, and where to begin", async () => {
    await page.goto(base);
    await page.getByText("No executions yet").waitFor();
    await inspect("executions-empty", "/ui/executions");
  });

  await step("a start that does not fit is refused with what is wrong", async () => {
    await expecting([422], async () => {
      const form = await starting("order");
      await form.locator("textarea[name=input]").fill('{"order": "o-0"}');
      await form.getByRole("button", { name: "Start an execution" }).click();
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
    await page.locator("[name='field:limit']").fill("3000");
    await page.locator("input[name=comment]").fill("fine");
    await page.getByRole("button", { name: "Approve" }).click();
    await notice("The approval has been recorded");
    const step = await api("GET", `/api/v1/executions/${ids.order}/steps/much`);
    assert.equal(step.body.output.limit, 3000, JSON.stringify(step.body));
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

  await step("the form of a start asks for the fields of the input, in their types", async () => {
    await go("/ui/workflows/order");
    await page.locator("#action-start > summary").click();
    const form = page.locator("#action-start form").first();
    const amount = form.locator("[name='field:amount']");
    assert.equal(await amount.inputValue(), "12");
    await form.getByRole("button", { name: "Start an execution" }).click();
    // The order is missing, so nothing is sent.
    assert.equal(await form.locator("[name='field:order']").evaluate((field) => field.validity.valueMissing), true);
    await form.locator("[name='field:order']").fill("o-fields");
    await amount.fill("7.5");
    await inspect("workflow-start", "/ui/workflows/order", (one) => one.locator("#action-start > summary").click());
    await form.getByRole("button", { name: "Start an execution" }).click();
    await notice("The execution has started");
    ids.fields = idOf();
    await page.locator("#values pre", { hasText: '"amount": 7.5' }).waitFor();
    await act("cancel", "Cancel this execution");
    await status("Cancelled");
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
    await inspect("execution-sheet", `/ui/executions/${ids.undone}`, (one) => one.locator("#action-delete > summary").click());
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
    assert.equal(await (await search({ status: "cancelled" })).count(), 2);
    assert.equal(await (await search({ input: "order=o-2" })).count(), 1);
    assert.equal(await (await search({ id: ids.order })).count(), 1);
    assert.equal(await (await search({ workflow: "label", status: "succeeded", output: "label=L-1" })).count(), 1);
    assert.equal(await (await search({ since: "2001-01-01T10:00", until: "2002-01-01T10:00" })).count(), 0);
    await page.getByText("Nothing found").waitFor();
    // The address has what was asked for, and nothing else.
    assert.equal(await (await search({ error: "http.422", input: "order=u-2" })).count(), 1);
    assert.equal(new URL(page.url()).search, "?error=http.422&input=order%3Du-2");
    await page.locator(".tabs").getByRole("link", { name: "Failed" }).click();
    await page.locator("#executions td", { hasText: "no-carrier" }).waitFor();
    assert.equal(await page.locator("#executions tbody tr").count(), 1);
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
    await act("backfill", "Look at them", { from: day(3), until: day(1) });
    await page.getByText("2 times were due").waitFor();
    await inspectHere("backfill");
    await page.getByRole("button", { name: "Start them" }).click();
    await notice("ledger");
    await page.locator("#ledger tbody tr").nth(2).waitFor();
    await inspect("schedule", new URL(page.url()).pathname);
    await page.locator("#ledger a").first().click();
    await status("Succeeded");
  });

  await step("a schedule is made after a look at its next times, changed, and deleted", async () => {
    await go("/ui/schedules");
    await page.getByRole("link", { name: "Make a schedule" }).click();
    await page.locator("[name=name]").fill("weekly");
    await page.locator("[name=workflow]").selectOption("label");
    await page.locator("[name=cron]").fill("0 7 * * MOON");
    await expecting([422], async () => {
      await page.getByRole("button", { name: "Show the next times" }).click();
      await page.locator(".note.bad", { hasText: "MOON" }).waitFor();
      await inspectHere("schedule-wrong");
    });
    await page.locator("[name=cron]").fill("0 7 * * MON");
    await page.locator("[name=timezone]").fill("Europe/Oslo");
    await page.getByRole("button", { name: "Show the next times" }).click();
    await page.locator(".note.why .times li").nth(9).waitFor();
    await inspectHere("schedule-form");
    await page.locator("[name=input]").fill('{"order": "weekly"}');
    await page.getByRole("button", { name: "Make it" }).click();
    await notice("The schedule has been made");
    await page.getByRole("link", { name: "Change" }).click();
    assert.equal(await page.locator("[name=cron]").inputValue(), "0 7 * * MON");
    assert.equal(await page.locator("[name=catchUp]").inputValue(), "1h");
    await page.locator("[name=cron]").fill("0 8 * * TUE");
    await page.getByRole("button", { name: "Keep the change" }).click();
    await notice("The schedule has been changed");
    await page.locator("dd", { hasText: "0 8 * * TUE" }).waitFor();
    await act("delete", "Delete this schedule");
    await notice("The schedule and its ledger are gone");
    // One of a file is changed in its file.
    await expecting([409], async () => {
      await go("/ui/schedules/nightly.night/change");
      await page.locator(".note.bad", { hasText: "change it in the workflow" }).waitFor();
    });
  });

  await step("a workflow is deployed, changed and removed", async () => {
    const text = (wait) => `name: pasted\ndescription: From the inspector.\ninput:\n  type: object\n  properties:\n    name: { type: string }\nsteps:\n  - id: rest\n    wait: ${wait}\noutput: "\${input.name}"\n`;
    await go("/ui/workflows");
    await page.getByRole("link", { name: "Deploy a workflow" }).click();
    await inspect("deploy", "/ui/deploy");
    await page.locator("[name=text]").fill(text("5ms").replace("steps:", "stpes:"));
    await expecting([422], async () => {
      await page.getByRole("button", { name: "Check" }).click();
      await page.locator(".note.bad pre.line", { hasText: "stpes:" }).waitFor();
      await inspectHere("deploy-wrong");
    });
    // A file is taken into the form.
    await page.locator("input[type=file]").setInputFiles({ name: "from-disk.yaml", mimeType: "text/yaml", buffer: Buffer.from(text("5ms")) });
    await page.waitForFunction(() => document.querySelector("[name=file]").value === "from-disk.yaml");
    await page.getByRole("button", { name: "Check" }).click();
    await page.getByText("new, as version 1").waitFor();
    await page.getByRole("button", { name: "Deploy version 1" }).click();
    await notice("It is deployed");
    await status("Ready");
    await page.getByRole("link", { name: "Change" }).click();
    await page.locator("[name=text]").fill(text("6ms"));
    await page.getByRole("button", { name: "Check" }).click();
    await page.locator(".delta ins", { hasText: "wait: 6ms" }).waitFor();
    await inspectHere("deploy-good");
    // What is changed after it was looked at is looked at again.
    await page.locator("[name=text]").fill(text("7ms"));
    await page.getByRole("button", { name: "Deploy version 2" }).click();
    await page.locator(".delta ins", { hasText: "wait: 7ms" }).waitFor();
    await page.getByRole("button", { name: "Deploy version 2" }).click();
    await notice("It is deployed");
    await page.locator("#versions tr", { hasText: "Changes since 1" }).waitFor();
    ids.pasted = await start("pasted", { name: "x" });
    await status("Succeeded");
    await go("/ui/workflows/pasted");
    await act("remove", "Remove pasted");
    await notice("It is out of use");
    await status("Out of use");
    await inspectHere("workflow-removed");
    assert.equal(await page.locator("#action-start").count(), 0);
    await page.getByRole("link", { name: "Deploy again" }).click();
    await page.getByRole("button", { name: "Check" }).click();
    await page.getByRole("button", { name: "Deploy version 2" }).click();
    await notice("It is deployed");
    await status("Ready");
    // One of the folder is changed in the folder.
    await go("/ui/workflows/order");
    assert.equal(await page.getByRole("link", { name: "Change", exact: true }).count(), 0);
    await page.getByText("change or remove it there").waitFor();
  });

  await step("triggers that cannot work are the workflow's problem", async () => {
    fs.writeFileSync(path.join(workflows, "twin.yaml"), "name: twin\ntriggers:\n  - id: hook\n    type: webhook-trigger\n    config: { path: /webhooks/orders, authentication: { type: bearer, credentials: { token: \"${env.NOBODY_SET_IT}\" } } }\nsteps:\n  - id: rest\n    wait: 5ms\n");
    await go("/ui/workflows");
    await page.locator("tr", { hasText: "twin" }).getByText("Needs attention").waitFor();
    await page.locator("tr", { hasText: "twin" }).getByRole("link", { name: "twin", exact: true }).click();
    await page.locator(".note.bad", { hasText: "Not all of its triggers work" }).waitFor();
    await inspect("workflow-attention", "/ui/workflows/twin");
    fs.rmSync(path.join(workflows, "twin.yaml"));
  });

  await step("a form that is sent twice does its work once", async () => {
    await go(`/ui/executions/${ids.undone}`);
    const sent = await page.locator("#action-retry form").evaluate(async (form) => {
      const body = () => new URLSearchParams(new FormData(form));
      const all = await Promise.all([1, 2].map(() => fetch(form.action, { method: "POST", body: body() })));
      return all.map((answer) => new URL(answer.url).pathname);
    });
    assert.equal(sent[0], sent[1]);
    assert.notEqual(sent[0], `/ui/executions/${ids.undone}`);
  });

  await step("an admin goes to another organization and back, and no form gets lost between them", async () => {
    const made = await api("POST", "/api/v1/organizations", { name: "acme", title: "Acme" });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    await go(`/ui/executions/${ids.late}`);
    await page.locator("a.place").click();
    await page.getByRole("button", { name: "Go to acme" }).click();
    await page.locator("a.place.away", { hasText: "acme" }).waitFor();
    await page.getByText("No executions yet").waitFor();
    await inspect("organizations", "/ui/organizations");
    await inspect("executions-elsewhere", "/ui/executions");
    await expecting([404], async () => {
      await go(`/ui/executions/${ids.late}`);
      await page.locator(".note.bad", { hasText: "no execution" }).waitFor();
    });
    await go("/ui/workflows");
    await page.getByText("No workflows").waitFor();
    // A page of `default` that was opened before changes nothing of acme's.
    const before = await page.context().newPage();
    watch(before);
    await before.goto(`${base}/ui/organizations`);
    let refused;
    await expecting([409], async () => { refused = await before.evaluate(async () => {
      const form = document.querySelector("form[action='/ui/organizations']");
      const body = new URLSearchParams(new FormData(form));
      body.set("organization", "default");
      body.set("to", "default");
      return (await fetch("/ui/organizations", { method: "POST", body, headers: { accept: "text/html" } })).status;
    }); });
    assert.equal(refused, 409);
    await before.close();
    await page.getByRole("button", { name: "Back to default" }).click();
    await page.locator("a.place", { hasText: "default" }).waitFor();
    await go(`/ui/executions/${ids.late}`);
    await status("Waiting");
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
    const form = await starting("order", plain);
    await form.locator("textarea[name=input]").fill('{"order": "plain", "amount": 1}');
    await form.getByRole("button", { name: "Start an execution" }).click();
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
    for (const action of ["cancelExecution", "decideApproval", "signalExecution", "enterOrganization", "removeWorkflow", "putSchedule"]) {
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
