'use strict';
// The browser's side of the chat. What comes from the server is put into the page as text nodes only: the
// page's policy lets nothing else pass.

const VERSION = 1;
// How long to wait before trying again: a random part of BASE * 2^attempts, of CAP at most, in ms.
const BASE = 500;
const CAP = 30_000;
// How long connecting may take, how often to ask whether the server is there, and how long it may think.
const PATIENCE = 10_000;
const HEARTBEAT = 25_000;
// How much the page keeps: messages and other lines shown, ids known, and messages that wait to be sent.
const MAX_ENTRIES = 500;
const MAX_EVENTS = 100;
const MAX_KNOWN = 2_000;
const MAX_PENDING = 100;
// How many messages may be on their way to the server: less than it takes at once, even after a hello.
const AT_ONCE = 10;
// How long to gather who has come and gone, in ms, and how many to name of them.
const GATHER = 1_000;
const NAMED = 3;
// How many characters are left when that is shown, and when it is read out.
const [NEAR, NEARER] = [200, 50];
// Errors after which to try again makes no sense before something else was entered. Whoever was in a room
// before waits for a place there.
const FINAL = new Set(['bad-name', 'bad-room', 'bad-version']);
const FULL = new Map([['room-full', 'The room is full.'], ['no-more-rooms', 'The server has no more rooms.']]);
const WAITS = 'Not sent yet: waiting for the connection';

const $ = (id) => document.getElementById(id);
const [body, log, text] = [document.body, $('log'), $('text')];

/** The room that we are in, or on the way to; nothing at the entrance. */
let visit = null;
let unread = 0;
/** Whether the last message is in view, and is to stay there. */
let follows = true;

class Visit {
  constructor(name, room) {
    Object.assign(this, { name, room, socket: null, limits: null, online: false, wasOnline: false });
    Object.assign(this, { attempts: 0, timer: null, ticker: null, heartbeat: null, over: false });
    this.last = null; // The id of the last message that we have.
    this.known = new Set(); // Ids of what is shown, and keys with whose they are.
    this.pending = new Map(); // Our own messages by key, until they come back.
    this.people = new Map(); // Their lines in the list, by name.
    this.changes = new Map(); // Who has come or gone and is not told of yet.
    this.gathering = null;
  }

  connect() {
    clearTimeout(this.timer);
    clearInterval(this.ticker);
    // It stays where it is, with whoever is on it.
    $('retry').ariaDisabled = 'true';
    setStatus('lost', this.wasOnline ? 'Connecting again…' : 'Connecting…');
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.socket = socket;
    this.timer = setTimeout(() => this.lose(socket), PATIENCE);
    socket.onopen = () => {
      this.tell({ type: 'hello', version: VERSION, name: this.name });
      this.tell({ type: 'join', room: this.room, ...(this.last && { after: this.last }) });
    };
    socket.onmessage = ({ data }) => this.socket === socket && this.hear(JSON.parse(data));
    socket.onclose = () => this.lose(socket);
  }

  tell(request) {
    this.socket.send(JSON.stringify(request));
  }

  /** What is not known is for other pages. */
  hear(event) {
    if (this.online) this.beat();
    switch (event.type) {
      case 'welcome':
        [this.name, this.limits] = [event.name, event.limits];
        return;
      case 'joined':
        return this.arrive(event);
      case 'message':
        return this.show(event);
      case 'presence':
        return this.meet(event);
      case 'network':
        return this.setTogether(event.together);
      case 'gap':
        return note(missed(event.missed), 'strong');
      case 'error':
        return this.fail(event);
    }
  }

  arrive({ room, people, messages, resumed }) {
    clearTimeout(this.timer);
    const isBack = this.wasOnline;
    Object.assign(this, { room, online: true, wasOnline: true, attempts: 0 });
    if (!isBack) {
      enterChat(this);
    }
    const here = new Set(people);
    [...this.people.keys()].filter((name) => !here.has(name)).forEach((name) => this.miss(name));
    here.forEach((name) => this.greet(name));
    setStatus('online', 'Connected');
    hide($('retry'));
    if (isBack) {
      note(resumed || !this.last ? 'Connected again.' : 'Connected again. Some messages may be missing.');
    }
    messages.forEach((message) => this.show(message));
    for (const mine of this.pending.values()) {
      mine.isSent = false;
      removeNote(mine.entry);
    }
    this.push();
    this.beat();
  }

