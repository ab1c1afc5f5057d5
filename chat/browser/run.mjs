// node run.mjs CHAT WSCAT DIR
//
// Lets people meet in headless Chromium, on the server CHAT, and one at a terminal, WSCAT. Puts a
// screenshot of each main state below DIR. It takes playwright-core, and Debian's chromium. SCENES names those
// to play, such as 'peopleTalk aRoomIsFull', instead of all. The last one takes Debian's nats-server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [CHAT, WSCAT, DIR] = process.argv.slice(2);
const { chromium } = createRequire(process.env.NODE_PATH + '/')('playwright-core');
// How long anything may take, in ms.
const PATIENCE = 20_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server'],
});
const started = new Set();
mkdirSync(DIR, { recursive: true });

/** A program whose lines can be waited for. */
class Program {
  constructor(command, ...options) {
    this.child = spawn(command, options, { stdio: ['pipe', 'pipe', 'inherit'] });
    started.add(this.child);
    this.ended = once(this.child, 'exit').finally(() => started.delete(this.child));
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async line() {
    const { value } = await within(this.lines.next(), 'a line');
    return value;
  }

  /** Has it do nothing more, until SIGCONT. */
  async stop() {
    const { pid } = this.child;
    this.child.kill('SIGSTOP');
    const isStopped = (task) => / T /.test(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'));
    const all = async () => {
      while (!readdirSync(`/proc/${pid}/task`).every(isStopped)) await sleep(10);
    };
    await within(all(), 'to stop');
  }

  async end(signal) {
    this.child.kill(signal);
    return within(this.ended, 'the end of a program');
  }
}

async function serve(address, ...options) {
  const server = new Program(CHAT, '--listen', address, ...options);
  server.url = (await server.line()).replace('listening on ', '');
  server.address = new URL(server.url).host;
  return server;
}

/** A NATS server that keeps what it has to below `store`. */
async function startNats(port, store) {
  const options = ['-a', '127.0.0.1', '-p', port, '-js', '-sd', store, '-l', join(store, 'log')];
  const nats = new Program('/usr/sbin/nats-server', ...options);
  const answers = async () => {
    const socket = connect(port, '127.0.0.1');
    const data = await once(socket, 'data').catch(() => null);
    socket.destroy();
    return data;
  };
  const started = async () => {
    while (!await answers()) await sleep(50);
  };
  await within(started(), 'nats-server');
  return nats;
}

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

async function within(work, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} takes too long`)), PATIENCE);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** A person with a browser of their own. */
async function visitor(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    // That a server is away is no mistake of the page's.
    const text = message.text();
    if (message.type() === 'error' && !text.includes('WebSocket connection')) page.complaints.push(text);
  });
  return page;
}

async function enter(page, url, name, room) {
  await page.goto(url);
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Room').fill(room);
  await page.getByRole('button', { name: 'Enter' }).click();
  await connected(page);
}

const connected = (page) => page.locator('body.online').waitFor();
const lost = (page) => page.locator('body.lost').waitFor();
const texts = (page) => page.locator('.entry .bubble').allInnerTexts();
const people = (page) => page.locator('#people bdi').allInnerTexts();
const shot = (page, name) => page.screenshot({ path: `${DIR}/${name}.png` });

async function say(page, text) {
  await page.getByLabel('Your message').fill(text);
  await page.getByLabel('Your message').press('Enter');
}

/** Waits until a page shows these messages, and no others. */
async function shows(page, expected) {
  const enough = (count) => document.querySelectorAll('.entry:not(.pending)').length >= count;
  await page.waitForFunction(enough, expected.length).catch(() => {});
  assert.deepEqual(await texts(page), expected);
}

async function lists(page, expected) {
  const same = (wanted) => {
    const names = [...document.querySelectorAll('#people bdi')].map((name) => name.textContent);
    return JSON.stringify(names) === wanted;
  };
  await page.waitForFunction(same, JSON.stringify(expected)).catch(() => {});
  assert.deepEqual(await people(page), expected);
}

const focused = (page) => page.evaluate(() => document.activeElement.id);

/**
 * Stands between a page and its server: `hears` may change what the page hears, or keep it, `says` what it
 * says, and `tell` says something in the server's place. What the page says waits for `isOpen`.
 */
async function listenIn(page, hears = (event) => event, says = (request) => request) {
  const line = { said: [], underWay: 0, mostUnderWay: 0, isOpen: undefined };
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const there = socket.connectToServer();
    line.underWay = 0;
    line.tell = (event) => socket.send(JSON.stringify(event));
    line.cut = () => socket.close({ code: 4000 });
    socket.onMessage(async (message) => {
      await line.isOpen;
      const request = says(JSON.parse(message));
      line.said.push({ ...request, at: Date.now() });
      if (request.type === 'say') line.underWay += 1;
      line.mostUnderWay = Math.max(line.mostUnderWay, line.underWay);
      there.send(JSON.stringify(request));
    });
    there.onMessage((message) => {
      const event = JSON.parse(message);
      if (event.type === 'message') line.underWay -= 1;
      const heard = hears(event);
      if (heard) line.tell(heard);
    });
  });
  return line;
}

const TRICKS = [
  '<img src=x onerror="document.title=1"><b>bold?</b>',
  '<script>alert(1)</script>',
  '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽',
  'مرحبا بالعالم',
  'two\nlines &amp; more',
];

async function peopleTalk() {
  const server = await serve('127.0.0.1:0');
  const [ada, bob, eve] = [await visitor(), await visitor(), await visitor()];
  await ada.goto(server.url);
  await shot(ada, 'entrance');
  await enter(ada, server.url, 'Ada', 'lobby');
  await shot(ada, 'empty-room');
  await enter(bob, server.url, '<i>Bob</i> 🙂', 'lobby');
  await enter(eve, server.url, 'Eve', 'other');
  await lists(ada, ['<i>Bob</i> 🙂', 'Ada']);
  await lists(eve, ['Eve']);
  const said = [];
  for (const text of TRICKS) {
    await say(ada, text);
    said.push(text);
    await shows(bob, said);
  }
  await say(bob, 'Hello Ada, all of that is text here.');
  said.push('Hello Ada, all of that is text here.');
  await say(bob, `A long one: ${'a word and another, '.repeat(18)}${'x'.repeat(160)}`);
  said.push(`A long one: ${'a word and another, '.repeat(18)}${'x'.repeat(160)}`);
  await shows(ada, said);
  await shows(eve, []);
  // Nothing was made of what they said.
  for (const page of [ada, bob]) {
    assert.equal(await page.locator('#log img, #log b, #log script, #people i').count(), 0);
    assert.match(await page.title(), /#lobby/);
    const tooWide = await page.locator('#log').evaluate((log) => log.scrollWidth - log.clientWidth);
    assert.equal(tooWide, 0);
  }
  await shot(ada, 'talk');
  const late = await visitor({ colorScheme: 'dark' });
  await enter(late, server.url, 'Grace', 'lobby');
  await shows(late, said);
  await shot(late, 'talk-dark');
  await late.context().close();
  await lists(ada, ['<i>Bob</i> 🙂', 'Ada']);
  // What the server does not take is said at the message.
  await say(ada, 'turned \u202e around');
  await ada.locator('.failed').waitFor();
  assert.match(await ada.locator('.failed .note').innerText(), /Not sent: /);
  await ada.getByLabel('Your message').fill('y'.repeat(2_100));
  assert.equal(await ada.locator('#left').innerText(), '100 characters too many');
  await shot(ada, 'refused');
  await ada.getByRole('button', { name: 'Leave' }).click();
  await ada.getByLabel('Your name').waitFor();
  await lists(bob, ['<i>Bob</i> 🙂']);
  await finish(server, ada, bob, eve);
}

async function theServerRestarts() {
  let server = await serve('127.0.0.1:0');
  const { url, address } = server;
  const [ada, bob] = [await visitor(), await visitor()];
  await enter(ada, url, 'Ada', 'lobby');
  await enter(bob, url, 'Bob', 'lobby');
  const said = [];
  const each = async (text) => {
    said.push(text);
    await say(said.length % 2 ? ada : bob, text);
    await shows(ada, said);
    await shows(bob, said);
  };
  await each('one');
  await each('two');
  for (const [signal, n] of [['SIGTERM', 1], ['SIGKILL', 2]]) {
    await server.end(signal);
    await lost(ada);
    await lost(bob);
    await say(ada, `while it was away, ${n}`);
    await ada.locator('.pending .note').waitFor();
    await ada.getByText(/Next try/).waitFor();
    if (n === 1) await shot(ada, 'lost');
    server = await serve(address);
    await connected(ada);
    await connected(bob);
    said.push(`while it was away, ${n}`);
    await shows(ada, said);
    await shows(bob, said);
    await lists(ada, ['Ada', 'Bob']);
    await each(`back ${n}`);
    await each(`again ${n}`);
  }
  await shot(ada, 'back');
  // A page that is loaded anew has what was said since the last start.
  await bob.reload();
  await enter(bob, url, 'Bob', 'lobby');
  await shows(bob, said.slice(-3));
  await finish(server, ada, bob);
}

/** What came back last is lost: said again, it is shown once, be the server the same or another. */
async function anEchoIsLost() {
  let server = await serve('127.0.0.1:0');
  const { url, address } = server;
  const [ada, bob] = [await visitor(), await visitor()];
  let [lose, sockets] = ['', []];
  await ada.routeWebSocket(/\/ws$/, (socket) => {
    const there = socket.connectToServer();
    let isDeaf = false;
    sockets.push(socket);
    // From what is to be lost on it hears nothing more.
    there.onMessage((message) => {
      isDeaf ||= lose && message.includes(lose);
      if (!isDeaf) socket.send(message);
    });
  });
  await enter(ada, url, 'Ada', 'lobby');
  await enter(bob, url, 'Bob', 'lobby');
  lose = 'lost once';
  await say(ada, 'lost once');
  await shows(bob, ['lost once']);
  await ada.locator('.pending').waitFor();
  lose = '';
  await sockets.at(-1).close({ code: 4000 });
  await ada.locator('.pending').waitFor({ state: 'detached' });
  await connected(ada);
  await shows(ada, ['lost once']);
  lose = 'lost for good';
  await say(ada, 'lost for good');
  await shows(bob, ['lost once', 'lost for good']);
  await ada.locator('.pending').waitFor();
  await server.end('SIGKILL');
  lose = '';
  server = await serve(address);
  await ada.locator('.pending').waitFor({ state: 'detached' });
  await connected(bob);
  await say(bob, 'the end');
  await shows(ada, ['lost once', 'lost for good', 'the end']);
  await shows(bob, ['lost once', 'lost for good', 'the end']);
  await finish(server, ada, bob);
}

/** There are other servers, and they are away: what the server says of that is said in its place here. */
async function otherServersAreAway() {
  const server = await serve('127.0.0.1:0');
  const [ada, bob] = [await visitor(), await visitor()];
  let [isAgain, kept, keeps] = [false, [], false];
  const line = await listenIn(ada, (event) => {
    if (event.type === 'message' && keeps) kept.push(event);
    if (event.type === 'message' && keeps) return null;
    if (event.type !== 'joined' || !isAgain) return event;
    assert.deepEqual(event.messages.map(({ text }) => text), [...said.slice(0, 2), 'here, too', 'I am here']);
    // Some with other ids: they were said again.
    const messages = event.messages.map((said, n) => ({ ...said, id: n % 2 ? said.id : `other-${said.id}` }));
    return { ...event, messages };
  }, (request) => {
    // It is told all that the server has, of which the page has all.
    if (isAgain) delete request.after;
    return request;
  });
  const said = ['is somebody there?', 'only here'];
  await enter(ada, server.url, 'Ada', 'lobby');
  await enter(bob, server.url, 'Bob', 'lobby');
  const banner = ada.getByText('Other servers cannot be reached for now.');
  line.tell({ type: 'network', together: true, nodes: 3 });
  line.tell({ type: 'weather', fine: true });
  await say(bob, 'is somebody there?');
  await shows(ada, ['is somebody there?']);
  assert.equal(await banner.isVisible(), false);
  assert.equal(await ada.locator('.event').count(), 1, 'Bob has come, and that is all');

  line.tell({ type: 'network', together: false, nodes: 1 });
  line.tell({ type: 'network', together: false, nodes: 1 });
  await banner.waitFor();
  assert.equal(await ada.getByText('Other servers cannot be reached.', { exact: true }).count(), 1);
  const notEverywhere = () => {
    const { key } = line.said.at(-1);
    line.tell({ type: 'error', code: 'not-everywhere', message: 'others may not get it', room: 'lobby', key });
  };
  await say(ada, 'only here');
  await shows(ada, said);
  notEverywhere();
  await ada.locator('.partial', { hasText: 'only here' }).locator('.note').waitFor();
  // It may be said before the message itself has come back.
  keeps = true;
  await say(ada, 'here, too');
  const waiting = ada.locator('.pending', { hasText: 'here, too' });
  await waiting.waitFor();
  await say(bob, 'I am here');
  await shows(bob, [...said, 'here, too', 'I am here']);
  notEverywhere();
  await ada.locator('.partial.pending').waitFor();
  // Of another server, which is heard first.
  line.tell({ type: 'message', id: 'y', room: 'lobby', name: 'Cleo', text: 'from elsewhere', time: Date.now() });
  kept.forEach(line.tell);
  said.push('from elsewhere', 'here, too', 'I am here');
  keeps = false;
  await shows(ada, said);
  assert.equal(await ada.locator('.partial .note').count(), 2);
  assert.equal(await ada.locator('.pending, .failed').count(), 0);
  await shot(ada, 'alone');
  await ada.setViewportSize({ width: 360, height: 640 });
  await ada.emulateMedia({ colorScheme: 'dark' });
  await shot(ada, 'phone-alone-dark');
  await ada.setViewportSize({ width: 1100, height: 720 });
  await ada.emulateMedia({ colorScheme: 'light' });

  line.tell({ type: 'network', together: true, nodes: 3 });
  await banner.waitFor({ state: 'hidden' });
  await ada.getByText('Other servers are reached again.').waitFor();
  line.tell({ type: 'gap', room: 'lobby', missed: 1 });
  await ada.getByText('1 message from other servers was missed.').waitFor();
  line.tell({ type: 'gap', room: 'lobby', missed: 3 });
  await ada.getByText('3 messages from other servers were missed.').waitFor();
  line.tell({ type: 'gap', room: 'lobby', missed: 0 });
  await ada.getByText('Some messages from other servers may be missing.').waitFor();
  await shot(ada, 'gap');

  isAgain = true;
  line.tell({ type: 'network', together: false, nodes: 1 });
  await banner.waitFor();
  await line.cut();
  await lost(ada);
  // Its own server is away now, which is said elsewhere.
  await banner.waitFor({ state: 'hidden' });
  await connected(ada);
  await ada.getByText('Some messages may be missing.').waitFor();
  await say(bob, 'the end');
  said.push('the end');
  await shows(ada, said);
  // What happens does not push out what was said.
  for (let n = 0; n < 150; n += 1) line.tell({ type: 'gap', room: 'lobby', missed: n + 10 });
  await ada.getByText('159 messages from other servers').waitFor();
  assert.equal(await ada.locator('.event').count(), 100);
  await shows(ada, said);
  await finish(server, ada, bob);
}

/** Whoever was in a room waits for a place in it; whoever was not has to choose. */
async function aRoomIsFull() {
  const server = await serve('127.0.0.1:0');
  const ada = await visitor();
  await ada.addInitScript(() => { Math.random = () => 1; });
  let full = 1;
  const line = await listenIn(ada, (event) => {
    if (event.type !== 'joined' || full === 0) return event;
    full -= 1;
    const message = 'at most 500 people are in a room';
    // The server may know how long it takes.
    return { type: 'error', code: 'room-full', message, room: 'lobby', ...(full && { retry: 4 }) };
  });
  await ada.goto(server.url);
  await ada.getByLabel('Your name').fill('Ada');
  await ada.getByLabel('Your name').press('Enter');
  await ada.getByRole('alert').getByText('The room is full.').waitFor();
  assert.equal(await focused(ada), 'name');
  await ada.getByLabel('Your name').press('Enter');
  await connected(ada);
  await say(ada, 'before');
  await shows(ada, ['before']);
  full = 2;
  await line.cut();
  await ada.getByRole('status').getByText('The room is full.').waitFor();
  await shot(ada, 'room-full');
  await connected(ada);
  await ada.getByText('Connected again.').waitFor();
  await shows(ada, ['before']);
  const joins = line.said.filter(({ type }) => type === 'join').slice(-3);
  const [first, second] = [joins[1].at - joins[0].at, joins[2].at - joins[1].at];
  assert.ok(first > 3_900 && second > 1_900 && second < 3_900, `it waits as asked, and longer each time: ${first}, ${second} ms`);
  await finish(server, ada);
}

/** Of many who come and go at once there is one line, and who stays keeps their place in the list. */
async function manyComeAndGo() {
  const server = await serve('127.0.0.1:0');
  const [ada, bob] = [await visitor(), await visitor()];
  const line = await listenIn(ada);
  await enter(ada, server.url, 'Ada', 'lobby');
  await enter(bob, server.url, 'Bob', 'lobby');
  await ada.getByText('Bob\u2069 joined.').waitFor();
  await ada.evaluate(() => document.querySelectorAll('#people li').forEach((it) => { it.isKept = true; }));
  const many = (change) => {
    for (let n = 0; n < 300; n += 1) {
      const name = `Guest ${String(n).padStart(3, '0')}`;
      line.tell({ type: 'presence', room: 'lobby', name, change, people: 0 });
    }
  };
  many('joined');
  await ada.getByText(/and \d+ others joined\.$/).last().waitFor();
  await ada.waitForFunction(() => document.querySelectorAll('#people li').length === 302);
  assert.deepEqual((await people(ada)).slice(0, 3), ['Ada', 'Bob', 'Guest 000']);
  await shot(ada, 'many');
  line.tell({ type: 'presence', room: 'lobby', name: 'Aaron', change: 'joined', people: 0 });
  await ada.locator('#people li:first-child', { hasText: 'Aaron' }).waitFor();
  line.tell({ type: 'presence', room: 'lobby', name: 'Aaron', change: 'left', people: 0 });
  // One comes and goes at once, which is nothing.
  line.tell({ type: 'presence', room: 'lobby', name: 'Zoe', change: 'joined', people: 0 });
  line.tell({ type: 'presence', room: 'lobby', name: 'Zoe', change: 'left', people: 0 });
  many('left');
  await lists(ada, ['Ada', 'Bob']);
  await ada.getByText(/and \d+ others left\.$/).last().waitFor();
  const lines = await ada.locator('.event').count();
  assert.ok(lines < 15, `${lines} lines for 600 changes`);
  const kept = await ada.evaluate(() => [...document.querySelectorAll('#people li')].map((it) => it.isKept));
  assert.deepEqual(kept, [true, true]);
  await finish(server, ada, bob);
}

/** Without a connection so much can be said, and no more; later it goes in order, a few at a time. */
async function whatWaitsIsBounded() {
  let server = await serve('127.0.0.1:0');
  const { url, address } = server;
  const [ada, bob] = [await visitor(), await visitor()];
  const line = await listenIn(ada);
  await enter(ada, url, 'Ada', 'lobby');
  await enter(bob, url, 'Bob', 'lobby');
  await server.end('SIGKILL');
  await lost(ada);
  await lost(bob);
  const said = Array.from({ length: 100 }, (_, n) => `waits ${n}`);
  for (const text of said) await say(ada, text);
  assert.equal(await ada.locator('.pending').count(), 100);
  await say(ada, 'one more');
  assert.equal(await ada.locator('.pending').count(), 100);
  assert.equal(await ada.getByLabel('Your message').inputValue(), 'one more');
  assert.match(await ada.locator('#left').innerText(), /100 messages wait/);
  await shot(ada, 'queue-full');
  // Who comes later gets the last 50 only.
  let open;
  line.isOpen = new Promise((resolve) => { open = resolve; });
  server = await serve(address);
  await connected(bob);
  open();
  await connected(ada);
  await ada.waitForFunction(() => document.querySelectorAll('.pending').length < 50);
  await shows(ada, said);
  await shows(bob, said);
  assert.equal(line.mostUnderWay, 10);
  assert.equal(await ada.locator('#left').innerText(), '');
  await ada.getByLabel('Your message').press('Enter');
  await shows(bob, [...said, 'one more']);
  await finish(server, ada, bob);
}

/** They are counted in characters, as the server does, and read out only where that is of use. */
async function lengthsAreInCharacters() {
  const server = await serve('127.0.0.1:0');
  const ada = await visitor();
  await ada.goto(server.url);
  const name = ada.getByLabel('Your name');
  await name.fill('🙂'.repeat(33));
  await name.press('Enter');
  assert.match(await name.evaluate((it) => it.validationMessage), /^At most 32 characters: here are 33/);
  await name.fill('turned \u202e around');
  await name.press('Enter');
  await ada.getByRole('alert').getByText('A name has no control characters').waitFor();
  await shot(ada, 'refused-name');
  await name.fill('🙂'.repeat(32));
  await name.press('Enter');
  await connected(ada);
  assert.deepEqual(await people(ada), ['🙂'.repeat(32)]);
  const text = ada.getByLabel('Your message');
  await text.fill(`${'\n'.repeat(40)}x`);
  assert.equal(await ada.locator('#left').innerText(), '', 'what is at the ends does not count');
  await text.fill(`x${'\n'.repeat(40)}x`);
  assert.equal(await ada.locator('#left').innerText(), '1 line too many');
  await text.fill('🙂'.repeat(2_000));
  await text.press('Enter');
  await shows(ada, ['🙂'.repeat(2_000)]);
  await ada.evaluate(() => {
    window.spoken = [];
    const watch = (it, what) => new MutationObserver(() => what.push(it.textContent))
      .observe(it, { childList: true, characterData: true, subtree: true });
    watch(document.getElementById('left-spoken'), window.spoken);
  });
  await text.fill('y'.repeat(1_945));
  await text.press('End');
  await ada.keyboard.type('z'.repeat(60));
  assert.equal(await ada.locator('#left').innerText(), '5 characters too many');
  const spoken = await ada.evaluate(() => window.spoken);
  assert.deepEqual(spoken, ['Fewer than 50 characters left.', 'The message is too long.']);
  assert.equal(await ada.locator('#left').evaluate((it) => it.ariaLive), null);
  // Half a character is none: it is said as what it is.
  await text.evaluate((it) => { it.value = 'half \ud83d'; });
  await text.press('Enter');
  await shows(ada, ['🙂'.repeat(2_000), 'half \ufffd']);
  await finish(server, ada);
}

/** It takes connections and says nothing: the page asks, and gives it up. */
async function theServerHangs() {
  const server = await serve('127.0.0.1:0');
  const ada = await visitor();
  await ada.clock.install();
  await enter(ada, server.url, 'Ada', 'lobby');
  // While it answers all is well.
  for (let n = 0; n < 3; n += 1) {
    const asked = ada.waitForEvent('console', (message) => message.text() === 'asked');
    await ada.evaluate(() => {
      const { send } = WebSocket.prototype;
      WebSocket.prototype.send = function (data) {
        if (data.includes('"ping"')) this.addEventListener('message', () => console.log('asked'), { once: true });
        WebSocket.prototype.send = send;
        send.call(this, data);
      };
    });
    await ada.clock.fastForward(25_000);
    await within(asked, 'an answer to a ping');
    assert.equal(await ada.locator('body.online').count(), 1);
  }
  await server.stop();
  await ada.clock.fastForward(25_000);
  assert.equal(await ada.locator('body.online').count(), 1);
  await ada.clock.fastForward(10_000);
  await lost(ada);
  server.child.kill('SIGCONT');
  await connected(ada);
  await say(ada, 'still there');
  await shows(ada, ['still there']);
  await finish(server, ada);
}

/** With a clock of ours, and sockets that fail: when it tries again. */
async function waitsGrowAndAreRandom() {
  const server = await serve('127.0.0.1:0');
  for (const random of [1, 0.25]) {
    const page = await visitor();
    await page.clock.install({ time: 0 });
    await page.addInitScript((random) => {
      Math.random = () => random;
      window.tries = [];
      window.WebSocket = class {
        constructor() {
          window.tries.push(Date.now());
          queueMicrotask(() => this.onclose());
        }

        close() {}
      };
    }, random);
    await page.goto(server.url);
    await page.clock.pauseAt(600_000);
    await page.getByLabel('Your name').fill('Ada');
    await page.getByLabel('Your name').press('Enter');
    await page.clock.runFor(200_000 * random);
    const tries = await page.evaluate(() => window.tries);
    const waits = tries.slice(1).map((at, n) => at - tries[n]);
    const expected = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].map((wait) => wait * random);
    assert.deepEqual(waits.slice(0, expected.length), expected);
    await finish(null, page);
  }
  await finish(server);
}

/** The server is away at first: one waits, or tries at once. */
async function theServerIsLate() {
  let server = await serve('127.0.0.1:0');
  const { url, address } = server;
  const ada = await visitor();
  await ada.goto(url);
  await server.end('SIGTERM');
  await ada.getByLabel('Your name').fill('Ada');
  await ada.getByRole('button', { name: 'Enter' }).click();
  await ada.getByText('The server does not answer').waitFor();
  await shot(ada, 'no-server');
  server = await serve(address);
  await connected(ada);
  await server.end('SIGKILL');
  await lost(ada);
  // Whoever is at the button stays there, as long as there is one.
  const retry = ada.getByRole('button', { name: 'Try now' });
  await retry.focus();
  await ada.waitForFunction(() => visit.attempts > 2);
  assert.equal(await focused(ada), 'retry');
  server = await serve(address);
  // It may have come back by itself.
  await Promise.race([retry.click().catch(() => {}), connected(ada)]);
  await connected(ada);
  await retry.waitFor({ state: 'hidden' });
  assert.equal(await focused(ada), 'text');
  await finish(server, ada);
}

async function aKeyboardIsEnough() {
  const server = await serve('127.0.0.1:0');
  const page = await visitor({ reducedMotion: 'reduce' });
  await page.goto(server.url);
  assert.equal(await focused(page), 'name');
  await page.keyboard.type('Keys');
  await page.keyboard.press('Tab');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('board');
  await page.keyboard.press('Enter');
  await connected(page);
  assert.equal(await focused(page), 'text');
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  await shows(page, ['one\ntwo']);
  assert.equal(await focused(page), 'text');
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'send');
  await shot(page, 'keyboard');
  const order = [];
  for (let n = 0; n < 3; n += 1) {
    await page.keyboard.press('Shift+Tab');
    order.push(await focused(page));
  }
  assert.deepEqual(order, ['text', 'log', 'leave']);
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'name');
  // Each control has a name, each part a landmark.
  await page.keyboard.press('Enter');
  await connected(page);
  for (const role of ['banner', 'main', 'complementary', 'log', 'status']) {
    assert.equal(await page.getByRole(role).count(), 1, role);
  }
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, textarea')]
    .filter((it) => !(it.labels?.length || it.textContent.trim() || it.ariaLabel)).map((it) => it.id));
  assert.deepEqual(nameless, []);
  await finish(server, page);
}

async function aPhoneIsEnough() {
  const server = await serve('127.0.0.1:0');
  const phone = { viewport: { width: 360, height: 640 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
  const [page, other] = [await visitor(phone), await visitor({ ...phone, colorScheme: 'dark' })];
  await page.goto(server.url);
  await shot(page, 'phone-entrance');
  await enter(page, server.url, 'Ada', 'a-room-with-a-rather-long-name-x');
  await enter(other, server.url, 'Konstantin the Long-Winded', 'a-room-with-a-rather-long-name-x');
  for (let n = 0; n < 8; n += 1) {
    await say(n % 3 ? page : other, `Message ${n}, ${'which goes on '.repeat(n)}and ends.`);
    await page.waitForFunction((n) => document.querySelectorAll('.entry:not(.pending)').length > n, n);
  }
  await shot(page, 'phone-talk');
  await page.getByRole('button', { name: /people here/ }).tap();
  await page.getByText('Who is here').waitFor();
  await shot(page, 'phone-people');
  await page.keyboard.press('Escape');
  await page.getByText('Who is here').waitFor({ state: 'hidden' });
  await shows(other, await texts(page));
  const [width, small] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    [...document.querySelectorAll('button')].filter((it) => it.offsetHeight && it.offsetHeight < 36).length,
  ]);
  assert.deepEqual([width, small], [360, 0], 'nothing is wider than the screen, or too small to hit');
  await server.end('SIGTERM');
  await lost(other);
  await other.getByText(/Next try/).waitFor();
  await shot(other, 'phone-lost-dark');
  await finish(null, page, other);
}

async function aTerminalIsEnough() {
  const server = await serve('127.0.0.1:0');
  const page = await visitor();
  await enter(page, server.url, 'Ada', 'lobby');
  await say(page, 'is somebody at a terminal?');
  await shows(page, ['is somebody at a terminal?']);
  const wscat = new Program(WSCAT, `ws://${server.address}/ws`);
  const tell = (request) => wscat.child.stdin.write(`${JSON.stringify(request)}\n`);
  const hear = async () => JSON.parse(await wscat.line());
  tell({ type: 'hello', version: 1, name: 'tty' });
  assert.equal((await hear()).type, 'welcome');
  tell({ type: 'join', room: 'lobby' });
  const joined = await hear();
  assert.deepEqual(joined.people, ['Ada', 'tty']);
  assert.equal(joined.messages[0].text, 'is somebody at a terminal?');
  tell({ type: 'say', room: 'lobby', text: 'I am' });
  assert.equal((await hear()).text, 'I am');
  await shows(page, ['is somebody at a terminal?', 'I am']);
  tell('nonsense');
  assert.equal((await hear()).code, 'bad-json');
  await say(page, 'bye');
  assert.equal((await hear()).text, 'bye');
  wscat.child.stdin.end();
  const [code] = await within(wscat.ended, 'wscat');
  assert.equal(code, 0);
  await lists(page, ['Ada']);
  await finish(server, page);
}

/** Two servers on one NATS, with a person on each: they are one room as long as it is there. */
async function twoServersAreOneChat() {
  const [port, store] = [await freePort(), mkdtempSync(join(tmpdir(), 'chat-'))];
  let nats = await startNats(port, store);
  const backplane = ['--backplane', `nats://127.0.0.1:${port}`];
  const [one, other] = [await serve('127.0.0.1:0', ...backplane), await serve('127.0.0.1:0', ...backplane)];
  const [ada, bob] = [await visitor(), await visitor()];
  const bothSee = async (check) => {
    await check(ada);
    await check(bob);
  };
  await enter(ada, one.url, 'Ada', 'lobby');
  await enter(bob, other.url, 'Bob', 'lobby');
  await bothSee((page) => lists(page, ['Ada', 'Bob']));
  await say(ada, 'I am on one server');
  await shows(bob, ['I am on one server']);
  await say(bob, 'and I on another');
  await bothSee((page) => shows(page, ['I am on one server', 'and I on another']));
  const alone = (page) => page.getByText('Other servers cannot be reached for now.');
  await bothSee(async (page) => assert.equal(await alone(page).isVisible(), false));
  await shot(ada, 'nodes-together');

  await nats.end('SIGTERM');
  await bothSee((page) => alone(page).waitFor());
  await say(ada, 'just Ada');
  await say(bob, 'just Bob');
  await shows(ada, ['I am on one server', 'and I on another', 'just Ada']);
  await shows(bob, ['I am on one server', 'and I on another', 'just Bob']);
  await bothSee((page) => page.locator('body.online').waitFor());
  await shot(bob, 'nodes-alone');

  nats = await startNats(port, store);
  await bothSee((page) => alone(page).waitFor({ state: 'hidden' }));
  await bothSee((page) => page.getByText('Other servers are reached again.').waitFor());
  await bothSee((page) => lists(page, ['Ada', 'Bob']));
  await say(ada, 'here I am again');
  await bob.getByText('here I am again').waitFor();
  await say(bob, 'welcome back');
  await ada.getByText('welcome back').waitFor();
  // What was said meanwhile comes late, and nothing comes twice.
  await bob.getByText('just Ada').waitFor();
  await ada.getByText('just Bob').waitFor();
  for (const page of [ada, bob]) {
    const said = ['I am on one server', 'and I on another', 'here I am again', 'just Ada', 'just Bob', 'welcome back'];
    assert.deepEqual((await texts(page)).sort(), said.sort());
    assert.equal(await page.locator('.pending, .failed').count(), 0);
  }
  await shot(bob, 'nodes-together-again');
  await finish(one, ada, bob);
  await finish(other);
  await nats.end('SIGTERM');
  rmSync(store, { recursive: true });
}

async function finish(server, ...pages) {
  for (const page of pages) {
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }
  if (server) {
    const [code] = await server.end('SIGTERM');
    assert.equal(code, 0);
  }
}

try {
  const all = [
    peopleTalk,
    theServerRestarts,
    anEchoIsLost,
    otherServersAreAway,
    aRoomIsFull,
    manyComeAndGo,
    whatWaitsIsBounded,
    lengthsAreInCharacters,
    theServerHangs,
    waitsGrowAndAreRandom,
    theServerIsLate,
    aKeyboardIsEnough,
    aPhoneIsEnough,
    aTerminalIsEnough,
    twoServersAreOneChat,
  ];
  const wanted = process.env.SCENES?.split(' ');
  for (const test of all.filter(({ name }) => wanted?.includes(name) ?? true)) {
    const began = Date.now();
    await test();
    console.log(`ok ${test.name} (${Date.now() - began} ms)`);
  }
} finally {
  for (const child of started) child.kill('SIGKILL');
  await browser.close();
}
