// Chromium on the page: `node drive.mjs <chromium> <certificate> <folder> <name>=<url>…` prints what it saw at each URL, as JSON.
// It is driven over the pipe of its DevTools protocol.

import { spawn } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [program, certificate, folder, ...places] = process.argv.slice(2);
const spki = createPublicKey(readFileSync(certificate)).export({ type: 'spki', format: 'der' });
const trusted = createHash('sha256').update(spki).digest('base64');
const browser = spawn(program, [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio', '--no-first-run', '--disable-extensions',
  '--disable-background-networking', '--disable-component-update', '--remote-debugging-pipe', `--user-data-dir=${join(folder, 'profile')}`,
  '--host-resolver-rules=MAP * 127.0.0.1', `--ignore-certificate-errors-spki-list=${trusted}`, '--no-proxy-server', 'about:blank',
], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
let said = '';
browser.stderr.on('data', (piece) => (said += piece));
process.on('exit', () => browser.kill('SIGKILL'));
browser.on('exit', (code) => fail(`the browser has ended with ${code}`));

function fail(why) {
  console.error(why, said.slice(-3000));
  process.exit(1);
}

// Where it is, for whoever reads why it did not end.
let step = 'start';
let last = 0;
const asked = new Map();
const listeners = new Set();
let unread = '';
browser.stdio[4].on('data', (piece) => {
  const messages = (unread + piece).split('\0');
  unread = messages.pop();
  for (const message of messages.map((text) => JSON.parse(text))) {
    const answered = asked.get(message.id);
    if (!answered) for (const listener of listeners) listener(message);
    else if (message.error) answered.reject(new Error(message.error.message));
    else answered.resolve(message.result);
  }
});

function ask(method, params = {}, sessionId = undefined) {
  last += 1;
  browser.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  const id = last;
  return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
}

// The next event with this name that `wanted` takes.
function next(method, wanted = () => true) {
  return new Promise((resolve) => {
    const listener = (message) => {
      if (message.method !== method || !wanted(message.params)) return;
      listeners.delete(listener);
      resolve(message.params);
    };
    listeners.add(listener);
  });
}

async function visit(name, url) {
  const downloads = join(folder, name);
  mkdirSync(downloads);
  const { browserContextId } = await ask('Target.createBrowserContext');
  await ask('Browser.setDownloadBehavior', { behavior: 'allow', browserContextId, downloadPath: downloads, eventsEnabled: true });
  const { targetId } = await ask('Target.createTarget', { url: 'about:blank', browserContextId });
  const { sessionId } = await ask('Target.attachToTarget', { targetId, flatten: true });
  const page = (method, params) => ask(method, params, sessionId);
  await page('Page.enable');
  await page('Network.enable');
  await page('DOM.enable');

  const open = async (path) => {
    step = path;
    const loaded = next('Page.loadEventFired');
    await page('Page.navigate', { url: url + path });
    await loaded;
  };
  // A browser that has much else to do leaves hints alone.
  let hints = 'none';
  for (let attempt = 0; attempt < 5 && hints === 'none'; attempt += 1) {
    const hinted = next('Network.responseReceivedEarlyHints').then(({ headers }) => (headers.link ?? headers.Link).replace(/\?attempt=\d/, ''));
    await open(`/page?hints=${attempt}`);
    hints = await Promise.race([hinted, new Promise((resolve) => setTimeout(resolve, 1000, 'none'))]);
  }
  await open('/go');
  step = 'checks';
  const upload = join(folder, 'the file.txt');
  writeFileSync(upload, 'x'.repeat(200_000));
  const { root } = await page('DOM.getDocument');
  const { nodeId } = await page('DOM.querySelector', { nodeId: root.nodeId, selector: '#file' });
  await page('DOM.setFileInputFiles', { nodeId, files: [upload] });
  const { result, exceptionDetails } = await page('Runtime.evaluate', { expression: 'run()', awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
  const verdicts = result.value;
  verdicts['early hints'] = hints;

  const { cookies } = await ask('Storage.getCookies', { browserContextId });
  const shown = cookies.map((cookie) => [cookie.name, cookie.value, cookie.path, cookie.secure, cookie.httpOnly, cookie.sameSite ?? '']);
  verdicts['cookies that the browser keeps'] = shown.sort();

  step = 'download';
  const began = next('Browser.downloadWillBegin');
  const ended = next('Browser.downloadProgress', ({ state }) => state !== 'inProgress');
  await page('Page.navigate', { url: `${url}/download` }).catch(() => {});
  const { suggestedFilename } = await began;
  const { state } = await ended;
  const octets = readFileSync(join(downloads, suggestedFilename));
  const digest = createHash('sha256').update(octets).digest('hex');
  verdicts['a download to the disk'] = [suggestedFilename, state, octets.length, digest];

  step = 'form';
  const shownForm = next('Page.loadEventFired');
  await page('Runtime.evaluate', { expression: 'document.getElementById("file").remove(); document.getElementById("form").submit()' });
  await shownForm;
  const form = await page('Runtime.evaluate', { expression: '[location.pathname, JSON.parse(document.body.innerText).notes.form]', returnByValue: true });
  verdicts['a form, and where it leads'] = form.result.value;
  return verdicts;
}

setTimeout(() => fail(`no end of it within 110 s: ${step}`), 110_000).unref();
const all = {};
for (const place of places) {
  const at = place.indexOf('=');
  all[place.slice(0, at)] = await visit(place.slice(0, at), place.slice(at + 1)).catch((error) => fail(error.stack));
}
console.log(JSON.stringify(all));
process.exit(0);