  /** Sends the first of what waits. Some are on their way at a time, so that a ping is not long behind them. */
  push() {
    for (const [key, mine] of [...this.pending].slice(0, AT_ONCE)) {
      if (!mine.isSent) this.tell({ type: 'say', room: this.room, text: mine.text, key });
      mine.isSent = true;
    }
  }

  /** What waited is over: the next one goes. */
  settle(key) {
    this.pending.delete(key);
    this.push();
    checkText();
  }

  /** The server is there: asks again in a while, and gives it up if it does not answer. */
  beat() {
    clearTimeout(this.heartbeat);
    const socket = this.socket;
    this.heartbeat = setTimeout(() => {
      this.tell({ type: 'ping' });
      this.heartbeat = setTimeout(() => this.lose(socket), PATIENCE);
    }, HEARTBEAT);
  }

  show(message) {
    const { id, name, key } = message;
    // Another's key is another key.
    const tag = key && `${key} of ${name}`;
    const mine = name === this.name && this.pending.get(key);
    this.last = id;
    if (mine) {
      this.remember(id, tag);
      confirm(mine.entry, message);
      this.settle(key);
    } else if (!this.known.has(id) && !this.known.has(tag)) {
      this.remember(id, tag);
      append(makeEntry(message, name === this.name ? 'mine' : 'theirs'), false);
      if (document.hidden) {
        unread += 1;
        setTitle();
      }
    }
  }

  /** A key as well: a message said again to a new server has another id there. */
  remember(...names) {
    names.filter(Boolean).forEach((name) => this.known.add(name));
    for (const oldest of this.known) {
      if (this.known.size <= MAX_KNOWN) break;
      this.known.delete(oldest);
    }
  }

  meet({ name, change }) {
    if (change === 'joined') {
      this.greet(name);
    } else {
      this.miss(name);
    }
    const before = this.changes.get(name);
    this.changes.delete(name);
    // Whoever comes and goes again is as before.
    if (!before || before === change) this.changes.set(name, change);
    if (!this.gathering) this.tellChanges();
  }

  /** One line for all: the first at once, the others when none was told for a while. */
  tellChanges() {
    clearTimeout(this.gathering);
    this.gathering = null;
    const lines = ['joined', 'left'].map((change) => {
      const names = [...this.changes.keys()].filter((name) => this.changes.get(name) === change);
      return names.length ? `${list(names)} ${change}.` : '';
    });
    this.changes.clear();
    const line = lines.filter(Boolean).join(' ');
    if (!line) return;
    note(line);
    this.gathering = setTimeout(() => this.tellChanges(), GATHER);
  }

  greet(name) {
    if (this.people.has(name)) return;
    const person = makePerson(name, name === this.name);
    const next = [...$('people').children].find((other) => compare(other.dataset.name, name) > 0);
    $('people').insertBefore(person, next ?? null);
    this.people.set(name, person);
    countPeople(this.people.size);
  }

  miss(name) {
    this.people.get(name)?.remove();
    this.people.delete(name);
    countPeople(this.people.size);
  }

  /** Whether those on other servers hear us, and we them. */
  setTogether(together) {
    if ($('alone').hidden === together) return;
    $('alone').hidden = together;
    note(together ? 'Other servers are reached again.' : 'Other servers cannot be reached.', together ? '' : 'strong');
  }

  get isFull() {
    return this.pending.size >= MAX_PENDING;
  }

  say(text) {
    const key = randomKey();
    const entry = makeEntry({ name: this.name, text, time: Date.now(), key }, 'mine pending');
    append(entry, true);
    this.pending.set(key, { text, entry, isSent: false });
    if (this.online) {
      this.push();
    } else {
      addNote(entry, WAITS);
    }
  }

