/**
 * The sample site's script: says what runs, and lets each card ask its endpoint and show the answer as it comes.
 * A card is a form with `data-try`; the function of that name in `experiments` gets its fields and a place to write to.
 */

const API = '/api/v1'
const KEPT_LINES = 50
/** Where conf/farm.ini has the front server show its metrics (`metrics-path`); by itself the application has none. */
const METRICS = `${API}/metrics`
const LOOK_MS = 5000

const experiments = { spread, sleep, burn, echo, stream, events, ws, crash }

for (const form of document.querySelectorAll('form[data-try]')) {
  const paper = outputOf(form)
  form.addEventListener('submit', async event => {
    event.preventDefault()
    const button = form.querySelector('button')
    const fields = Object.fromEntries(new FormData(form))
    button.disabled = true
    try {
      await experiments[form.dataset.try](fields, paper, button)
    } catch (error) {
      paper.fail(error.message)
    } finally {
      button.disabled = false
    }
  })
}

showWhatRuns()
showServer()

async function showWhatRuns() {
  const [about, whoami, config] = await Promise.all(
    ['_about', 'whoami', '_config'].map(name => askJson(name).catch(error => ({ error: error.message }))),
  )
  put('about', about.error ?? `${about.name} ${about.version}`)
  put('whoami', whoami.error ?? describeProcess(whoami))
  put('node', whoami.error ?? whoami.node)
  put('client', whoami.error ?? clientAddress(whoami))
  put('config', JSON.stringify(config, null, 2))
  if (config.error) return
  put('title', config.farm.title)
  put('greeting', config.farm.greeting)
  document.title = config.farm.title
}

/** Again and again while somebody looks; never where nothing answers there. */
async function showServer() {
  const metrics = await readMetrics().catch(() => null)
  if (metrics === null || metrics('daimyo_build_info').length === 0) return
  const sum = (name, labels = {}) => metrics(name, labels).reduce((total, { value }) => total + value, 0)
  const [{ labels }] = metrics('daimyo_build_info')
  put('server-version', `daimyo ${labels.version}, Node ${labels.node_version}`)
  const ready = sum('daimyo_workers', { phase: 'ready' })
  put('server-workers', `${ready} of ${sum('daimyo_workers_wanted')} ready, generation ${sum('daimyo_generation')}`)
  put('server-requests', `${sum('daimyo_requests_total').toLocaleString('en')} requests`)
  const connections = sum('daimyo_client_connections')
  put('server-now', `${connections} connections, ${sum('daimyo_queued_requests')} requests waiting`)
  document.getElementById('metrics').href = METRICS
  document.getElementById('server').hidden = false
  setTimeout(showServer, LOOK_MS)
}

/** The samples of a family whose labels include the given ones. */
async function readMetrics() {
  const response = await fetch(METRICS, { cache: 'no-store' })
  if (!response.ok) throw new Error(`${response.status}`)
  const samples = (await response.text()).split('\n').flatMap(readSample)
  return (name, wanted = {}) =>
    samples.filter(
      sample =>
        sample.name === name && Object.entries(wanted).every(([label, value]) => sample.labels[label] === value),
    )
}

function readSample(line) {
  const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? []
  if (name === undefined) return []
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label, text])
  return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }]
}

async function spread({ count }, paper) {
  const startMs = performance.now()
  const answers = await Promise.all(Array.from({ length: Number(count) }, () => askJson('whoami')))
  const counts = new Map()
  for (const answer of answers) {
    const who = describeProcess(answer)
    counts.set(who, (counts.get(who) ?? 0) + 1)
  }
  const lines = [...counts].sort().map(([who, times]) => `${String(times).padStart(4)} × ${who}`)
  paper.write([...lines, `in ${sinceMs(startMs)} ms`].join('\n'))
}

async function sleep({ ms }, paper) {
  await timed(paper, 'sleeping…', () => askJson(`sleep?ms=${ms}`))
}

async function burn({ ms }, paper) {
  await timed(paper, 'burning…', () => askJson(`burn?ms=${ms}`))
}

