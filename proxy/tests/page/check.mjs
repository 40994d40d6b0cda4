// Looks at every denial page as a browser shows it: accessibility (WCAG 2.2 AA, by axe-core), valid HTML, the policy of content,
// size, narrow screens, the first screen of a phone, forced colours, paper, one filled button, and the button that copies.
//
//   npm ci && npm run check              renders the pages with ../../../target/debug/portcullis
//   npm run check -- --shots FOLDER      keeps pictures too; the README's is FOLDER/readme.png
//   PORTCULLIS=… CHROMIUM=… npm run check
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import AxeBuilder from "@axe-core/playwright";
import { HtmlValidate } from "html-validate";
import { chromium } from "playwright-core";

const here = fileURLToPath(new URL(".", import.meta.url));
const binary = process.env.PORTCULLIS ?? join(here, "../../../target/debug/portcullis");
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const shots = process.argv.includes("--shots") ? process.argv[process.argv.indexOf("--shots") + 1] : null;

const folder = mkdtempSync(join(tmpdir(), "portcullis-pages-"));
console.log(execFileSync(binary, ["page", "--config", join(here, "denial.toml"), "--out", folder], { encoding: "utf8" }).trim());
// Each page has a policy of its own, for what it runs, asks for, and where its form leads.
const policyOf = (name) => {
  const [scene, , shown] = name.split(".");
  const [ofPage, ofScene] = [`${scene}.${shown}.policy.txt`, `${scene}.policy.txt`].map((file) => join(folder, file));
  return readFileSync(existsSync(ofPage) ? ofPage : ofScene, "utf8");
};
const files = readdirSync(folder).filter((name) => name.endsWith(".html") && name !== "index.html").sort();
const problems = [];

// Every file is valid HTML.
const validate = new HtmlValidate({
  extends: ["html-validate:recommended"],
  rules: {
    "no-implicit-button-type": "error",
    "long-title": "off",

    // A role of its own makes a scrolling block reachable by keyboard and named.
    "prefer-native-element": "off",
    "tel-non-breaking": "off",
    "doctype-style": "off",
  },
});
const validated = files.filter((name) => /\.(en|ar)\./.test(name) || name.startsWith("state-"));
for (const file of validated) {
  const report = await validate.validateString(readFileSync(join(folder, file), "utf8"));
  for (const { messages } of report.results) {
    for (const message of messages) {
      problems.push(`${file}:${message.line}: ${message.ruleId}: ${message.message}`);
    }
  }
}
console.log(`${validated.length} pages validated`);

// Every file is small. Scripts of two and three bytes a letter take more; compressed, a page is a third of it.
const BYTES_MAX = 17 * 1024;
for (const file of files) {
  const { size } = statSync(join(folder, file));
  if (size >= BYTES_MAX) problems.push(`${file}: ${size} bytes`);
}