  fail({ code, message, key, retry }) {
    const mine = key && this.pending.get(key);
    if (code === 'not-everywhere') {
      const entry = [...log.children].findLast((entry) => key && entry.dataset.key === key);
      entry?.classList.add('partial');
      if (entry) addNote(entry, 'Said here, perhaps not on other servers');
    } else if (mine) {
      mine.entry.classList.replace('pending', 'failed');
      addNote(mine.entry, `Not sent: ${message}`);
      this.settle(key);
    } else if (FINAL.has(code) || FULL.has(code) && !this.wasOnline) {
      const old = 'This page is older than the server. Load it again.';
      leave(code === 'bad-version' ? old : FULL.get(code) ?? sentence(message));
    } else if (!this.online) {
      this.lose(this.socket, FULL.get(code), retry);
    } else {
      note(sentence(message), 'strong');
    }
  }

  /** Once for each connection: sees to the next one, not before `retry` seconds if the server asks for that. */
  lose(socket, why = this.wasOnline ? 'Connection lost.' : 'Cannot connect.', retry = 0) {
    if (this.over || this.socket !== socket) return;
    this.drop();
    if (this.online) {
      this.online = false;
      this.tellChanges();
      note('Connection lost.', 'strong');
      // Not known any more.
      $('alone').hidden = true;
      for (const { entry } of this.pending.values()) {
        addNote(entry, WAITS);
      }
    }
    const most = Math.min(CAP, BASE * 2 ** Math.min(this.attempts, 16));
    const due = Date.now() + Math.max(Math.random() * most, Math.min(CAP, 1000 * retry));
    this.attempts += 1;
    this.timer = setTimeout(() => this.connect(), due - Date.now());
    const tick = () => {
      const seconds = Math.ceil((due - Date.now()) / 1000);
      $('next').textContent = `Next try ${seconds > 1 ? `in ${seconds} s` : 'soon'}.`;
    };
    setStatus('lost', why);
    tick();
    this.ticker = setInterval(tick, 1000);
    $('retry').hidden = false;
    $('retry').ariaDisabled = 'false';
    if (!this.wasOnline) {
      $('refusal').textContent = 'The server does not answer. Trying again…';
    }
  }

  /** At once, where a wait is under way. */
  hurry() {
    if (this.socket === null && !this.over) this.connect();
  }

  drop() {
    const { socket } = this;
    this.socket = null;
    [this.timer, this.heartbeat].forEach(clearTimeout);
    clearInterval(this.ticker);
    socket?.close();
  }

  end() {
    this.over = true;
    clearTimeout(this.gathering);
    this.drop();
  }
}

function enterChat(visit) {
  $('entrance').hidden = true;
  $('chat').hidden = false;
  $('title').textContent = visit.room;
  history.replaceState(null, '', `#${encodeURIComponent(visit.room)}`);
  setTitle();
  checkText();
  text.focus();
}

/** Back to the entrance. */
function leave(why) {
  visit?.end();
  visit = null;
  log.replaceChildren();
  $('people').replaceChildren();
  [text.value, unread, follows] = ['', 0, true];
  $('empty').hidden = false;
  [$('chat'), $('alone'), $('retry'), $('newer')].forEach((element) => { element.hidden = true; });
  $('entrance').hidden = false;
  $('refusal').textContent = why;
  body.classList.remove('online', 'lost');
  showSide(false);
  setTitle();
  $('name').focus();
}

function makeEntry({ name, text, time, key }, kind) {
  const entry = make('div', `entry ${kind}`);
  entry.dataset.name = name;
  if (key) entry.dataset.key = key;
  entry.style.setProperty('--hue', hue(name));
  const head = make('div', 'head');
  head.append(make('bdi', '', name), make('time'));
  const bubble = make('div', 'bubble', text);
  bubble.dir = 'auto';
  entry.append(head, bubble);
  setTime(entry, time);
  return entry;
}

function setTime(entry, time) {
  const [clock, at] = [entry.querySelector('time'), new Date(time)];
  clock.textContent = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  clock.dateTime = at.toISOString();
  clock.title = at.toLocaleString();
}

