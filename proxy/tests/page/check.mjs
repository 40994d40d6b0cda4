// Looks at every denial page as a browser shows it: accessibility (WCAG 2.2 AA, by axe-core), valid
// HTML, the policy of content, narrow screens, and the button that copies.
//
//   npm ci && npm run check              renders the pages with ../../../target/debug/portcullis
//   npm run check -- --shots FOLDER      keeps pictures too
//   PORTCULLIS=… CHROMIUM=… npm run check
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
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
const policy = readFileSync(join(folder, "content-security-policy.txt"), "utf8");
// Pages around signing in have each a policy of their own.
const policyOf = (name) => {
  const own = join(folder, `${name.split(".")[0]}.policy.txt`);
  return existsSync(own) ? readFileSync(own, "utf8") : policy;
};
const files = readdirSync(folder).filter((name) => name.endsWith(".html") && name !== "index.html").sort();
const problems = [];

// Every file is valid HTML.
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
for (const file of files) {
  const report = await validate.validateString(readFileSync(join(folder, file), "utf8"));
  for (const { messages } of report.results) {
    for (const message of messages) {
      problems.push(`${file}:${message.line}: ${message.ruleId}: ${message.message}`);
    }
  }
}
console.log(`${files.length} pages validated`);

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
const own = files.filter((name) => /^own-[^.]*\.(en|ar|ja|de)\.html$/.test(name) && !name.includes("keep-fragment"));
const english = files.filter((name) => name.includes(".en.standard.") || (own.includes(name) && name.includes(".en.")));
const spoken = files.filter((name) => /^blocked-location-\d+\.[^.]+\.full\.|^device-not-compliant-\d+\.(ar|ja|de)\.(standard|minimal)\./.test(name));
const looked = { phone: [...new Set([...english, ...spoken, ...own])], desktop: english, forced: english.filter((name) => name.startsWith("blocked-")) };

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
    if (title !== headline) problems.push(`${file}: title and headline differ`);
    checks += 1;
  }
  await context.close();
}
console.log(`${checks} pages looked at`);

// The button that copies is there, copies the block, and says so.
{
  const context = await browser.newContext();
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  const page = await context.newPage();
  await page.goto(`${origin}/blocked-location-53003.en.standard.html`);
  await page.getByRole("button", { name: "Copy this text" }).click();
  await page.getByRole("status").filter({ hasText: "Copied." }).waitFor({ timeout: 5000 });
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const block = await page.locator("pre").textContent();
  if (copied !== block) problems.push(`the button copied something else: ${copied}`);
  await context.close();
  const plain = await browser.newContext({ javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(`${origin}/blocked-location-53003.en.standard.html`);
  if (await still.locator("button").count()) problems.push("a button without a script behind it");
  if (!(await still.locator("pre").isVisible())) problems.push("the block to copy needs a script");
  await plain.close();
  console.log("the button copies and says so; without script the block is still there");
}

if (shots) {
  mkdirSync(shots, { recursive: true });
  const wanted = [
    "blocked-location-53003", "device-not-compliant-53000", "blocked-platform-50005", "blocked-client-app-53003",
    "mfa-required-50076", "not-assigned-50105", "fact-unavailable-90033", "no-token", "blocked-device-53003",
  ];
  for (const [look, width, colorScheme] of [["phone-light", 375, "light"], ["phone-dark", 375, "dark"], ["desktop-light", 1280, "light"], ["desktop-dark", 1280, "dark"]]) {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
    const page = await context.newPage();
    for (const scene of wanted) {
      for (const lang of ["en", "ja", "ar"]) {
        await page.goto(`${origin}/${scene}.${lang}.${scene.startsWith("blocked-location") ? "full" : "standard"}.html`);
        await page.screenshot({ path: join(shots, `${scene}.${lang}.${look}.png`), fullPage: true });
      }
    }
    await context.close();
  }
}

await browser.close();
server.close();
if (problems.length) {
  console.error(`\n${problems.length} problems\n${problems.slice(0, 60).join("\n")}`);
  process.exit(1);
}
console.log("no problem found");