const server = createServer((request, response) => {
  const name = new URL(request.url, "http://localhost").pathname.slice(1);
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
// One page goes on by itself.
const own = files.filter((name) => name.startsWith("own-") && !name.includes("keep-fragment"));
const english = files.filter((name) => name.includes(".en.standard.") || (own.includes(name) && name.includes(".en.")));
const spoken = files.filter((name) => /^state-(two-steps|administrator)\.[^.]+\.standard\./.test(name) || /\.en\.(full|minimal)\./.test(name));
const looked = {
  phone: [...new Set([...english, ...spoken, ...own.filter((name) => /\.(ar|ja|de|hi)\./.test(name))])],
  desktop: english,
  forced: english.filter((name) => name.startsWith("state-")),
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
    if (!title.startsWith(`${headline} – `)) problems.push(`${file}: title and headline differ`);
    const filled = await page.locator(".go:visible").count();
    if (filled > 1) problems.push(`${file}: ${filled} filled buttons`);
    if (look === "forced") {
      const shape = await page.locator(".btn:visible").evaluateAll((buttons) => buttons.filter((button) => getComputedStyle(button).borderTopWidth === "0px").length);
      if (shape) problems.push(`${file}: ${shape} buttons without an edge in forced colours`);
    }
    checks += 1;
  }
  await context.close();
}
console.log(`${checks} pages looked at`);

// On the first screen of a phone stand what happened, the first step, and the button or the reference, in every language.
{
  const context = await browser.newContext({ viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  const first = files.filter((name) => /^(state-.*|mfa-required-50076|fact-unavailable-90033)\.[^.]+\.(standard|minimal)\.html$/.test(name));
  for (const file of first) {
    await page.goto(`${origin}/${file}`);
    const below = await page.evaluate(() => {
      const bottom = (what) => document.querySelector(what)?.getBoundingClientRect().bottom ?? Infinity;
      const seen = { headline: bottom("h1"), "first step": bottom("#do ~ * .do, #do"), "button or reference": Math.min(bottom(".go"), bottom(".ref"), bottom(".lead + .small")) };
      return Object.entries(seen).filter(([, at]) => at > innerHeight).map(([what]) => what);
    });
    if (below.length) problems.push(`${file}: below the first screen of a phone: ${below.join(", ")}`);
  }
  await context.close();
  console.log(`${first.length} first screens looked at`);
}

// Four times as large, nothing is wider than the screen; and on paper it is one sheet, with addresses that can be typed.
{
  const context = await browser.newContext({ viewport: { width: 320, height: 256 } });
  const page = await context.newPage();
  const printed = files.filter((name) => /^state-(two-steps|three-steps|alternatives|administrator|closed)\.[^.]+\.(standard|full)\.html$/.test(name));
  for (const file of printed) {
    await page.goto(`${origin}/${file}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    if (wide) problems.push(`${file}: wider than the screen at 400 %`);
    const sheets = (await page.pdf({ format: "A4", preferCSSPageSize: true })).toString("latin1").match(/\/Type\s*\/Page[^s]/g).length;
    if (sheets !== 1) problems.push(`${file}: ${sheets} sheets of paper`);
    await page.emulateMedia({ media: "print" });
    const text = await page.evaluate(() => document.body.innerText + [...document.querySelectorAll("[data-url]")].map((link) => link.dataset.url).join(" "));
    if (/%[0-9A-F]{2}/.test(text)) problems.push(`${file}: percent-escapes on paper`);
    if (!text.includes("help@example.com") || !text.includes("help.example.com")) problems.push(`${file}: no address on paper`);
    await page.emulateMedia({ media: "screen" });
  }
  await context.close();
  console.log(`${printed.length} sheets of paper looked at`);
}

// The button that copies is there, copies the text for a ticket, and says so.
{
  const context = await browser.newContext();
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  const page = await context.newPage();
  await page.goto(`${origin}/blocked-location-53003.en.standard.html`);
  await page.getByRole("button", { name: "Copy details" }).click();
  await page.getByRole("status").filter({ hasText: "Copied." }).waitFor({ timeout: 5000 });
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const block = await page.locator("#text").textContent();
  if (copied !== block) problems.push(`the button copied something else: ${copied}`);
  await context.close();
  const plain = await browser.newContext({ javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(`${origin}/blocked-location-53003.en.standard.html`);
  if (await still.locator("button[type=button]:visible").count()) problems.push("a button without a script behind it");
  await still.locator("summary").click();
  if (!(await still.locator("#text").isVisible())) problems.push("the text for a ticket needs a script");
  await plain.close();
  console.log("the button copies and says so; without script the text is still there");
}

if (shots) {
  mkdirSync(shots, { recursive: true });
  const wanted = [
    "state-two-steps", "state-three-steps", "state-one-step", "state-alternatives", "state-none-found", "state-administrator",
    "state-closed", "mfa-required-50076", "fact-unavailable-90033", "no-token", "blocked-device-53003",
  ];
  const looks = [
    ["phone-light", { viewport: { width: 360, height: 740 }, colorScheme: "light" }],
    ["phone-dark", { viewport: { width: 360, height: 740 }, colorScheme: "dark" }],
    ["phone-forced", { viewport: { width: 360, height: 740 }, colorScheme: "dark", forcedColors: "active" }],
    ["desktop-light", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }],
    ["desktop-dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }],
  ];
  for (const [look, options] of looks) {
    const context = await browser.newContext({ ...options, reducedMotion: "reduce" });
    const page = await context.newPage();
    for (const scene of wanted) {
      for (const lang of look === "desktop-dark" ? ["en"] : ["en", "ja", "ar", "hi", "de"]) {
        await page.goto(`${origin}/${scene}.${lang}.standard.html`);
        if (look === "desktop-dark") await page.locator("summary").evaluateAll((all) => all.forEach((one) => one.click()));
        await page.screenshot({ path: join(shots, `${scene}.${lang}.${look}.png`), fullPage: look.startsWith("desktop") });
      }
    }
    for (const file of own.filter((name) => name.includes(".en."))) {
      await page.goto(`${origin}/${file}`);
      await page.screenshot({ path: join(shots, file.replace("html", `${look}.png`)) });
    }
    await context.close();
  }
  // The README's picture: the first screen of a phone.
  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(`${origin}/state-two-steps.en.standard.html`);
  await page.screenshot({ path: join(shots, "readme.png") });
  await page.pdf({ path: join(shots, "print.pdf"), format: "A4", preferCSSPageSize: true });
  await context.close();
}

await browser.close();
server.close();
if (problems.length) {
  console.error(`\n${problems.length} problems\n${problems.slice(0, 60).join("\n")}`);
  process.exit(1);
}
console.log("no problem found");