/** What waited has come back: it stays the same element, so that it is not read out again. */
function confirm(entry, { text, time }) {
  const waiting = log.querySelector('.pending');
  if (waiting !== entry) {
    const after = entry.nextElementSibling;
    log.insertBefore(entry, waiting);
    [entry, waiting, after].forEach(setFirst);
  }
  entry.classList.remove('pending');
  if (!entry.classList.contains('partial')) removeNote(entry);
  const bubble = entry.querySelector('.bubble');
  if (bubble.textContent !== text) bubble.textContent = text;
  setTime(entry, time);
}

function addNote(entry, text) {
  removeNote(entry);
  entry.append(make('p', 'note', text));
  if (follows) showLast();
}

function removeNote(entry) {
  entry.querySelector('.note')?.remove();
}

function note(text, kind = '') {
  append(make('p', `event ${kind}`, text), false);
}

/**
 * Puts something at the end, which stays in view if it was, or if we have said it ourselves. What waits to be
 * sent comes after all that the server has told.
 */
function append(entry, isOurs) {
  const next = entry.classList.contains('pending') ? null : log.querySelector('.pending');
  log.insertBefore(entry, next);
  // Whoever comes and goes does not push out what was said.
  for (const [kind, most] of [['entry', MAX_ENTRIES], ['event', MAX_EVENTS]]) {
    const all = log.getElementsByClassName(kind);
    while (all.length > most) remove(all[0]);
  }
  [entry, next].forEach(setFirst);
  $('empty').hidden = true;
  if (follows || isOurs) {
    showLast();
  } else if (entry.classList.contains('entry')) {
    $('newer').hidden = false;
  }
}

function remove(entry) {
  const next = entry.nextElementSibling;
  entry.remove();
  setFirst(next);
}

/** Of several that one person says in a row the first shows who and when. */
function setFirst(entry) {
  entry?.classList.toggle('first', entry.previousElementSibling?.dataset.name !== entry.dataset.name);
}

function showLast() {
  follows = true;
  log.scrollTop = log.scrollHeight;
}

function makePerson(name, isUs) {
  const person = make('li');
  person.dataset.name = name;
  const [initial] = name.match(/[\p{L}\p{N}]/u) ?? name.match(/./su);
  const face = make('span', 'face', initial.toLocaleUpperCase());
  face.ariaHidden = 'true';
  face.style.setProperty('--hue', hue(name));
  person.append(face, make('bdi', '', name));
  if (isUs) person.append(make('span', 'you', 'you'));
  return person;
}

function countPeople(people) {
  $('count').textContent = people;
  $('count-of').textContent = people === 1 ? ' person here' : ' people here';
}

function setStatus(kind, text) {
  body.classList.toggle('online', kind === 'online');
  body.classList.toggle('lost', kind === 'lost');
  // This is read out; the countdown beside it is not.
  $('status-text').textContent = text;
  $('next').textContent = '';
}

function setTitle() {
  const room = visit?.wasOnline ? `#${visit.room} · Chat` : 'Chat';
  document.title = unread ? `(${unread}) ${room}` : room;
}