async function echo({ text }, paper) {
  const headers = { 'content-type': 'text/plain; charset=utf-8' }
  await timed(paper, 'sending…', async () => (await ask('echo', { method: 'POST', headers, body: text })).text())
}

async function stream({ megabytes }, paper) {
  const startMs = performance.now()
  const response = await ask(`stream?bytes=${Number(megabytes) * 1_000_000}`)
  const reader = response.body.getReader()
  let bytes = 0
  let shownMs = startMs
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    bytes += piece.value.length
    if (performance.now() - shownMs < 100) continue
    shownMs = performance.now()
    paper.write(`${(bytes / 1e6).toFixed(0)} MB so far`)
  }
  const seconds = (performance.now() - startMs) / 1000
  paper.write(`${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(2)} s, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`)
}

let eventSource = null

function events({ ms }, paper, button) {
  if (eventSource !== null) {
    eventSource.close()
    eventSource = null
    paper.add('closed')
  } else {
    paper.write('opening…')
    eventSource = new EventSource(`${API}/events?ms=${ms}`)
    eventSource.addEventListener('tick', event => {
      const { tick, time, pid } = JSON.parse(event.data)
      paper.add(`${tick}  ${time.slice(11, 23)}  pid ${pid}`)
    })
    eventSource.addEventListener('error', () => paper.add('connection lost, the browser tries again'))
  }
  button.textContent = eventSource === null ? 'Listen' : 'Stop'
  button.setAttribute('aria-pressed', String(eventSource !== null))
}

let webSocket = null

async function ws({ text }, paper) {
  webSocket ??= await openWebSocket(paper)
  paper.add(`→ ${text}`)
  webSocket.send(text)
}

function openWebSocket(paper) {
  return new Promise((resolve, reject) => {
    const url = new URL(`${API}/ws`, location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    const opened = new WebSocket(url)
    opened.addEventListener('open', () => resolve(opened))
    opened.addEventListener('message', ({ data }) => paper.add(`← ${data}`))
    opened.addEventListener('close', ({ code }) => {
      webSocket = null
      paper.add(`closed (${code})`)
      reject(new Error(`the WebSocket did not open (${code})`))
    })
  })
}

async function crash(_fields, paper) {
  await timed(paper, 'crashing…', async () => {
    const response = await fetch(`${API}/crash`, { method: 'POST' })
    return `${response.status} ${response.statusText}: the worker is gone, the server is not`
  })
}

/** Writes what `work` answers and how long that took. */
async function timed(paper, meanwhile, work) {
  paper.write(meanwhile)
  const startMs = performance.now()
  const answer = await work()
  const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
  paper.write(`${text}\nin ${sinceMs(startMs)} ms`)
}

async function ask(target, init) {
  const response = await fetch(`${API}/${target}`, { cache: 'no-store', ...init })
  if (response.ok) return response
  const text = await response.text()
  throw new Error(`${response.status} ${response.statusText} ${text.slice(0, 300)}`.trim())
}

async function askJson(target) {
  return (await ask(target)).json()
}

function describeProcess({ pid, slot }) {
  return slot === null ? `pid ${pid}` : `worker ${slot}, pid ${pid}`
}

function clientAddress({ headers, remoteAddress }) {
  return headers['x-forwarded-for'] ?? remoteAddress ?? 'a unix socket'
}

function sinceMs(startMs) {
  return Math.round(performance.now() - startMs)
}

function put(id, text) {
  document.getElementById(id).textContent = text
}

/** Where a card shows what comes back: `write` replaces, `add` appends and keeps the last lines, `fail` is an error. */
function outputOf(form) {
  const output = form.querySelector('output')
  const show = (text, failed) => {
    output.textContent = text
    output.classList.toggle('failed', failed)
    output.scrollTop = output.scrollHeight
  }
  return {
    write: text => show(text, false),
    add: line => show([...output.textContent.split('\n'), line].slice(-KEPT_LINES).join('\n').trimStart(), false),
    fail: text => show(text, true),
  }
}
