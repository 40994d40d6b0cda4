// Looks at pages as a browser shows them: accessibility (WCAG 2.2 AA, by axe-core), valid HTML, the policy of content, the
// first screen of a phone, narrow screens and large type, print, the button that copies; and the page of the help desk.
//
//   proxy/tests/real/run --in proxy/tests/page
//   ALL=1 proxy/tests/real/run --in proxy/tests/page             each state in each language
//   SHOTS=FOLDER proxy/tests/real/run --in proxy/tests/page      keeps pictures too
//
// Without ALL each language is looked at in the two fullest states and in one other, by turns.
//
// needs: apt:chromium apt:curl npm:playwright-core@1.65.1 npm:@axe-core/playwright@4.14.0 npm:html-validate@9.0.0
import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../../..");
const require = createRequire(join(root, "target/real/package.json"));
const { AxeBuilder } = require("@axe-core/playwright");
const { HtmlValidate } = require("html-validate");
const { chromium } = require("playwright-core");

const binary = process.env.PORTCULLIS ?? join(root, "target/debug/portcullis");
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const shots = process.env.SHOTS ?? null;

const folder = mkdtempSync(join(tmpdir(), "portcullis-pages-"));
console.log(execFileSync(binary, ["page", "--config", join(here, "denial.toml"), "--out", folder], { encoding: "utf8" }).trim());
// Each page has a policy of its own: what it runs, and where its form leads.
const policyOf = (name) => {
  const [page, , shown] = name.split(".");
  const place = join(folder, shown === "html" ? `${page}.policy.txt` : `${page}.${shown}.policy.txt`);
  return existsSync(place) ? readFileSync(place, "utf8") : "default-src 'none'";
};
const files = readdirSync(folder).filter((name) => name.endsWith(".html") && name !== "index.html").sort();
const problems = [];

// Refusals whose page is of another kind than those of the states.
const kinds = ["no-token", "mfa-required-50076", "fact-unavailable-90033", "not-assigned-50105", "rate-address", "client-certificate-missing"];

// Every page is valid HTML: each in English, and one in every language.
const validate = new HtmlValidate({
  extends: ["html-validate:recommended"],
  rules: {
    // The summary's heading keeps the outline; browsers and the standard allow it.
    "no-implicit-button-type": "error",
    "long-title": "off",
    // A role of its own makes a scrolling block reachable by keyboard and named.
    "prefer-native-element": "off",
    "tel-non-breaking": "off",
    "doctype-style": "off",
  },
});
const read = files.filter((name) => name.includes(".en.") || name.startsWith("state-alternatives."));
for (const file of read) {
  const report = await validate.validateString(readFileSync(join(folder, file), "utf8"));
  for (const { messages } of report.results) {
    for (const message of messages) {
      problems.push(`${file}:${message.line}: ${message.ruleId}: ${message.message}`);
    }
  }
}
console.log(`${read.length} pages validated`);