/** Says what is wrong with what is written, or how much more it may be; returns whether it may be said. */
function checkText() {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight + 2}px`;
  const { text: most = Infinity, lines = Infinity } = visit?.limits ?? {};
  const said = clean(text.value);
  const [left, more] = [most - length(said), said.split('\n').length - lines];
  let [shown, spoken] = ['', ''];
  if (left < 0) {
    [shown, spoken] = [`${count(-left, 'character')} too many`, 'The message is too long.'];
  } else if (more > 0) {
    [shown, spoken] = [`${count(more, 'line')} too many`, 'The message has too many lines.'];
  } else if (said && visit?.isFull) {
    shown = spoken = `${MAX_PENDING} messages wait to be sent. This one can follow when some are.`;
  }
  $('left').classList.toggle('over', shown !== '');
  const isGood = !shown;
  if (isGood && left < NEAR) shown = `${count(left, 'character')} left`;
  if (isGood && left < NEARER) spoken = `Fewer than ${NEARER} characters left.`;
  $('left').textContent = shown;
  // Each change of this is read out.
  if ($('left-spoken').textContent !== spoken) $('left-spoken').textContent = spoken;
  return isGood;
}

/** Names of people and rooms: the browser's own limit counts otherwise than the server. */
function checkName(input) {
  const [most, value] = [Number(input.dataset.max), clean(input.value)];
  // A room's name is one in lower case, where some letters are two.
  const given = length(input.id === 'room' ? value.toLowerCase() : value);
  input.setCustomValidity(given > most ? `At most ${most} characters: here are ${given}.` : '');
}

/** Hides a button; whoever is on it goes to where one writes. */
function hide(button) {
  if (document.activeElement === button) text.focus();
  button.hidden = true;
}

function showSide(shown) {
  body.classList.toggle('people-shown', shown);
  $('toggle').ariaExpanded = String(shown);
}

function make(tag, kind = '', text = '') {
  const element = document.createElement(tag);
  element.className = kind;
  element.textContent = text;
  return element;
}

/** The same colour for the same name, everywhere. */
function hue(name) {
  let hash = 0;
  for (const c of name) hash = (hash * 31 + c.codePointAt(0)) % 360;
  return hash;
}

/** Keeps a name's direction of writing to itself. */
const isolate = (name) => `\u2068${name}\u2069`;
/** Names some, and counts the others. */
function list(names) {
  const few = names.length > NAMED + 1 ? names.slice(0, NAMED) : names;
  const shown = few.map(isolate);
  const last = few === names ? shown.pop() : `${names.length - NAMED} others`;
  return [shown.join(', '), last].filter(Boolean).join(' and ');
}

/** How many, or 0 if nobody knows. */
function missed(number) {
  if (number === 0) return 'Some messages from other servers may be missing.';
  return `${count(number, 'message')} from other servers ${number === 1 ? 'was' : 'were'} missed.`;
}

const { compare } = new Intl.Collator();
const count = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;
/** In characters, as the server counts them. */
const length = (text) => [...text].length;
/** Half a character is none, in JSON. */
const clean = (text) => text.trim().replace(/\p{Surrogate}/gu, '\ufffd');
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Storage may be forbidden. */
function stored(value) {
  try {
    if (value === undefined) return localStorage.getItem('name') ?? '';
    localStorage.setItem('name', value);
  } catch { /* Then the name is typed again. */ }
  return '';
}

function roomOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

$('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  const [name, room] = [$('name'), $('room')].map((input) => clean(input.value));
  $('refusal').textContent = '';
  stored(name);
  visit?.end();
  visit = new Visit(name, room);
  visit.connect();
});

$('compose').addEventListener('submit', (event) => {
  event.preventDefault();
  const said = clean(text.value);
  if (said && checkText()) {
    visit.say(said);
    text.value = '';
    checkText();
  }
  text.focus();
});

for (const input of [$('name'), $('room')]) {
  input.addEventListener('input', () => checkName(input));
}

text.addEventListener('input', checkText);
text.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('compose').requestSubmit();
  }
});

$('leave').addEventListener('click', () => leave(''));
$('retry').addEventListener('click', () => visit.hurry());
$('toggle').addEventListener('click', () => showSide(!body.classList.contains('people-shown')));
$('newer').addEventListener('click', () => {
  showLast();
  text.focus();
});
log.addEventListener('scroll', () => {
  follows = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  if (follows) hide($('newer'));
});
// A keyboard comes up, or the text has another line.
new ResizeObserver(() => follows && showLast()).observe(log);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && body.classList.contains('people-shown')) {
    showSide(false);
    $('toggle').focus();
  }
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) {
    unread = 0;
    setTitle();
    visit?.hurry();
  }
});
addEventListener('online', () => visit?.hurry());

$('name').value = stored();
$('room').value = roomOfAddress() || 'lobby';
[$('name'), $('room')].forEach(checkName);
$('name').focus();