const server = createServer((request, response) => {
  const name = new URL(request.url, "http://localhost").pathname.slice(1);
  if (name === ".portcullis/wait") {
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: still\n\n");
    return;
  }
  if (!files.includes(name)) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(403, { "content-type": "text/html; charset=utf-8", "content-security-policy": policyOf(name) });
  response.end(readFileSync(join(folder, name)));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const browser = await chromium.launch({ executablePath: browserPath, args: flags });
const looks = {
  phone: { viewport: { width: 320, height: 640 }, colorScheme: "light" },
  desktop: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  forced: { viewport: { width: 1280, height: 900 }, colorScheme: "dark", forcedColors: "active", reducedMotion: "reduce" },
};
// Each kind of page in English, and a long one in every language.
const scenes = files.filter((name) => name.endsWith(".en.standard.html") && (name.startsWith("state-") || kinds.includes(name.split(".")[0])));
const spoken = files.filter((name) => /^state-two-steps\.[^.]+\.full\.|^state-administrator\.(ar|ja)\.minimal\./.test(name));
const own = files.filter((name) => /^own-(chooser|me|sign-out|signed-out|reported|provider-error|cookies-blocked|stale-link)\.en\.html$|^own-chooser\.(ar|ja)\.html$/.test(name));
const looked = {
  phone: [...new Set([...scenes, ...spoken, ...own])],
  desktop: scenes.filter((name) => name.startsWith("state-")),
  forced: scenes.filter((name) => /^state-(alternatives|administrator|closed)/.test(name)),
};

let checks = 0;
for (const [look, options] of Object.entries(looks)) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", (message) => {
    // The page is answered with 403, which the console reports; everything else is a finding.
    if (message.type() === "error" && !message.text().includes("403")) problems.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`${page.url()}: ${error}`));
  for (const file of looked[look]) {
    await page.goto(`${origin}/${file}`);
    const axe = new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
    // Colours that the user forces are not ours to judge.
    const { violations } = await (look === "forced" ? axe.disableRules(["color-contrast"]) : axe).analyze();
    for (const { id, help, nodes } of violations) {
      problems.push(`${file} (${look}): ${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    if (wide) problems.push(`${file} (${look}): wider than the screen`);
    const title = await page.title();
    const headline = await page.locator("h1").textContent();
    if (title !== `${headline} – Northwind access`) problems.push(`${file}: title and headline differ: ${title}`);
    checks += 1;
  }
  await context.close();
}
console.log(`${checks} pages looked at`);

const fullest = ["state-two-steps", "state-administrator"];
const others = ["state-one-step", "state-alternatives", "mfa-required-50076", "fact-unavailable-90033"];
const states = [...fullest, ...others];
const languages = [...new Set(files.map((name) => name.split(".")[1]))].sort();
const inTurns = languages.flatMap((language, turn) => {
  const chosen = process.env.ALL ? states : [...fullest, others[turn % others.length]];
  return chosen.map((state) => [state, language]);
});

// On the first screen of a phone: what happened, the first step, and the one filled button. As most installations show it:
// at full disclosure the operator's own words stand among ours, as long as they like.
{
  const context = await browser.newContext({ viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  let lowest = 0;
  for (const [state, language] of inTurns) {
    const file = `${state}.${language}.standard.html`;
    await page.goto(`${origin}/${file}`);
    const ends = await page.evaluate(() => {
      const bottom = (what) => document.querySelector(what)?.getBoundingClientRect().bottom ?? Infinity;
      return { heading: bottom("h1"), do: bottom(document.querySelector(".do") ? ".do" : "#do"), button: bottom(".go") };
    });
    lowest = Math.max(lowest, ends.button);
    for (const [what, end] of Object.entries(ends)) {
      if (end > 740) problems.push(`${file}: on a phone of 360 by 740 the first screen ends before ${what}, at ${end}`);
    }
  }
  console.log(`${inTurns.length} first screens looked at; the lowest button ends at ${Math.round(lowest)} of 740`);
  await context.close();
}

function beyondTheEdge(size) {
  document.documentElement.style.fontSize = size;
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const wide = document.documentElement.clientWidth;
  const isCut = (one) => one.getClientRects().length > 0 && !one.closest(".vh") && (one.getBoundingClientRect().right > wide + 1 || one.getBoundingClientRect().left < -1);
  return [...document.querySelectorAll("main *, header *")].filter(isCut).map((one) => one.outerHTML.slice(0, 80));
}

// At 400 % of a screen of 1280 by 1024 nothing is cut off (WCAG 2.2, 1.4.10), nor with text twice as large on half of it (1.4.4).
{
  const context = await browser.newContext();
  const page = await context.newPage();
  for (const [state, language] of inTurns) {
    const file = `${state}.${language}.full.html`;
    await page.goto(`${origin}/${file}`);
    for (const [width, size] of [[320, "100%"], [640, "200%"]]) {
      await page.setViewportSize({ width, height: 256 });
      const cut = await page.evaluate(beyondTheEdge, size);
      if (cut.length) problems.push(`${file}, text at ${size}: beyond the edge at ${width} px: ${cut.join(" ")}`);
    }
  }
  await context.close();
  console.log(`${inTurns.length} pages looked at on a narrow screen and in large type`);
}

// Printed, each is one sheet of A4, with the address of help on it and no button.
{
  const context = await browser.newContext();
  const page = await context.newPage();
  const printed = [...states, "state-three-steps", "state-closed"].flatMap((state, turn) => {
    const spoken = ["de", "ja", "ar", "hi"];
    return ["en", ...(process.env.ALL ? spoken : [spoken[turn % spoken.length]])].map((language) => `${state}.${language}.full.html`);
  });
  for (const file of printed) {
    await page.goto(`${origin}/${file}`);
    const sheets = (await page.pdf({ format: "A4" })).toString("latin1").match(/\/Type\s*\/Page\b(?!s)/g)?.length;
    if (sheets !== 1) problems.push(`${file}: printed on ${sheets} sheets`);
    await page.emulateMedia({ media: "print" });
    const seen = await page.evaluate(() => document.querySelector("main").innerText);
    if (!seen.includes("help@example.com")) problems.push(`${file}: the address of help is not printed`);
    if (await page.locator("button:visible").count()) problems.push(`${file}: a button is printed`);
    await page.emulateMedia({ media: null });
  }
  await context.close();
  console.log(`${printed.length} pages printed`);
}

// The button that copies is there, copies the block, and says so.
{
  const context = await browser.newContext();
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  const page = await context.newPage();
  await page.goto(`${origin}/blocked-location-53003.en.standard.html`);
  await page.getByRole("button", { name: "Copy details" }).click();
  await page.getByRole("status").filter({ hasText: "Copied" }).waitFor({ timeout: 5000 });
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const block = await page.locator("pre").textContent();
  if (copied !== block) problems.push(`the button copied something else: ${copied}`);
  await context.close();
  const plain = await browser.newContext({ javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(`${origin}/blocked-location-53003.en.standard.html`);
  if (await still.locator("button[type=button]:visible").count()) problems.push("a button without a script behind it");
  await still.locator("summary").last().click();
  if (!(await still.locator("pre").isVisible())) problems.push("the block to copy needs a script");
  await plain.close();
  console.log("the button copies and says so; without script the block is still there");
}

// The help desk's page, of a process that refused somebody: the form, what it finds, and what it does not find.
{
  const place = mkdtempSync(join(tmpdir(), "portcullis-desk-"));
  const at = (name, text) => {
    if (text !== undefined) writeFileSync(join(place, name), text, { mode: 0o600 });
    return join(place, name);
  };
  const free = () => new Promise((done) => {
    const one = createServer().listen(0, "127.0.0.1", () => { const { port } = one.address(); one.close(() => done(port)); });
  });
  const [port, admin] = [await free(), await free()];
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  at("keys.json", JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" }] }));
  const token = "a token of the help desk, long enough";
  at("desk.token", token);
  const text = readFileSync(join(here, "denial.toml"), "utf8")
    .replace(/listeners = .*/, `listeners = [{ address = "127.0.0.1:${port}" }]\nadmin = "127.0.0.1:${admin}"\nhelp-desk = { token = { file = "desk.token" } }`)
    .replace(/decision-log = .*/, 'decision-log = { file = "decisions.ndjson" }')
    .replace(/keys = \{ url.*/, 'keys = { file = "keys.json" }')
    .replace('"support.key"', JSON.stringify(join(here, "support.key")));
  const child = spawn(binary, ["run", "--config", at("portcullis.toml", text)], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { log += data; });
  const until = async (what, holds) => {
    for (const end = Date.now() + 30_000; ;) {
      const found = await Promise.resolve().then(holds).catch(() => undefined);
      if (found) return found;
      if (Date.now() > end || child.exitCode !== null) throw new Error(`waited in vain for ${what}\n${log}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  };
  try {
    await until("the process", () => fetch(`http://127.0.0.1:${admin}/readyz`).then((answer) => answer.ok));
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: "https://idp.example.com", aud: "api", sub: "kari", iat: now, exp: now + 600, groups: ["staff"] };
    const signed = `${part({ alg: "ES256", typ: "JWT", kid: "one" })}.${part(claims)}`;
    const bearer = `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    // `fetch` sends no `Host` of the caller's choice.
    const refused = execFileSync("curl", ["-s", "-H", "Host: payroll.example.com", "-H", `Authorization: Bearer ${bearer}`, "-H", "Accept: application/json", `http://127.0.0.1:${port}/secret`], { encoding: "utf8" });
    const { reference, request_id: id } = JSON.parse(refused);
    await until("the line of the log", () => readFileSync(at("decisions.ndjson"), "utf8").includes(id));
    for (const [look, options] of Object.entries({ phone: { viewport: { width: 320, height: 640 } }, desktop: looks.desktop })) {
      const context = await browser.newContext({ ...options, httpCredentials: { username: "dana", password: token } });
      const page = await context.newPage();
      page.on("console", (message) => {
        if (message.type() === "error" && !/40[04]/.test(message.text())) problems.push(`help desk: ${message.text()}`);
      });
      const looksAt = async (what) => {
        const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
        for (const { id: rule, help, nodes } of violations) {
          problems.push(`help desk, ${what} (${look}): ${rule}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
        }
        for (const { messages } of (await validate.validateString(await page.content())).results) {
          // A browser that writes a document down gives `required` an empty value.
          const said = messages.filter((message) => message.ruleId !== "attribute-boolean-style");
          problems.push(...said.map((message) => `help desk, ${what}: ${message.ruleId}: ${message.message}`));
        }
        if (look === "phone") {
          for (const size of ["100%", "200%"]) {
            if (size === "200%") await page.setViewportSize({ width: 640, height: 256 });
            const cut = await page.evaluate(beyondTheEdge, size);
            if (cut.length) problems.push(`help desk, ${what}, text at ${size}: beyond the edge: ${cut.join(" ")}`);
          }
          await page.setViewportSize(options.viewport);
          await page.evaluate(() => document.documentElement.style.removeProperty("font-size"));
        }
        if (shots) {
          mkdirSync(shots, { recursive: true });
          await page.screenshot({ path: join(shots, `help-desk-${what.replaceAll(" ", "-")}.${look}.png`), fullPage: true });
        }
      };
      const ask = async (what, user) => {
        await page.getByLabel(/^Reference/).fill(what);
        await page.getByLabel(/^Id of the caller/).fill(user);
        await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Look up" }).click()]);
      };
      await page.goto(`http://127.0.0.1:${admin}/help-desk`);
      await looksAt("the form");
      await ask(reference, "kari");
      const seen = await page.locator("main").innerText();
      for (const wanted of [reference, "is who asked", "“Payroll” cannot be opened from where you were"]) {
        if (!seen.includes(wanted)) problems.push(`the help desk does not say "${wanted}": ${seen}`);
      }
      await looksAt("what was found");
      await ask("0000-0000", "");
      await looksAt("nothing found");
      await context.close();
    }
    console.log("the help desk looked at");
  } finally {
    child.kill("SIGINT");
    await new Promise((done) => (child.exitCode === null ? child.once("exit", done) : done()));
    rmSync(place, { recursive: true, force: true });
  }
}

if (shots) {
  mkdirSync(shots, { recursive: true });
  const sizes = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } };
  for (const [look, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport, colorScheme });
      const page = await context.newPage();
      for (const state of states) {
        for (const language of ["en", "ja", "ar", "hi"]) {
          await page.goto(`${origin}/${state}.${language}.full.html`);
          await page.screenshot({ path: join(shots, `${state}.${language}.${look}-${colorScheme}.png`), fullPage: true });
        }
      }
      await context.close();
    }
  }
}

await browser.close();
server.closeAllConnections();
server.close();
rmSync(folder, { recursive: true });
if (problems.length) {
  console.error(`\n${problems.length} problems\n${problems.slice(0, 200).join("\n")}`);
  process.exit(1);
}
console.log("no problem found");
